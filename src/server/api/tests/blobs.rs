//! Blobs: ranges, conditions, and answers that do not come.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::io::DuplexStream;
use tokio::time::Instant;

use super::surface::{Surface, WITHIN};
use crate::mirror::testkit::{Script, Step, gate, halves, noise, origin};
use crate::oci::Digest;
use crate::server::DoorLimits;
use crate::server::testkit::{Client, Visit, field, parts};

/// Sends a GET for ranges through a door of the surface, on `client`, and reads the whole answer.
async fn ask_ranges(
    client: &mut Client<DuplexStream>,
    target: &str,
    ranges: &str,
) -> (String, Vec<u8>) {
    let range = format!("Range: bytes={ranges}");
    client
        .send(format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\n{range}\r\n\r\n"
        ))
        .await;
    let head = client.head().await;
    let length = field(&head, "content-length").unwrap().parse().unwrap();
    let body = client.bytes(length).await;
    (head, body)
}

fn visit(surface: &Surface) -> Visit {
    Visit::with(&surface.api, DoorLimits::default(), 4096)
}

#[tokio::test]
async fn item_31_37_a_range_of_a_cold_blob_is_cut_out_of_the_fill() {
    let surface = Surface::new();
    let (_, blob) = surface.stock();
    let target = format!("/v2/a/blobs/{blob}");
    for outcome in ["miss", "hit"] {
        let range = [("range", "bytes=299000-")];
        let (status, headers, body) = surface.ask("GET", &target, &range).await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(headers["content-range"], "bytes 299000-299999/300000");
        assert_eq!(headers["content-length"], "1000");
        assert_eq!(headers["accept-ranges"], "bytes");
        assert!(body == noise(300_000)[299_000..]);
        let told = headers["cache-status"].to_str().unwrap();
        assert!(told.ends_with(&format!("detail={outcome}")), "{told}");
    }
    let asked = format!("GET blob {blob} part 262144-8650751");
    assert_eq!(surface.house.upstream.calls(), [asked]);
    let beyond = surface
        .ask("GET", &target, &[("range", "bytes=300000-")])
        .await;
    assert_eq!(beyond.0, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.1["content-range"], "bytes */300000");
}

#[tokio::test]
async fn item_12_a_copy_that_is_good_is_not_sent_again() {
    let surface = Surface::new();
    let (manifest, blob) = surface.stock();
    for (target, digest) in [
        ("/v2/a/manifests/1".to_owned(), &manifest),
        (format!("/v2/a/blobs/{blob}"), &blob),
    ] {
        for good in [
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            digest.to_string(),
            format!("\"other\", \"{digest}\""),
            format!("W/\"a,b\",W/\"{digest}\""),
            "*".to_owned(),
        ] {
            let answer = surface
                .ask("GET", &target, &[("if-none-match", &good)])
                .await;
            assert_eq!(answer.0, StatusCode::NOT_MODIFIED, "{target} {good}");
            assert_eq!(answer.1["etag"], format!("\"{digest}\""));
            assert_eq!(answer.1["docker-content-digest"], digest.to_string());
            assert!(answer.2.is_empty());
        }
        let other = Digest::sha256_of(b"other");
        for bad in [
            format!("\"{other}\""),
            other.to_string(),
            format!("\"{digest}x\""),
        ] {
            let answer = surface
                .ask("GET", &target, &[("if-none-match", &bad)])
                .await;
            assert_eq!(answer.0, StatusCode::OK, "{target} {bad}");
        }
    }
}

#[tokio::test]
async fn item_32_34_37_every_range_is_a_part_cold_and_warm() {
    let bytes = noise(300_000);
    for number in [2, 64, 1024] {
        let surface = Surface::new();
        let (_, blob) = surface.stock();
        let target = format!("/v2/a/blobs/{blob}");
        // From the end to the beginning; each one touches the next.
        let starts: Vec<_> = (0..number).map(|n| 300_000 - 250 * (n + 1)).collect();
        let ranges: Vec<_> = starts
            .iter()
            .map(|start| format!("{start}-{}", start + 249))
            .collect();
        let mut visit = visit(&surface);
        for warmth in ["cold", "warm"] {
            let (head, body) = ask_ranges(&mut visit.client, &target, &ranges.join(", ")).await;
            assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
            assert_eq!(field(&head, "content-range"), None);
            assert_eq!(field(&head, "accept-ranges"), Some("bytes"));
            assert_eq!(field(&head, "docker-content-digest"), Some(blob.as_str()));
            let parts = parts(field(&head, "content-type").unwrap(), &body);
            assert_eq!(parts.len(), number, "{warmth}");
            for ((start, range), (told, part)) in starts.iter().zip(&ranges).zip(parts) {
                assert_eq!(told, format!("bytes {range}/300000"));
                assert!(part == bytes[*start..start + 250], "{warmth} {range}");
            }
            surface.house.settle().await;
        }
        // The body was as long as its head said: the connection goes on.
        visit.client.get("/v2/").await;
        assert!(visit.client.head().await.starts_with("HTTP/1.1 200 "));
        // Each unit once, however many parts lie in it.
        let asked = surface.house.upstream.count("GET blob");
        assert!((1..=5).contains(&asked), "{asked}");
    }
}

