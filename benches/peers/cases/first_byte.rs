//! How soon the first byte of a cold blob is here, the connection included.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::MIB;
use crate::cases::{UPLINK, in_turn};
use crate::options::Options;
use crate::peer::{DIRECT, Peer};
use crate::results::{Figure, Results};
use crate::stage::Stage;
use crate::support::http::open;

pub(crate) const NAME: &str = "first_byte";

const WAIT: Figure = Figure::less(NAME, "ms until the first byte");

/// Measures it. Each blob is one round, for nobody may have asked for it before.
pub(crate) async fn run(options: &Options) -> Results {
    let mut results = Results::default();
    let stage = Stage::new().await;
    let peers = Peer::caches(&stage.url()).await;
    let asked: Vec<_> = peers.iter().map(Some).chain([None]).collect();
    let blobs = options.scale(40, 12);
    results.note(
        NAME,
        format!(
            "The median of {blobs} blobs. The upstream sends 100 MB/s: without a bound the bytes behind the first keep \
             all cores busy. nginx is a cache (slices of 8 MiB, locked)."
        ),
    );
    stage.upstream.tap.throttle(Some(UPLINK));
    for number in 0..blobs {
        eprintln!("   blob {} of {blobs}", number + 1);
        let blob = stage.blob(1 + number, 10 * MIB).await;
        // Who comes first finds the machine at rest: each does so in its turn, the upstream itself too.
        for asked in in_turn(&asked, number) {
            let (name, address) =
                asked.map_or((DIRECT, stage.direct()), |it| (it.name, it.address));
            let wait = first_byte(address, &blob.path).await;
            if let Some(peer) = asked {
                stage.settled(peer).await;
            }
            results.add(WAIT, "10 MiB", name, wait.as_secs_f64() * 1e3);
        }
    }
    results
}

/// Reads all of it, and says when it began.
async fn first_byte(from: SocketAddr, path: &str) -> Duration {
    let mut buffer = vec![0; 256 * 1024];
    let began = Instant::now();
    let mut download = open(from, path).await;
    let first = download.next(&mut buffer).await.map_or(0, <[u8]>::len);
    let wait = began.elapsed();
    assert!(first > 0, "{from}{path}: no first byte");
    while let Some(1..) = download.next(&mut buffer).await.map(<[u8]>::len) {}
    wait
}
