//! How long a blob takes that nobody asked for yet, over an uplink of a gigabit a second, and what it costs.

use crate::MIB;
use crate::cases::{LIMIT, UPLINK, emptied, in_turn_mut, mebibytes, pull};
use crate::options::Options;
use crate::peer::{DIRECT, Peer};
use crate::results::{Figure, Results};
use crate::stage::Stage;

pub(crate) const NAME: &str = "cold_blob";

const CLOCK: Figure = Figure::less(NAME, "seconds");
const PROCESSOR: Figure = Figure::less(NAME, "CPU-seconds of the server");

/// Measures it.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let blob = stage.blob(1, options.scale(1024, 128) * MIB).await;
    let mut peers = Peer::caches(&stage.url()).await;
    stage.upstream.tap.throttle(Some(UPLINK));
    results.note(
        NAME,
        "The upstream sends 100 MB/s. nginx is a cache (slices of 8 MiB, locked).",
    );
    let variant = mebibytes(blob.bytes.len());
    for round in 1..=options.rounds() {
        eprintln!("   round {round}");
        let clock = pull(stage.direct(), &blob.path, LIMIT).await;
        results.add(CLOCK, &variant, DIRECT, clock.as_secs_f64());
        for peer in in_turn_mut(&mut peers, round) {
            emptied(&stage, peer).await;
            let before = peer.processor_time();
            let clock = pull(peer.address, &blob.path, LIMIT).await;
            stage.settled(peer).await;
            let processor = peer.processor_time().saturating_sub(before);
            results.add(CLOCK, &variant, peer.name, clock.as_secs_f64());
            results.add(PROCESSOR, &variant, peer.name, processor.as_secs_f64());
        }
    }
    results
}
