//! How much memory a server takes for what it sends.

use crate::MIB;
use crate::cases::{LIMIT, UPLINK, at_work, clients, emptied, in_turn_mut, mebibytes};
use crate::load::herd;
use crate::options::Options;
use crate::peer::{DISTRIBUTION, Peer};
use crate::results::{Figure, Results};
use crate::stage::Stage;

pub(crate) const NAME: &str = "memory";

const IDLE: Figure = Figure::less(NAME, "MiB resident when idle");
const ABOVE: Figure = Figure::less(NAME, "MiB above idle at the peak");

const HITS: usize = 128;
const FOLLOWERS: usize = 32;

/// Measures it.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let size = options.scale(1024, 256) * MIB;
    let blob = stage.blob(1, size).await;
    let mut peers = Peer::caches(&stage.url()).await;
    results.note(
        NAME,
        "All processes of a server added up. nginx is a cache (slices of 8 MiB, locked).",
    );
    results.note(
        NAME,
        format!("{DISTRIBUTION} is not asked for cold followers: it fetches anew for each."),
    );
    let hits = format!("hits, {} of {}", clients(HITS), mebibytes(size));
    let followers = format!("cold, {} of {}", clients(FOLLOWERS), mebibytes(size));
    for round in 1..=options.rounds() {
        eprintln!("   round {round}");
        for peer in in_turn_mut(&mut peers, round) {
            stage.upstream.tap.throttle(None);
            stage.fill(peer, &blob.path, size).await;
            peer.restart().await;
            let idle = peer.resident();
            results.add(IDLE, "idle", peer.name, mib(idle));
            peer.forget_peak();
            at_work(peer, &blob.path, HITS, options.window()).await;
            let above = peer.peak().saturating_sub(idle);
            results.add(ABOVE, &hits, peer.name, mib(above));

            if peer.name == DISTRIBUTION {
                continue;
            }
            stage.upstream.tap.throttle(Some(UPLINK));
            emptied(&stage, peer).await;
            let idle = peer.resident();
            peer.forget_peak();
            let come =
                tokio::task::block_in_place(|| herd(peer.address, &blob.path, FOLLOWERS, LIMIT));
            let (tally, _) = come.unwrap_or_else(|error| panic!("{peer:?}: {error}"));
            assert_eq!(tally.errors, 0, "{peer:?}: {tally:?}");
            let above = peer.peak().saturating_sub(idle);
            results.add(ABOVE, &followers, peer.name, mib(above));
            stage.settled(peer).await;
        }
    }
    results
}

#[allow(clippy::cast_precision_loss, reason = "figures of three digits")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
