//! What of an upstream's answer reaches a client, and what an upstream that gives none does to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::support::digest;
use crate::support::http::{get, send};
use crate::support::mirror::Plan;
use crate::support::registry::Access;
use crate::support::scripted::{Asked, Reply, Scripted};
use crate::support::upstream::Upstream;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The fields that our answers have, all of them.
const OURS: [&str; 14] = [
    "accept-ranges",
    "age",
    "cache-control",
    "cache-status",
    "connection",
    "content-length",
    "content-type",
    "date",
    "docker-content-digest",
    "docker-distribution-api-version",
    "etag",
    "retry-after",
    "vary",
    "x-content-type-options",
];

/// What upstreams say of themselves, and of us, beside what they are asked for.
const THEIRS: [(&str, &str); 11] = [
    ("RateLimit-Limit", "100;w=21600"),
    ("RateLimit-Remaining", "99;w=21600"),
    ("Docker-RateLimit-Source", "192.0.2.1"),
    ("Set-Cookie", "session=secret"),
    ("Set-Cookie", "route=1; Path=/"),
    ("Server", "upstream/1.0"),
    ("Content-Encoding", "identity"),
    ("X-Powered-By", "upstream"),
    ("Via", "1.1 upstream"),
    (
        "WWW-Authenticate",
        "Bearer realm=\"https://auth.test/token\"",
    ),
    ("Strict-Transport-Security", "max-age=1"),
];

/// A manifest of nothing but an empty configuration.
fn manifest() -> Vec<u8> {
    let empty = digest(b"{}");
    let config = format!(
        "{{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"{empty}\",\"size\":2}}"
    );
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\",\"config\":{config},\"layers\":[]}}"
    )
    .into_bytes()
}

/// What a registry with one image answers.
fn answer(asked: &Asked, manifest: &[u8]) -> Reply {
    let path = asked.path.split('?').next().unwrap_or_default();
    if path.ends_with("/manifests/none") || path.contains("/referrers/") {
        Reply::new(404, b"{\"errors\":[]}")
    } else if path.contains("/manifests/") {
        let reply = Reply::new(200, manifest).field("Content-Type", MANIFEST);
        reply.field("Docker-Content-Digest", digest(manifest))
    } else if path.contains("/blobs/") {
        Reply::honest(asked, b"{}")
    } else {
        let list = br#"{"name":"library/a","tags":["one"]}"#;
        Reply::new(200, list).field("Content-Type", "application/json")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_13_14_what_upstream_says_of_itself_and_of_us_stops_here() {
    let manifest = Arc::new(manifest());
    let told = Arc::clone(&manifest);
    let upstream = Scripted::start(move |asked| {
        let reply = answer(asked, &told);
        let theirs = THEIRS.into_iter();
        theirs.fold(reply, |reply, (name, value)| reply.field(name, value))
    })
    .await;
    let mirror = Plan::of_url(upstream.url()).start().await;
    let (name, empty) = (digest(&manifest), digest(b"{}"));
    for round in ["cold", "warm"] {
        for (target, status) in [
            ("/v2/".to_owned(), 200),
            ("/v2/a/manifests/one".to_owned(), 200),
            (format!("/v2/a/manifests/{name}"), 200),
            (format!("/v2/a/blobs/{empty}"), 200),
            ("/v2/a/tags/list".to_owned(), 200),
            ("/v2/_catalog".to_owned(), 200),
            ("/v2/a/manifests/none".to_owned(), 404),
        ] {
            for (method, coding) in [
                ("HEAD", "gzip"),
                ("GET", "zstd, gzip, deflate, br"),
                ("GET", "*"),
                ("GET", "identity;q=0"),
            ] {
                let fields = [("Accept", MANIFEST), ("Accept-Encoding", coding)];
                let answer = send(mirror.address, method, &target, &fields, b"").await;
                let what = format!("{method} {target}, {round}");
                assert_eq!(answer.head.status(), Some(status), "{what}");
                for (field, value) in &answer.head.fields {
                    let is_ours = OURS.contains(&&*field.to_ascii_lowercase());
                    assert!(is_ours, "{what}: {field}: {value}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_upstream_are_told_as_the_operator_chose() {
    for (config, status, code) in [
        ("", 503, "UNAVAILABLE"),
        ("rate_limited_status = 503", 503, "UNAVAILABLE"),
        ("rate_limited_status = 429", 429, "TOOMANYREQUESTS"),
    ] {
        let upstream = Scripted::start(|_| Reply::new(429, b"").field("Retry-After", "17")).await;
        let plan = Plan::of_url(upstream.url()).of_server(config);
        let mirror = plan.start().await;
        let answer = mirror.get("/v2/a/manifests/one").await;
        assert_eq!(answer.status(), status, "{}", answer.text());
        assert_eq!(answer.error_code().as_deref(), Some(code));
        let wait = answer.head.field("retry-after").unwrap();
        assert!(matches!(wait.parse(), Ok(1..=17)), "{wait}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_43_a_silent_upstream_is_an_error_well_inside_thirty_seconds() {
    let upstream = Upstream::start(Access::Open).await;
    // Nothing is said of patience: this is how long it is by default.
    let mirror = Plan::of(&upstream.tap).start().await;
    upstream.tap.on("/v2/").never_answer();
    let empty = digest(b"{}");
    let targets = [
        "/v2/a/manifests/one".to_owned(),
        format!("/v2/a/manifests/{empty}"),
        format!("/v2/a/blobs/{empty}"),
        "/v2/a/tags/list".to_owned(),
        format!("/v2/a/referrers/{empty}"),
    ];
    let asks = targets.iter().map(async |target| {
        let began = Instant::now();
        let answer = get(mirror.address, target).await;
        (target, answer, began.elapsed())
    });
    for (target, answer, waited) in join_all(asks).await {
        let (status, text) = (answer.status(), answer.text());
        assert!(matches!(status, 503 | 504), "{target}: {text}");
        assert!(waited < Duration::from_secs(27), "{target}: {waited:?}");
    }
}
