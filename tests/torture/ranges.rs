//! Clients that come for parts: each gets its own at once, and what they leave is not fetched twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::{MIB, alone, ratio, scale};
use crate::support::cold::ColdBlob;
use crate::support::dice::Dice;
use crate::support::http::send;

/// Bytes a second of the uplink: readers stand side by side and not one after another.
const UPLINK: u64 = 100_000_000;

/// Parts that are fetched are cut out of the blob along these lines, at the finest.
const UNIT: usize = 64 * 1024;

/// What is left of a download when its clients have gone must be over within this.
const PATIENCE: Duration = Duration::from_mins(1);

impl ColdBlob {
    async fn on_a_narrow_uplink(size: usize) -> Arc<Self> {
        let cold = Self::of(size).await;
        cold.upstream.tap.throttle(Some(UPLINK));
        Arc::new(cold)
    }

    /// Asks for `from-` or `from-last`, reads `size` bytes of what comes, and leaves.
    async fn read(&self, range: String, from: usize, size: usize) {
        let fields = [("Range", range.as_str())];
        let mut download = send(self.mirror.address, "GET", &self.path, &fields, b"").await;
        assert_eq!(download.head.status(), Some(206), "{:?}", download.head);
        let mut buffer = vec![0; 64 * 1024];
        let mut come = 0;
        while come < size {
            let most = buffer.len().min(size - come);
            let piece = download.next(&mut buffer[..most]).await;
            let piece = piece.unwrap_or_else(|| panic!("{range} is cut after {come} bytes"));
            assert!(!piece.is_empty(), "{range} ends after {come} bytes");
            assert!(
                self.bytes[from + come..].starts_with(piece),
                "{range}: wrong at {come}"
            );
            come += piece.len();
        }
    }

    /// Bytes of it that have crossed, for each of its own.
    fn crossings(&self) -> f64 {
        ratio(self.upstream.tap.blob_bytes(), self.bytes.len() as u64)
    }

    /// A whole GET, with right bytes; what its `Cache-Status` says.
    async fn get(&self) -> String {
        let download = self.open().await;
        let told = download.head.field("cache-status").unwrap_or("").to_owned();
        let got = download.compare(&self.bytes).await;
        assert!(got.is_whole(&self.bytes), "{told}: {got:?}");
        told
    }
}

/// As containerd 2.x does with `concurrent_layer_fetch_buffer`: it asks from the beginning of each chunk to the end of
/// the blob, and leaves when the chunk is there.
#[tokio::test(flavor = "multi_thread")]
async fn eight_readers_that_leave_after_their_chunk() {
    let _alone = alone().await;
    let size = scale(256 * MIB, 64 * MIB);
    let cold = ColdBlob::on_a_narrow_uplink(size).await;
    let chunk = size / 8;
    let began = Instant::now();
    let readers = (0..8).map(|number| {
        let from = number * chunk;
        cold.read(format!("bytes={from}-"), from, chunk)
    });
    futures_util::future::join_all(readers).await;
    let took = began.elapsed();
    cold.mirror.rests(PATIENCE).await;
    let at_once = cold.upstream.tap.most_at_once(&cold.path);
    println!(
        "chunks: 8 of {} MiB in {took:?}, {:.4} x the bytes crossed, {at_once} connections at once",
        chunk / MIB,
        cold.crossings()
    );
    assert!(cold.crossings() <= 1.05, "{:.4}", cold.crossings());
    assert!(at_once <= 6, "{at_once} connections at once");

    cold.upstream.tap.forget();
    let told = cold.get().await;
    assert!(told.contains("; hit"), "{told}");
    assert_eq!(cold.upstream.tap.blob_bytes(), 0);
}

/// As stargz, soci and nydus do: pieces from all over, most of the blob never.
#[tokio::test(flavor = "multi_thread")]
async fn scattered_reads_fetch_little_more_than_they_touch() {
    const PIECE: usize = 50_000;
    let _alone = alone().await;
    let (reads, size) = scale((1000, 256 * MIB), (50, 64 * MIB));
    let mut dice = Dice::thrown_for("scattered");
    let cold = ColdBlob::on_a_narrow_uplink(size).await;
    let places: Vec<_> = (0..reads).map(|_| dice.within(0..size - PIECE)).collect();
    let units: BTreeSet<_> = places
        .iter()
        .flat_map(|from| from / UNIT..=(from + PIECE - 1) / UNIT)
        .collect();
    let touched = ratio((units.len() * UNIT) as u64, size as u64);

    let began = Instant::now();
    let reading = places.into_iter().map(|from| {
        let range = format!("bytes={from}-{}", from + PIECE - 1);
        cold.read(range, from, PIECE)
    });
    stream::iter(reading.collect::<Vec<_>>())
        .buffer_unordered(4)
        .for_each(async |()| {})
        .await;
    let took = began.elapsed();
    cold.mirror.rests(PATIENCE).await;
    let parts = cold.crossings();
    let told = cold.get().await;
    println!(
        "scattered: {reads} reads in {took:?} touched {touched:.4}, {parts:.4} crossed; {:.4} with all the rest ({told})",
        cold.crossings()
    );
    assert!(
        parts <= touched * 1.05,
        "{parts:.4} of the blob crossed for {touched:.4} of it"
    );
    assert!(cold.crossings() <= 1.05, "{:.4}", cold.crossings());
}
