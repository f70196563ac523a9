//! How many bytes of a blob that is here a server sends over TLS for a second of its processor.

use crate::MIB;
use crate::cases::{clients, in_turn, mebibytes};
use crate::options::Options;
use crate::peer::Peer;
use crate::results::{Figure, Results};
use crate::stage::Stage;
use crate::tls::{Protocol, Wish};

pub(crate) const NAME: &str = "tls_hits";

const PER_PROCESSOR: Figure = Figure::more(NAME, "GB per CPU-second of the server");
const BY_THE_CLOCK: Figure = Figure::more(NAME, "GB/s");

/// Measures it.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let blob = stage.blob(1, 256 * MIB).await;
    let peers = [
        Peer::roadstead(&stage.url()).await,
        Peer::nginx_of(&[blob.file()]).await,
    ];
    stage.fill(&peers[0], &blob.path, blob.bytes.len()).await;
    results.note(NAME, "TLS 1.3 with AES-128-GCM; windows of HTTP/2 as clients in Go have them. nginx serves files.");
    for round in 1..=options.rounds() {
        for (protocol, name) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2")] {
            for many in [2, 16] {
                let size = mebibytes(blob.bytes.len());
                let variant = format!("{name}, {size}, {}", clients(many));
                eprintln!("   round {round}: {variant}");
                for peer in in_turn(&peers, round) {
                    let wish = Wish::of(peer.secured, &peer.certificate(), &blob.path, protocol);
                    let working = wish.work(many, options.window(), || peer.processor_time());
                    let work = working
                        .await
                        .unwrap_or_else(|error| panic!("{peer:?}: {error}"));
                    let gigabytes = work.gigabytes();
                    let (processor, clock) =
                        (work.processor.as_secs_f64(), work.clock.as_secs_f64());
                    results.add(PER_PROCESSOR, &variant, peer.name, gigabytes / processor);
                    results.add(BY_THE_CLOCK, &variant, peer.name, gigabytes / clock);
                }
            }
        }
    }
    results
}
