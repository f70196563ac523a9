//! A thousand clients on one cold blob, each coming when and where it likes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{MIB, alone, ratio, scale};
use crate::support::cold::ColdBlob;
use crate::support::dice::Dice;
use crate::support::http::send;

const SIZE: usize = 20 * MIB;

/// Bytes a second of the uplink: the download takes about two seconds.
const UPLINK: u64 = 10_000_000;

/// What is held back until the digest is known; the first reader is not here before the end.
const HELD_BACK: usize = 64 * 1024;

/// Bytes that may be on their way when a request is given up: a few pieces, and what the kernel holds.
const ON_ITS_WAY: u64 = 256 * 1024;

/// The first client, which says how far it has come.
async fn lead(cold: Arc<ColdBlob>, come: watch::Sender<usize>) {
    let mut download = cold.open().await;
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let piece = download.next(&mut buffer).await.expect("the whole body");
        if piece.is_empty() {
            break;
        }
        assert!(cold.bytes[size..].starts_with(piece), "wrong at {size}");
        size += piece.len();
        come.send_replace(size);
    }
    assert_eq!(size, cold.bytes.len());
}

/// A client that comes when the first one has `when` bytes and wants those from `from` on.
async fn join(
    cold: Arc<ColdBlob>,
    mut come: watch::Receiver<usize>,
    when: usize,
    from: Option<usize>,
) {
    come.wait_for(|come| *come >= when)
        .await
        .expect("the first reader goes on");
    let range = from.map(|from| format!("bytes={from}-"));
    let fields: Vec<_> = range
        .iter()
        .map(|range| ("Range", range.as_str()))
        .collect();
    let download = send(cold.mirror.address, "GET", &cold.path, &fields, b"").await;
    let status = if from.is_some() { 206 } else { 200 };
    assert_eq!(download.head.status(), Some(status), "{:?}", download.head);
    let expected = &cold.bytes[from.unwrap_or(0)..];
    let got = download.compare(expected).await;
    assert!(
        got.is_whole(expected),
        "came at {when}, from {from:?}: {got:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_cost_one_download() {
    let _alone = alone().await;
    let clients = scale(1000, 50);
    let mut dice = Dice::thrown_for("herd");
    let cold = Arc::new(ColdBlob::of(SIZE).await);
    cold.upstream.tap.throttle(Some(UPLINK));

    let (tells, told) = watch::channel(0);
    let mut reading = JoinSet::new();
    for number in 0..clients {
        let when = dice.within(0..SIZE - HELD_BACK);
        let from = (number % 2 == 1).then(|| dice.within(0..SIZE));
        reading.spawn(join(Arc::clone(&cold), told.clone(), when, from));
    }
    reading.spawn(lead(Arc::clone(&cold), tells));
    while let Some(ended) = reading.join_next().await {
        ended.expect("a client that gets what it came for");
    }

    let crossed = cold.upstream.tap.blobs()[&cold.digest];
    let crossings = ratio(crossed.bytes, SIZE as u64);
    println!(
        "herd: {clients} clients, {crossings:.4} x the bytes crossed in {} requests",
        crossed.gets
    );
    // A request that ends where another one began leaves what was on its way.
    let more = crossed.gets.saturating_sub(1) as u64;
    assert!(
        more <= 4 && crossed.bytes <= SIZE as u64 + more * ON_ITS_WAY,
        "{crossed:?}"
    );
}
