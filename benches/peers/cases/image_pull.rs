//! How long dockerd takes to pull an image that nobody pulled yet, over a link on which each connection is slow.

use std::time::Instant;

use crate::MIB;
use crate::cases::{emptied, in_turn_mut, mebibytes};
use crate::options::Options;
use crate::peer::{DIRECT, Peer};
use crate::results::{Figure, Results};
use crate::stage::Stage;
use crate::support::clients::{Client, Docker};
use crate::support::images::{Format, Layout};

pub(crate) const NAME: &str = "image_pull";

const CLOCK: Figure = Figure::less(NAME, "seconds until dockerd has the image");

/// Bytes a second of each connection to the upstream.
const EACH: u64 = 10_000_000;
const LAYERS: usize = 8;
const IMAGE: &str = "docker.io/library/eight:one";

/// Measures it.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let size = options.scale(24, 8) * MIB;
    let layout = Layout::image(1, &[size; LAYERS]);
    let registry = &stage.upstream.registry;
    registry
        .push(&layout, "library/eight", "one", Format::Oci)
        .await;
    let mut peers = Peer::caches(&stage.url()).await;
    stage.upstream.tap.throttle_each(Some(EACH));
    results.note(
        NAME,
        "Each connection to the upstream brings 10 MB/s; dockerd loads three layers at once. nginx is a cache (slices of 8 MiB, locked).",
    );
    let variant = format!("{LAYERS} layers of {}", mebibytes(size));
    for round in 1..=options.rounds() {
        eprintln!("   round {round}");
        let docker = Docker::start(stage.direct()).await;
        results.add(CLOCK, &variant, DIRECT, pull(&docker).await);
        drop(docker);
        for peer in in_turn_mut(&mut peers, round) {
            emptied(&stage, peer).await;
            // A daemon of its own each time: one that forgot an image still knows where its layers were.
            let docker = Docker::start(peer.address).await;
            results.add(CLOCK, &variant, peer.name, pull(&docker).await);
            drop(docker);
            stage.settled(peer).await;
        }
    }
    results
}

async fn pull(docker: &Docker) -> f64 {
    let began = Instant::now();
    docker.pull(IMAGE).await;
    began.elapsed().as_secs_f64()
}
