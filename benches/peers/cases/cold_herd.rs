//! Many clients who ask for one cold blob at once.

use std::time::Duration;

use crate::MIB;
use crate::cases::{LIMIT, UPLINK, clients, emptied, in_turn_mut, mebibytes};
use crate::load::herd;
use crate::options::Options;
use crate::peer::{DISTRIBUTION, Peer};
use crate::results::{Figure, Results};
use crate::stage::Stage;

pub(crate) const NAME: &str = "cold_herd";

const BYTES: Figure = Figure::less(NAME, "bytes from upstream ÷ the blob's");
const CLOCK: Figure = Figure::less(NAME, "seconds until the last client has all of it");
const PROCESSOR: Figure = Figure::less(NAME, "CPU-seconds of the server");
const ERRORS: Figure = Figure::less(NAME, "clients without a whole answer");

/// More than so many get a smaller blob: what goes out to all of them is the same.
const MANY: usize = 32;

/// Measures it.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let large = stage.blob(1, options.scale(256, 32) * MIB).await;
    let small = stage.blob(2, options.scale(20, 4) * MIB).await;
    let mut peers = Peer::caches(&stage.url()).await;
    stage.upstream.tap.throttle(Some(UPLINK));
    results.note(
        NAME,
        "The upstream sends 100 MB/s. nginx is a cache (slices of 8 MiB, locked).",
    );
    // It fetches for each client anew, so the time it takes grows with them: one round, and no thousand.
    let patience = options.scale(100, MANY);
    results.note(NAME, format!("{DISTRIBUTION} in one round only, and up to {patience} clients: it fetches anew for each."));
    for round in 1..=options.rounds() {
        for many in options.scale(vec![1, 10, 32, 100, 1000], vec![1, 32, 1000]) {
            let blob = if many > MANY { &small } else { &large };
            let size = blob.bytes.len();
            let variant = format!("{}, {}", clients(many), mebibytes(size));
            eprintln!("   round {round}: {variant}");
            for peer in in_turn_mut(&mut peers, round) {
                if peer.name == DISTRIBUTION && (round > 1 || many > patience) {
                    continue;
                }
                emptied(&stage, peer).await;
                let before = peer.processor_time();
                let come =
                    tokio::task::block_in_place(|| herd(peer.address, &blob.path, many, LIMIT));
                let (tally, clock) = come.unwrap_or_else(|error| panic!("{peer:?}: {error}"));
                stage.settled(peer).await;
                let processor = peer.processor_time().saturating_sub(before);
                let mut add = |figure, value| results.add(figure, &variant, peer.name, value);
                add(BYTES, ratio(stage.upstream.tap.blob_bytes(), size as u64));
                add(CLOCK, Duration::as_secs_f64(&clock));
                add(PROCESSOR, processor.as_secs_f64());
                add(ERRORS, ratio(tally.errors, 1));
            }
        }
    }
    results
}

#[allow(clippy::cast_precision_loss, reason = "figures of three digits")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
