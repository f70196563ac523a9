//! Manifests by tag: what the client accepts, and how old the answer is.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Request, StatusCode};

use super::oracle::Oracle;
use super::surface::{Surface, api_of, ask};
use crate::oci::{Accepts, Digest};
use crate::server::api::host;
use crate::server::{Handler, RateLimited};

const LINES: [&str; 6] = [
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

const MANIFEST: &[u8] = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

#[tokio::test]
async fn item_18_six_accept_lines_in_any_order_equal_one() {
    let surface = Surface::new();
    let (manifest, _) = surface.stock();
    let merged = LINES.join(", ");
    let forward: Vec<_> = LINES.iter().map(|line| ("accept", *line)).collect();
    let backward: Vec<_> = forward.iter().rev().copied().collect();
    let mut answers = Vec::new();
    for fields in [&forward, &vec![("accept", &*merged)], &backward] {
        for method in ["HEAD", "GET"] {
            let (status, headers, _) = surface.ask(method, "/v2/a/manifests/1", fields).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers["docker-content-digest"], manifest.as_str());
            assert_eq!(headers["vary"], "Accept");
            answers.push(headers);
        }
    }
    // One set, one record: upstream heard of the tag once.
    assert_eq!(surface.house.upstream.count("HEAD manifest 1"), 1);
    assert_eq!(surface.house.upstream.count("GET manifest 1"), 0);
}

#[tokio::test]
async fn what_the_client_accepts_decides_what_upstream_is_asked() {
    let oracle = Arc::new(Oracle::tagged("1", MANIFEST));
    let api = api_of(Arc::clone(&oracle) as _, RateLimited::Unavailable);
    let old = [("accept", LINES[0]), ("accept", "text/html")];
    ask(&api, "HEAD", "/v2/a/manifests/1", &old).await;
    // It takes nothing else, so upstream must be asked for just that at some time.
    let only_old = Accepts::of_lines([LINES[0]]);
    assert!(
        oracle.accepted().contains(&only_old),
        "{:?}",
        oracle.accepted()
    );
}

#[tokio::test]
async fn item_16_17_by_digest_accept_is_ignored() {
    let digest = Digest::sha256_of(MANIFEST);
    for fields in [&[][..], &[("accept", "text/html")], &[("accept", LINES[3])]] {
        let oracle = Arc::new(Oracle::tagged("1", MANIFEST));
        let api = api_of(oracle, RateLimited::Unavailable);
        // The repository must have shown it.
        let target = format!("/v2/a/manifests/{digest}");
        for method in ["HEAD", "GET", "HEAD"] {
            let (status, headers, _) = ask(&api, method, &target, fields).await;
            assert_eq!(status, StatusCode::OK, "{method} {fields:?}");
            assert_eq!(headers["content-type"], LINES[4]);
            assert!(!headers.contains_key("vary") && !headers.contains_key("age"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_tag_says_how_old_it_is() {
    let surface = Surface::new();
    let (manifest, blob) = surface.stock();
    let good = format!("\"{manifest}\"");
    let age = |headers: &HeaderMap| {
        headers
            .get("age")
            .map(|age| age.to_str().unwrap().to_owned())
    };
    for (passed, told) in [(0, "0"), (30, "30"), (29, "59"), (1, "0")] {
        surface.house.clock.pass(passed);
        for (method, fields) in [
            ("HEAD", &[][..]),
            ("GET", &[]),
            ("GET", &[("if-none-match", &*good)]),
            ("HEAD", &[("if-none-match", &*good)]),
        ] {
            let (_, headers, _) = surface.ask(method, "/v2/a/manifests/1", fields).await;
            assert_eq!(age(&headers).as_deref(), Some(told), "{method} {fields:?}");
        }
    }
    for ageless in [
        format!("/v2/a/manifests/{manifest}"),
        format!("/v2/a/blobs/{blob}"),
        "/v2/".to_owned(),
    ] {
        let (_, headers, _) = surface.ask("GET", &ageless, &[]).await;
        assert_eq!(age(&headers), None, "{ageless}");
    }
}

#[tokio::test]
async fn item_11_head_and_get_agree_in_every_field_but_how_it_came_about() {
    for first in ["HEAD", "GET"] {
        let surface = Surface::new();
        let (manifest, blob) = surface.stock();
        for target in [
            "/v2/".to_owned(),
            "/v2/a/manifests/1".to_owned(),
            format!("/v2/a/manifests/{manifest}?ns=docker.io"),
            format!("/v2/a/blobs/{blob}"),
            "/v2/a/tags/list".to_owned(),
            "/v2/a/tags/list?n=0".to_owned(),
            "/v2/_catalog".to_owned(),
            format!("/v2/a/referrers/{manifest}"),
            "/v2/a/manifests/none".to_owned(),
            "/v2/A/manifests/1".to_owned(),
        ] {
            let said = async |method| {
                let (status, mut headers, body) = surface.ask(method, &target, &[]).await;
                headers.remove("cache-status");
                assert_eq!(body.is_empty(), method == "HEAD", "{method} {target}");
                (status, headers)
            };
            let cold = said(first).await;
            assert_eq!(said("GET").await, cold, "{target}, {first} first");
            assert_eq!(said("HEAD").await, cold, "{target}, {first} first");
        }
    }
}

#[tokio::test]
async fn item_07_08_10_one_tag_has_many_addresses_and_one_record() {
    let surface = Surface::new();
    let (manifest, _) = surface.stock();
    for (host, target) in [
        ("mirror.test", "/v2/a/manifests/1"),
        ("mirror.test", "/v2/docker.io/library/a/manifests/1"),
        ("mirror.test", "/docker.io/v2/a/manifests/1"),
        ("mirror.test", "/v2/a/manifests/1?ns=index.docker.io"),
        ("hub.mirror.test:5000", "/v2/a/manifests/1"),
        ("Docker.IO", "/v2/a/manifests/1"),
    ] {
        let (status, headers, _) = surface.ask("GET", target, &[("host", host)]).await;
        assert_eq!(status, StatusCode::OK, "{host} {target}");
        assert_eq!(headers["docker-content-digest"], manifest.as_str());
        assert!(!headers.contains_key("location"));
    }
    let asked = [
        "HEAD manifest 1".to_owned(),
        format!("GET manifest {manifest}"),
    ];
    assert_eq!(surface.house.upstream.calls(), asked);
}

#[tokio::test]
async fn an_absolute_target_says_whom_the_client_means_in_place_of_host() {
    let request = Request::builder()
        .uri("http://Hub.mirror.test:80/v2/")
        .header(HeaderName::from_static("host"), "ghcr.io");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    assert_eq!(host(&parts), Some("Hub.mirror.test:80"));

    let surface = Surface::new();
    surface.stock();
    let other = "http://evil.example/v2/a/manifests/1";
    let request = Request::builder().uri(other).body(()).unwrap();
    // Nobody of that name is asked: it means as much as no name.
    let (response, _) = surface.api.handle(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(surface.house.upstream.count("HEAD manifest 1"), 1);
}
