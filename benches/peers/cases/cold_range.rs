//! A few bytes from the middle of a cold blob, as lazy pullers ask for them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::MIB;
use crate::cases::{UPLINK, emptied, in_turn_mut, mebibytes};
use crate::options::Options;
use crate::peer::{DIRECT, Peer};
use crate::results::{Figure, Results};
use crate::stage::Stage;
use crate::support::http::send;

pub(crate) const NAME: &str = "cold_range";

const WAIT: Figure = Figure::less(NAME, "ms until 1000 bytes from the middle are here");
const BYTES: Figure = Figure::less(NAME, "MB from upstream");

const LENGTH: usize = 1000;

/// Measures it.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let size = options.scale(256, 64) * MIB;
    let blob = stage.blob(1, size).await;
    let mut peers = Peer::caches(&stage.url()).await;
    stage.upstream.tap.throttle(Some(UPLINK));
    results.note(
        NAME,
        "The upstream sends 100 MB/s. nginx is a cache (slices of 8 MiB, locked).",
    );
    let variant = format!("of {}", mebibytes(size));
    let expected = &blob.bytes[size / 2..][..LENGTH];
    for round in 1..=options.rounds() {
        eprintln!("   round {round}");
        let tap = &stage.upstream.tap;
        tap.forget();
        let wait = ask(stage.direct(), &blob.path, size / 2, expected).await;
        let mut add = |peer, wait: Duration| {
            results.add(WAIT, &variant, peer, wait.as_secs_f64() * 1e3);
            results.add(BYTES, &variant, peer, megabytes(tap.blob_bytes()));
        };
        add(DIRECT, wait);
        for peer in in_turn_mut(&mut peers, round) {
            emptied(&stage, peer).await;
            let wait = ask(peer.address, &blob.path, size / 2, expected).await;
            stage.settled(peer).await;
            add(peer.name, wait);
        }
    }
    results
}

/// Asks for a range and reads until it is here: who answers with the whole is read up to there.
async fn ask(from: SocketAddr, path: &str, at: usize, expected: &[u8]) -> Duration {
    let range = format!("bytes={at}-{}", at + expected.len() - 1);
    let began = Instant::now();
    let mut download = send(from, "GET", path, &[("Range", &range)], b"").await;
    let whole = download.head.status() == Some(200);
    let (mut skip, mut buffer, mut body) =
        (if whole { at } else { 0 }, vec![0; 64 * 1024], Vec::new());
    while body.len() < expected.len() {
        let piece = download.next(&mut buffer).await.unwrap_or_default();
        assert!(!piece.is_empty(), "{from}{path}: {range} is not there");
        let passed = skip.min(piece.len());
        skip -= passed;
        body.extend_from_slice(&piece[passed..]);
    }
    assert_eq!(&body[..expected.len()], expected, "{from}{path}: {range}");
    began.elapsed()
}

#[allow(clippy::cast_precision_loss, reason = "figures of three digits")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
