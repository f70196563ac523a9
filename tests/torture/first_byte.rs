//! How long the first byte takes: of a cold blob through the mirror against straight, and of those who come together.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;

use super::{MIB, alone, full, scale};
use crate::support::blobs::{Blob, blobs};
use crate::support::http::{Download, ask, open};
use crate::support::upstream::Upstream;

const SIZE: usize = 10 * MIB;

/// Bytes a second of the uplink over which one pulls. A faster one would measure who gets the processor: on a small
/// machine the bytes behind the first keep it busy, upstream's and ours.
const FAST: u64 = 100_000_000;

/// Bytes a second of the uplink behind which a hundred wait, and bytes of the blob. A hundred times as much goes out
/// at once: a faster uplink would measure how long this machine takes for that.
const UPLINK: u64 = 10_000_000;
const SHARED: usize = 2 * MIB;

/// When the first byte came.
async fn first_byte(download: &mut Download) -> Instant {
    let mut one = [0];
    let come = download.next(&mut one).await.expect("a first byte");
    assert_eq!(come.len(), 1);
    Instant::now()
}

/// A whole GET; how long its first byte took, the connection included.
async fn pull(from: SocketAddr, blob: &Blob) -> Duration {
    let began = Instant::now();
    let mut download = open(from, &blob.path).await;
    let first = first_byte(&mut download).await;
    let rest = &blob.bytes[1..];
    assert!(download.compare(rest).await.is_whole(rest));
    first - began
}

/// The value below which this share (percent) of the sorted values lies.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_of_a_cold_blob() {
    let _alone = alone().await;
    let (upstream, mirror) = Upstream::mirrored().await;
    let blobs = blobs(&upstream.registry, scale(30, 7), SIZE).await;
    upstream.tap.throttle(Some(FAST));
    let (mut straight, mut mirrored) = (Vec::new(), Vec::new());
    for blob in &blobs {
        straight.push(pull(upstream.tap.address(), blob).await);
        mirrored.push(pull(mirror.address, blob).await);
        mirror.rests(Duration::from_mins(1)).await;
    }
    straight.sort();
    mirrored.sort();
    let [straight, mirrored] = [straight, mirrored].map(|all| percentile(&all, 50));
    println!(
        "first byte of {} cold pulls, median: {straight:?} straight, {mirrored:?} through the mirror",
        blobs.len()
    );
    if full() {
        assert!(mirrored < straight + Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_of_a_hundred_who_come_together() {
    let _alone = alone().await;
    let (upstream, mirror) = Upstream::mirrored().await;
    let blobs = blobs(&upstream.registry, scale(10, 1), SHARED).await;
    upstream.tap.throttle(Some(UPLINK));
    let mut waits = Vec::new();
    for blob in &blobs {
        let gate = upstream.tap.on(&blob.path).gate_at(0);
        let asking = (0..100).map(|_| ask(mirror.address, "GET", &blob.path, &[], b""));
        let joiners = join_all(asking).await;
        let mut reading = JoinSet::new();
        for joiner in joiners {
            reading.spawn(async move {
                let mut joiner = joiner.answered().await;
                (first_byte(&mut joiner).await, joiner)
            });
        }
        gate.reached().await;
        gate.release();
        let (come, joiners): (Vec<_>, Vec<_>) = reading.join_all().await.into_iter().unzip();
        let requests = upstream.tap.requests();
        let request = requests.iter().find(|request| request.path == blob.path);
        let sent = request.unwrap().first_byte.unwrap();
        waits.extend(
            come.into_iter()
                .map(|come| come.saturating_duration_since(sent)),
        );
        for joiner in joiners {
            let rest = &blob.bytes[1..];
            assert!(joiner.compare(rest).await.is_whole(rest));
        }
    }
    waits.sort();
    println!(
        "first byte of {} joiners behind the upstream's: {:?} median, {:?} p99",
        waits.len(),
        percentile(&waits, 50),
        percentile(&waits, 99)
    );
    if full() {
        assert!(percentile(&waits, 99) < Duration::from_millis(20));
    }
}
