//! The tap counts every byte, and each fault hits the byte it names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::support::bound::until;
use crate::support::http::{ask, get, open, send};
use crate::support::registry::Access;
use crate::support::tap::Crossing;
use crate::support::upstream::Upstream;
use crate::support::{digest, noise};

const PATIENCE: Duration = Duration::from_secs(20);

/// A registry behind a tap, with one blob: its path and bytes.
async fn one_blob(seed: u64) -> (Upstream, String, Vec<u8>) {
    let upstream = Upstream::start(Access::Open).await;
    let bytes = noise(seed, 1_000_000);
    let digest = upstream.registry.push_blob("library/blob", &bytes).await;
    (upstream, format!("/v2/library/blob/blobs/{digest}"), bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_counts_what_crosses() {
    let (upstream, path, bytes) = one_blob(7).await;
    let tap = &upstream.tap;
    assert!(
        open(tap.address(), &path)
            .await
            .compare(&bytes)
            .await
            .is_whole(&bytes)
    );
    let part = send(
        tap.address(),
        "GET",
        &path,
        &[("Range", "bytes=999000-")],
        b"",
    )
    .await
    .whole()
    .await;
    assert_eq!((part.status(), &part.body[..]), (206, &bytes[999_000..]));
    send(tap.address(), "HEAD", &path, &[], b"")
        .await
        .whole()
        .await;

    assert_eq!(tap.count(|request| request.method == "GET"), 2);
    assert_eq!(tap.count(|request| request.range.is_some()), 1);
    assert_eq!(tap.count(|request| request.status == Some(200)), 2);
    assert_eq!(
        tap.blobs()[&digest(&bytes)],
        Crossing {
            gets: 2,
            bytes: 1_001_000
        }
    );
    assert_eq!(tap.blob_bytes(), 1_001_000);
    tap.forget();
    assert_eq!(tap.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_cuts_at_the_very_byte_of_the_blob() {
    let (upstream, path, bytes) = one_blob(8).await;
    let tap = &upstream.tap;
    tap.on(&path).cut_at(123_456);
    let cut = open(tap.address(), &path).await.compare(&bytes).await;
    assert_eq!((cut.size, cut.right, cut.complete), (123_456, true, false));
    let resumed = [("Range", "bytes=123456-")];
    let cut = send(tap.address(), "GET", &path, &resumed, b"")
        .await
        .compare(&bytes[123_456..])
        .await;
    assert_eq!(
        (cut.size, cut.complete),
        (0, false),
        "a fetch that resumes is cut at the same byte"
    );
    tap.heal();
    assert!(
        open(tap.address(), &path)
            .await
            .compare(&bytes)
            .await
            .is_whole(&bytes)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_flips_one_bit_once() {
    let (upstream, path, bytes) = one_blob(9).await;
    let tap = &upstream.tap;
    tap.on(&path).once().flip_at(700_000);
    let mut flipped = bytes.clone();
    flipped[700_000] ^= 1;
    assert!(
        open(tap.address(), &path)
            .await
            .compare(&flipped)
            .await
            .is_whole(&flipped)
    );
    assert!(
        open(tap.address(), &path)
            .await
            .compare(&bytes)
            .await
            .is_whole(&bytes)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_holds_an_answer_until_it_is_released() {
    let (upstream, path, bytes) = one_blob(10).await;
    let tap = &upstream.tap;
    let gate = tap.on(&path).gate_at(500_000);
    let mut download = open(tap.address(), &path).await;
    gate.reached().await;
    assert_eq!(tap.blob_bytes(), 500_000);
    let mut buffer = vec![0; 64 * 1024];
    let mut half = 0;
    while half < 500_000 {
        half += download
            .next(&mut buffer)
            .await
            .expect("the first half")
            .len();
    }
    assert_eq!(half, 500_000);
    gate.release();
    assert!(
        download
            .compare(&bytes[500_000..])
            .await
            .is_whole(&bytes[500_000..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_answers_in_place_of_the_upstream_and_closes() {
    let (mut upstream, path, _) = one_blob(11).await;
    upstream.tap.on(&path).once().answer(503);
    assert_eq!(get(upstream.tap.address(), &path).await.status(), 503);
    assert_eq!(get(upstream.tap.address(), &path).await.status(), 200);
    upstream.tap.close().await;
    assert!(
        tokio::net::TcpStream::connect(upstream.tap.address())
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_stalls_without_closing() {
    let (upstream, path, bytes) = one_blob(12).await;
    upstream.tap.on(&path).stall_at(1000);
    let mut download = open(upstream.tap.address(), &path).await;
    let mut buffer = vec![0; 4096];
    assert_eq!(download.next(&mut buffer).await, Some(&bytes[..1000]));
    let more = tokio::time::timeout(Duration::from_millis(200), download.next(&mut buffer)).await;
    assert!(more.is_err(), "something came after the stall");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_cuts_each_answer_where_it_is_told_to() {
    let (upstream, path, bytes) = one_blob(13).await;
    let tap = &upstream.tap;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    tap.on(&path).cut_where(move |bytes| {
        noted.lock().push(bytes.clone());
        (bytes.start == 0).then_some(400_000)
    });
    let cut = open(tap.address(), &path).await.compare(&bytes).await;
    assert_eq!((cut.size, cut.right, cut.complete), (400_000, true, false));
    let resumed = [("Range", "bytes=400000-")];
    let rest = send(tap.address(), "GET", &path, &resumed, b"").await;
    let rest = rest.compare(&bytes[400_000..]).await;
    assert!(rest.is_whole(&bytes[400_000..]), "{rest:?}");
    assert_eq!(*asked.lock(), [0..1_000_000, 400_000..1_000_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_takes_requests_and_answers_none() {
    let (upstream, path, _) = one_blob(14).await;
    upstream.tap.on(&path).never_answer();
    let asked = ask(upstream.tap.address(), "GET", &path, &[], b"").await;
    until("the request is there", PATIENCE, async || {
        upstream.tap.count(|request| request.status.is_none()) == 1
    })
    .await;
    let silent = tokio::time::timeout(Duration::from_millis(200), asked.answered());
    assert!(silent.await.is_err(), "an answer out of a black hole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_is_for_all_connections_together() {
    let (upstream, path, bytes) = one_blob(15).await;
    upstream.tap.throttle(Some(8_000_000));
    let began = Instant::now();
    let pulls = (0..2).map(async |_| {
        open(upstream.tap.address(), &path)
            .await
            .compare(&bytes)
            .await
    });
    for got in join_all(pulls).await {
        assert!(got.is_whole(&bytes), "{got:?}");
    }
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(200),
        "2 MB at 8 MB/s took {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_of_each_connection_is_not_shared() {
    let (upstream, path, bytes) = one_blob(17).await;
    let both = async || {
        let began = Instant::now();
        let pulls = (0..2).map(async |_| {
            let download = open(upstream.tap.address(), &path).await;
            download.compare(&bytes).await
        });
        for got in join_all(pulls).await {
            assert!(got.is_whole(&bytes), "{got:?}");
        }
        began.elapsed()
    };
    // Once is enough, of a few times: other work on this machine comes in between.
    let mut tried = Vec::new();
    while tried.len() < 3 {
        upstream.tap.throttle_each(None);
        upstream.tap.throttle(Some(2_000_000));
        let together = both().await;
        upstream.tap.throttle(None);
        upstream.tap.throttle_each(Some(2_000_000));
        let each = both().await;
        assert!(
            each > Duration::from_millis(400),
            "1 MB at 2 MB/s took {each:?}"
        );
        if each < together {
            return;
        }
        tried.push((each, together));
    }
    panic!("(each, together): {tried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_knows_what_was_under_way_at_once() {
    let (upstream, path, _) = one_blob(16).await;
    let tap = &upstream.tap;
    for _ in 0..3 {
        get(tap.address(), &path).await;
        // Its end is seen here before the tap has seen it.
        let ended = async || tap.count(|request| request.ended.is_none()) == 0;
        until("the request has ended", PATIENCE, ended).await;
    }
    assert_eq!(tap.most_at_once(&path), 1);
    let gate = tap.on(&path).gate_at(1000);
    let held = join_all((0..2).map(|_| open(tap.address(), &path))).await;
    gate.release();
    for download in held {
        download.whole().await;
    }
    assert_eq!(tap.most_at_once(&path), 2);
    assert_eq!(tap.most_at_once("/manifests/"), 0);
}
