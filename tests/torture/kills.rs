//! A mirror that is killed in the middle of a download, and goes on where it was.

use super::{MIB, alone, ratio, scale};
use crate::support::blobs::{Blob, blobs};
use crate::support::dice::Dice;
use crate::support::http::open;
use crate::support::mirror::Mirror;
use crate::support::upstream::Upstream;

/// Blobs between two empty data folders.
const ROUND: u64 = 10;

/// Pulls a cold blob, kills the mirror when so many bytes have crossed, and pulls again; returns the bytes that crossed.
///
/// What the client had, the mirror had: no more than the last thirty-second of it was not noted, and some on its way. What
/// the kernel still held for the mirror when it was killed is another matter.
async fn pull_twice(upstream: &Upstream, mirror: &mut Mirror, blob: &Blob, kill_at: usize) -> u64 {
    let mark = upstream.tap.on(&blob.path).mark_at(kill_at as u64);
    let download = open(mirror.address, &blob.path).await;
    let bytes = std::sync::Arc::clone(&blob.bytes);
    let reading = tokio::spawn(async move { download.compare(&bytes).await });
    mark.reached().await;
    mirror.kill();
    upstream.tap.heal();
    let got = reading.await.expect("a reader to its end");
    let told = format!("{} killed at {kill_at}", blob.digest);
    assert!(got.right, "{told}: {got:?}");
    assert!(
        !got.complete || got.is_whole(&blob.bytes),
        "{told}: {got:?}"
    );

    let crossed = || {
        let blobs = upstream.tap.blobs();
        blobs.get(&blob.digest).map_or(0, |crossing| crossing.bytes)
    };
    let at_first = crossed();
    upstream.tap.forget();

    mirror.start().await;
    let download = open(mirror.address, &blob.path).await;
    assert_eq!(download.head.status(), Some(200), "{told}");
    let whole = download.compare(&blob.bytes).await;
    assert!(
        whole.is_whole(&blob.bytes),
        "{told}, pulled again: {whole:?}"
    );
    let again = crossed();
    let size = blob.bytes.len() as u64;
    assert!(
        again + got.size as u64 <= size + size / 32 + MIB as u64,
        "{told}: {got:?}, and {again} bytes crossed again"
    );
    at_first + again
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_mirror_goes_on_where_it_was() {
    let _alone = alone().await;
    let (rounds, size) = scale((20, 64 * MIB), (1, 64 * MIB));
    let mut dice = Dice::thrown_for("kills");
    let (upstream, mut mirror) = Upstream::mirrored().await;
    let blobs = blobs(&upstream.registry, ROUND, size).await;
    // So narrow that a kill comes within the download, and that a debug build beside other work keeps up: what the kernel
    // holds for a process that is behind has crossed, and dies with it.
    upstream.tap.throttle(Some(scale(150_000_000, 64_000_000)));
    let mut crossed = 0;
    for _ in 0..rounds {
        for blob in &blobs {
            let kill_at = dice.within(0..size);
            crossed += pull_twice(&upstream, &mut mirror, blob, kill_at).await;
        }
        mirror.begin_anew().await;
    }
    let crossings = ratio(crossed, rounds * ROUND * size as u64);
    println!(
        "kills: {} of {} MiB, {crossings:.4} x the bytes crossed",
        rounds * ROUND,
        size / MIB
    );
    // Ten kills are few, and a debug build beside other work is behind.
    let most = scale(1.1, 1.2);
    assert!(crossings < most, "{crossings:.4} x the bytes crossed");
}
