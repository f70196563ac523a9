//! What a small answer costs: a manifest that is here, by tag and by digest.

use crate::cases::{at_work, clients, in_turn};
use crate::load::ACCEPT;
use crate::options::Options;
use crate::results::{Figure, Results};
use crate::stage::Stage;
use crate::support::http::send;
use crate::support::images::{Format, Layout};

pub(crate) const NAME: &str = "manifest_hits";

const PROCESSOR: Figure = Figure::less(NAME, "CPU µs of the server per request");
const REQUESTS: Figure = Figure::more(NAME, "requests/s");

/// Measures it.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let registry = &stage.upstream.registry;
    let layout = Layout::image(1, &[1000; 8]);
    let push = registry.push(&layout, "library/small", "one", Format::Oci);
    let digest = push.await;
    let paths =
        ["one", &digest].map(|reference| format!("/v2/library/small/manifests/{reference}"));
    let asked = send(
        registry.address(),
        "GET",
        &paths[1],
        &[("Accept", ACCEPT)],
        b"",
    );
    let manifest = asked.await.whole().await.body;
    results.note(
        NAME,
        format!("A manifest of {} bytes, over connections that are kept. nginx serves files (open_file_cache).", manifest.len()),
    );
    let files = paths.each_ref().map(|path| (&**path, &*manifest));
    let peers = stage.all_with(&files, options, NAME, &mut results).await;
    for round in 1..=options.rounds() {
        for (path, kind) in paths.iter().zip(["by tag", "by digest"]) {
            for many in [16, 64] {
                let variant = format!("{kind}, {}", clients(many));
                eprintln!("   round {round}: {variant}");
                for peer in in_turn(&peers, round) {
                    let work = at_work(peer, path, many, options.window()).await;
                    stage.upstream.tap.forget();
                    let answers = work.answers();
                    let processor = work.processor.as_secs_f64() * 1e6;
                    results.add(PROCESSOR, &variant, peer.name, processor / answers);
                    let clock = work.clock.as_secs_f64();
                    results.add(REQUESTS, &variant, peer.name, answers / clock);
                }
            }
        }
    }
    results
}
