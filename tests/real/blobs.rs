//! Blobs and their ranges, held against what the protocol says of each (RFC 9110 section 14).

use std::time::Duration;

use crate::support::http::{Answer, send};
use crate::support::mirror::{Mirror, Plan};
use crate::support::scripted::{Reply, Scripted};
use crate::support::upstream::Upstream;
use crate::support::{digest, noise};

const SIZE: usize = 10_000;

async fn ask(mirror: &Mirror, method: &str, target: &str, range: Option<&str>) -> Answer {
    let fields: Vec<_> = range.iter().map(|range| ("Range", *range)).collect();
    let answer = send(mirror.address, method, target, &fields, b"").await;
    answer.whole().await
}

#[tokio::test(flavor = "multi_thread")]
async fn item_30_37_a_blob_of_no_bytes_is_whole_however_it_is_asked_for() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let blob = upstream.registry.push_blob("library/a", b"").await;
    let target = format!("/v2/a/blobs/{blob}");
    for round in ["cold", "warm"] {
        for (method, range) in [
            ("HEAD", None),
            ("GET", None),
            ("GET", Some("bytes=0-")),
            ("GET", Some("bytes=-1")),
            ("GET", Some("bytes=0-0,5-9")),
            ("HEAD", Some("bytes=0-")),
        ] {
            let answer = ask(&mirror, method, &target, range).await;
            let what = format!("{method} {range:?}, {round}");
            assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
            assert_eq!(answer.head.field("content-length"), Some("0"), "{what}");
            assert_eq!(answer.head.field("docker-content-digest"), Some(&*blob));
            assert_eq!(answer.head.field("accept-ranges"), Some("bytes"), "{what}");
            assert!(answer.body.is_empty() && answer.complete, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_31_35_36_37_each_form_of_a_range_is_what_it_says() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let bytes = noise(3, SIZE);
    let blob = upstream.registry.push_blob("library/a", &bytes).await;
    let target = format!("/v2/a/blobs/{blob}");
    for round in ["cold", "warm"] {
        for (range, from, to) in [
            ("bytes=9990-9999", 9_990, SIZE),
            ("bytes=0-0", 0, 1),
            ("bytes=100-199", 100, 200),
            ("bytes=5000-", 5_000, SIZE),
            ("bytes=-1", SIZE - 1, SIZE),
            ("bytes=-20000", 0, SIZE),
            ("bytes=9000-10000", 9_000, SIZE),
            ("bytes=0-99999999999", 0, SIZE),
        ] {
            let answer = ask(&mirror, "GET", &target, Some(range)).await;
            assert_eq!(answer.status(), 206, "{range}, {round}");
            assert!(
                answer.body == bytes[from..to],
                "{range}, {round}: other bytes"
            );
            let told = format!("bytes {from}-{}/{SIZE}", to - 1);
            assert_eq!(answer.head.field("content-range"), Some(&*told), "{range}");
            let kind = answer.head.field("content-type");
            assert_eq!(kind, Some("application/octet-stream"), "{range}");
            assert_eq!(answer.head.field("accept-ranges"), Some("bytes"), "{range}");
        }
        for beyond in ["bytes=10000-", "bytes=10000-10001", "bytes=-0"] {
            let answer = ask(&mirror, "GET", &target, Some(beyond)).await;
            assert_eq!(answer.status(), 416, "{beyond}, {round}");
            let told = answer.head.field("content-range");
            assert_eq!(told, Some("bytes */10000"), "{beyond}");
            assert_eq!(answer.error_code().as_deref(), Some("RANGE_INVALID"));
        }
        for ignored in ["bytes=9-0", "bytes=a-b", "lines=0-1", "bytes", "0-9", ""] {
            let answer = ask(&mirror, "GET", &target, Some(ignored)).await;
            assert_eq!(answer.status(), 200, "{ignored:?}, {round}");
            assert!(answer.body == bytes, "{ignored:?}, {round}: other bytes");
            assert_eq!(answer.head.field("accept-ranges"), Some("bytes"));
        }
        let answer = ask(&mirror, "HEAD", &target, Some("bytes=0-9")).await;
        assert_eq!(answer.status(), 200, "HEAD, {round}");
        assert_eq!(answer.head.field("content-length"), Some("10000"));
        assert_eq!(answer.head.field("content-range"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_33_more_ranges_than_anybody_needs_are_a_bad_request() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let ranges: Vec<_> = (0..5000).map(|n| format!("{0}-{0}", 2 * n)).collect();
    let range = format!("bytes={}", ranges.join(","));
    let target = format!("/v2/a/blobs/{}", digest(b"any"));
    let answer = ask(&mirror, "GET", &target, Some(&range)).await;
    assert_eq!(answer.status(), 400, "{}", answer.text());
    upstream.heard_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn item_48_a_body_without_a_length_that_is_cut_leaves_nothing() {
    let bytes = noise(4, 1_000_000);
    let blob = digest(&bytes);
    let upstream = Scripted::start(move |asked| {
        let reply = Reply::honest(asked, &bytes);
        reply.chunked().cut_after(600_000)
    })
    .await;
    let mirror = Plan::of_url(upstream.url()).patient_for("2s").start().await;
    let target = format!("/v2/library/a/blobs/{blob}");
    let download = send(mirror.address, "GET", &target, &[], b"").await;
    match download.head.status() {
        Some(200) => assert!(!download.whole().await.complete, "a complete body"),
        status => assert!(matches!(status, Some(502..=504)), "{status:?}"),
    }
    mirror.rests(Duration::from_mins(1)).await;
    assert_eq!(mirror.content().len(), 0);
}
