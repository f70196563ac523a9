//! Connections to the upstream that break at any byte, again and again, are only pauses.

use std::ops::Range;

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;

use super::{MIB, alone, ratio, scale};
use crate::support::blobs::{Blob, blobs};
use crate::support::dice::Dice;
use crate::support::http::open;
use crate::support::mirror::Mirror;
use crate::support::upstream::Upstream;

/// Blobs between two fresh starts of the mirror.
const ROUND: u64 = 10;

/// Pulls at once.
const AT_ONCE: usize = 3;

/// What cuts one pull: each place once, whichever answer comes by.
struct Places(Mutex<Vec<u64>>);

impl Places {
    fn new(mut places: Vec<u64>) -> Self {
        places.sort_unstable();
        Self(Mutex::new(places))
    }

    fn in_answer(&self, bytes: &Range<u64>) -> Option<u64> {
        let mut places = self.0.lock();
        let found = places.iter().position(|place| bytes.contains(place))?;
        Some(places.remove(found))
    }
}

/// Pulls a cold blob while its download is cut one to three times; returns the bytes that crossed.
async fn pull(upstream: &Upstream, mirror: &Mirror, blob: &Blob, mut dice: Dice) -> u64 {
    let size = blob.bytes.len();
    let cuts = dice.within(1..4);
    let places: Vec<_> = (0..cuts).map(|_| dice.within(0..size) as u64).collect();
    let told = format!("{} cut at {places:?}", blob.digest);
    let places = Places::new(places);
    upstream
        .tap
        .on(&blob.path)
        .cut_where(move |bytes| places.in_answer(&bytes));

    let download = open(mirror.address, &blob.path).await;
    assert_eq!(download.head.status(), Some(200), "{told}");
    let got = download.compare(&blob.bytes).await;
    assert!(got.is_whole(&blob.bytes), "{told}: {got:?}");
    let crossed = upstream.tap.blobs()[&blob.digest];
    assert!(crossed.gets > 1, "{told}: never cut");
    assert!(
        ratio(crossed.bytes, size as u64) <= 1.01,
        "{told}: {crossed:?} of {size} bytes"
    );
    crossed.bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_08_cuts_at_any_byte_are_only_pauses() {
    let _alone = alone().await;
    let (rounds, size) = scale((100, 64 * MIB), (5, 8 * MIB));
    let mut dice = Dice::thrown_for("cuts");
    let (upstream, mut mirror) = Upstream::mirrored().await;
    let blobs = blobs(&upstream.registry, ROUND, size).await;
    let mut crossed = 0;
    for _ in 0..rounds {
        let pulls = blobs
            .iter()
            .map(|blob| pull(&upstream, &mirror, blob, dice.split()));
        let pulls: Vec<_> = pulls.collect();
        crossed += stream::iter(pulls)
            .buffer_unordered(AT_ONCE)
            .fold(0, async |sum, bytes| sum + bytes)
            .await;
        upstream.tap.heal();
        upstream.tap.forget();
        mirror.begin_anew().await;
    }
    println!(
        "cuts: {} pulls of {} MiB, {:.4} x the bytes crossed",
        rounds * ROUND,
        size / MIB,
        ratio(crossed, rounds * ROUND * size as u64)
    );
}
