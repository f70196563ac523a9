//! What is shown and done.

use super::*;
use crate::mirror::testkit::{Asker, Step, gate, halves, noise, origin};
use crate::oci::{Accepts, Digest, Reference};

const EMPTY_IMAGE: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

#[tokio::test]
async fn a_status_tells_of_the_whole() {
    let side = Side::new(None);
    let (status, told) = side.ask("GET", "/api/v1/status").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["offline"], false);
    assert_eq!(told["totals"]["requests"], 0);
    assert_eq!(told["totals"]["hit_rate"], Value::Null);
    let (_, told) = side.ask("GET", "/api/v1/upstreams").await;
    assert_eq!(told["items"][0]["name"], "docker.io");
    assert_eq!(told["items"][0]["host"], "registry-1.docker.io");
    assert_eq!(told["items"][0]["state"], "up");
}

#[tokio::test]
async fn a_fill_is_shown_while_it_goes_on() {
    let side = Side::new(None);
    let bytes = noise(2_000_000);
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    let script = halves(&bytes, Step::Gate(gate.clone()));
    side.house.upstream.on_blob(&digest, script);
    let origin = origin("library/a");
    let answer = side
        .house
        .mirror
        .blob(&Asker::Mirror, &origin, &digest, &[])
        .await
        .unwrap();
    let (_, told) = side.ask("GET", "/api/v1/fills").await;
    let fill = &told["items"][0];
    assert_eq!(fill["digest"], digest.as_str());
    assert_eq!(
        (&fill["upstream"], &fill["repository"]),
        (&"docker.io".into(), &"library/a".into())
    );
    assert_eq!(
        (&fill["size"], &fill["followers"]),
        (&2_000_000.into(), &1.into())
    );
    let (_, page) = side.ask("GET", "/").await;
    assert!(page.as_str().unwrap().contains(digest.as_str()));

    gate.add_permits(1);
    drop(answer);
    side.house.settle().await;
    let (_, told) = side.ask("GET", "/api/v1/fills").await;
    assert_eq!(told["items"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_tag_is_explained_refreshed_and_purged() {
    let side = Side::new(None);
    let digest = side.house.upstream.tag("1", EMPTY_IMAGE.as_bytes());
    let explain = "/api/v1/explain?reference=a:1";
    assert_eq!(side.ask("GET", explain).await.0, StatusCode::NOT_FOUND);

    let (status, told) = side.ask("POST", "/api/v1/refresh?reference=a:1").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(
        (&told["digest"], &told["changed"]),
        (&digest.as_str().into(), &true.into())
    );
    side.house.settle().await;
    let (_, told) = side.ask("GET", explain).await;
    assert_eq!(
        (&told["digest"], &told["is_here"]),
        (&digest.as_str().into(), &true.into())
    );
    assert_eq!(told["record"]["state"], "fresh");
    let (_, told) = side
        .ask("GET", &format!("/api/v1/explain?digest={digest}"))
        .await;
    assert_eq!(
        (&told["is_here"], &told["record"]),
        (&true.into(), &Value::Null)
    );

    let purge = "/api/v1/purge?reference=docker.io%2Flibrary%2Fa%3A1";
    let (status, told) = side.ask("POST", purge).await;
    assert_eq!((status, &told["records"]), (StatusCode::OK, &1.into()));
    assert_eq!(side.ask("POST", purge).await.0, StatusCode::NOT_FOUND);
    let reference = Reference::Tag("1".parse().unwrap());
    let origin = origin("library/a");
    let pull = side
        .house
        .mirror
        .manifest(&Asker::Mirror, &origin, &reference, Accepts::MODERN);
    assert_eq!(pull.await.unwrap().outcome.word(), "miss");
}

#[tokio::test]
async fn what_has_no_meaning_is_refused_with_the_reason() {
    let side = Side::new(None);
    for (method, target, status, why) in [
        ("GET", "/nothing", 404, "not found; known: /healthz"),
        ("POST", "/api/v1/status", 405, "GET, HEAD only"),
        ("GET", "/api/v1/status?x=1", 400, "unknown parameter"),
        ("GET", "/api/v1/explain", 400, "either reference or digest"),
        (
            "GET",
            "/api/v1/explain?reference=a&digest=sha256:00",
            400,
            "digest",
        ),
        (
            "GET",
            "/api/v1/explain?reference=quay.io/a/b",
            400,
            "no upstream named",
        ),
        ("GET", "/api/v1/content?limit=0", 400, "limit must be"),
        ("GET", "/api/v1/tags", 400, "repository is missing"),
        (
            "GET",
            "/api/v1/repositories?upstream=quay.io",
            400,
            "no upstream named",
        ),
        ("POST", "/api/v1/pin?name=a", 400, "reference is missing"),
        ("POST", "/api/v1/gc?dry_run=perhaps", 400, "dry_run"),
        ("POST", "/api/v1/refresh?reference=a:none", 404, ""),
    ] {
        let (answered, told) = side.ask(method, target).await;
        assert_eq!(answered, status, "{method} {target}: {told}");
        let reason = told["error"].as_str().unwrap();
        assert!(reason.contains(why), "{method} {target}: {reason}");
    }
    let digest = Digest::sha256_of(b"x");
    let target = format!("/api/v1/refresh?reference=a@{digest}");
    assert_eq!(side.ask("POST", &target).await.0, StatusCode::BAD_REQUEST);
}