#[tokio::test]
async fn item_31_35_a_range_that_holds_nothing_is_no_part() {
    let surface = Surface::new();
    let (_, blob) = surface.stock();
    let target = format!("/v2/a/blobs/{blob}");
    let mut visit = visit(&surface);
    for (ranges, told) in [
        ("300000-,0-0,-0", &["bytes 0-0/300000"][..]),
        (
            "299999-300005,400000-400001,0-0",
            &["bytes 299999-299999/300000", "bytes 0-0/300000"],
        ),
    ] {
        let (head, body) = ask_ranges(&mut visit.client, &target, ranges).await;
        let parts = parts(field(&head, "content-type").unwrap(), &body);
        let parts: Vec<_> = parts.iter().map(|(range, _)| range.as_str()).collect();
        assert_eq!(parts, told, "{ranges}");
    }
    let (head, _) = ask_ranges(&mut visit.client, &target, "300000-,-0").await;
    assert!(head.starts_with("HTTP/1.1 416 "), "{head}");
    assert_eq!(field(&head, "content-range"), Some("bytes */300000"));
    let (head, body) = ask_ranges(&mut visit.client, &target, "5-9").await;
    assert_eq!(field(&head, "content-range"), Some("bytes 5-9/300000"));
    assert_eq!(body, noise(300_000)[5..10]);
}

#[tokio::test]
async fn item_33_too_many_ranges_are_a_400_and_begin_nothing() {
    let surface = Surface::new();
    let (_, blob) = surface.stock();
    let mut visit = visit(&surface);
    for number in [1025, 5000, 20_000] {
        let ranges: Vec<_> = (0..number).map(|n| format!("{0}-{0}", 2 * n)).collect();
        let target = format!("/v2/a/blobs/{blob}");
        let (head, body) = ask_ranges(&mut visit.client, &target, &ranges.join(",")).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{number}: {head}");
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["errors"][0]["code"], "RANGE_INVALID");
    }
    assert_eq!(surface.house.upstream.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_request_sent_during_a_fill_is_answered_after_it() {
    let surface = Surface::new();
    let (bytes, gate) = (noise(300_000), gate());
    let blob = Digest::sha256_of(&bytes);
    let script = halves(&bytes, Step::Gate(Arc::clone(&gate)));
    surface.house.upstream.on_blob(&blob, script);
    let mut visit = visit(&surface);
    let client = &mut visit.client;
    client.get(&format!("/v2/a/blobs/{blob}")).await;
    client.head().await;
    assert!(client.bytes(150_000).await == bytes[..150_000]);
    // The answer waits for upstream now, and the door for news of the client.
    client.get("/v2/").await;
    tokio::task::yield_now().await;
    gate.add_permits(1);
    assert!(client.bytes(150_000).await == bytes[150_000..]);
    assert_eq!(client.answer().await.1, "{}");
}

#[tokio::test]
async fn who_has_a_blob_begins_no_download_and_needs_the_right_to_it() {
    let surface = Surface::new();
    let (_, blob) = surface.stock();
    let good = [("if-none-match", format!("\"{blob}\""))];
    let good = [(good[0].0, good[0].1.as_str()), ("range", "bytes=0-9")];
    for (repository, status) in [
        ("a", StatusCode::NOT_MODIFIED),
        ("stranger", StatusCode::NOT_FOUND),
    ] {
        let target = format!("/v2/{repository}/blobs/{blob}");
        assert_eq!(surface.ask("GET", &target, &good).await.0, status);
    }
    assert_eq!(surface.house.upstream.count("GET"), 0);
}

#[tokio::test(start_paused = true)]
async fn item_43_an_answer_that_does_not_come_is_a_504_in_time() {
    let surface = Surface::new();
    let (bytes, gate) = (Bytes::from_static(b"late"), gate());
    let blob = Digest::sha256_of(&bytes);
    let steps = vec![Step::Gate(Arc::clone(&gate)), Step::Send(bytes.clone())];
    surface.house.upstream.on_blob(&blob, Script::of(steps));
    surface
        .house
        .upstream
        .has_blob(&origin("library/a"), &blob, 4);
    let target = format!("/v2/a/blobs/{blob}");
    // A small blob is answered when its digest matches.
    for _ in 0..2 {
        let began = Instant::now();
        let (status, headers, body) = surface.ask("GET", &target, &[]).await;
        assert_eq!(began.elapsed(), WITHIN);
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
        let told = headers["cache-status"].to_str().unwrap();
        assert!(told.ends_with("detail=\"error(upstream)\""), "{told}");
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["errors"][0]["code"], "UNAVAILABLE");
    }
    // The download went on without them.
    gate.add_permits(1);
    let (status, _, body) = surface.ask("GET", &target, &[]).await;
    assert_eq!((status, body), (StatusCode::OK, bytes.to_vec()));
    assert_eq!(surface.house.upstream.count("GET blob"), 1);
}
