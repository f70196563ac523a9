//! How many bytes of a blob that is here a server sends for a second of its processor.

use crate::MIB;
use crate::cases::{at_work, clients, in_turn, mebibytes};
use crate::options::Options;
use crate::peer::{Peer, SENDFILE};
use crate::results::{Figure, Results};
use crate::stage::{Blob, Stage};

pub(crate) const NAME: &str = "blob_hits";

const PER_PROCESSOR: Figure = Figure::more(NAME, "GB per CPU-second of the server");
const BY_THE_CLOCK: Figure = Figure::more(NAME, "GB/s");

/// Measures it.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let blobs = [
        stage.blob(1, 10 * MIB).await,
        stage.blob(2, options.scale(1024, 256) * MIB).await,
    ];
    let files = blobs.each_ref().map(Blob::file);
    let mut peers = stage.all_with(&files, options, NAME, &mut results).await;
    peers.push(Peer::floor_of(&files).await);
    results.note(
        NAME,
        format!(
            "nginx serves files (sendfile, open_file_cache). \"{SENDFILE}\" is the floor: a process that reads a line, \
             calls sendfile(2) and does nothing else."
        ),
    );
    for round in 1..=options.rounds() {
        for blob in &blobs {
            for many in [1, 16, 128] {
                let variant = format!("{}, {}", mebibytes(blob.bytes.len()), clients(many));
                eprintln!("   round {round}: {variant}");
                for peer in in_turn(&peers, round) {
                    let work = at_work(peer, &blob.path, many, options.window()).await;
                    let gigabytes = work.gigabytes();
                    let processor = work.processor.as_secs_f64();
                    let clock = work.clock.as_secs_f64();
                    results.add(PER_PROCESSOR, &variant, peer.name, gigabytes / processor);
                    results.add(BY_THE_CLOCK, &variant, peer.name, gigabytes / clock);
                }
            }
        }
    }
    results
}
