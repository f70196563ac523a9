//! How fast a cold blob comes over a narrow uplink, and what that costs: straight, through the mirror, and through nginx.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::nginx::Nginx;
use super::{MIB, alone, full, scale};
use crate::support::cold::ColdBlob;
use crate::support::http::open;

/// Bytes a second of the uplink.
const UPLINK: u64 = 100_000_000;

/// What one pull took: by the clock, and of the processor.
#[derive(Debug, Clone, Copy)]
struct Cost {
    clock: Duration,
    processor: Duration,
}

impl ColdBlob {
    async fn pull_from(&self, address: SocketAddr) -> Duration {
        let began = Instant::now();
        let download = open(address, &self.path).await;
        let got = download.compare(&self.bytes).await;
        assert!(got.is_whole(&self.bytes), "{got:?}");
        began.elapsed()
    }

    async fn mirrored(&mut self) -> Cost {
        self.mirror.begin_anew().await;
        let before = self.mirror.processor_time();
        let clock = self.pull_from(self.mirror.address).await;
        self.mirror.rests(Duration::from_mins(1)).await;
        let processor = self.mirror.processor_time().saturating_sub(before);
        Cost { clock, processor }
    }

    async fn through_nginx(&self) -> Cost {
        let nginx = Nginx::before(self.upstream.tap.address()).await;
        let before = nginx.processor_time();
        let clock = self.pull_from(nginx.address()).await;
        let processor = nginx.processor_time().saturating_sub(before);
        Cost { clock, processor }
    }
}

/// The one in the middle.
fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

fn medians(costs: &[Cost]) -> Cost {
    Cost {
        clock: median(costs.iter().map(|cost| cost.clock).collect()),
        processor: median(costs.iter().map(|cost| cost.processor).collect()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_blob_over_a_narrow_uplink() {
    let _alone = alone().await;
    let (rounds, size) = scale((5, 1024 * MIB), (3, 256 * MIB));
    let mut cold = ColdBlob::of(size).await;
    cold.upstream.tap.throttle(Some(UPLINK));
    let (mut straight, mut mirror, mut nginx) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        straight.push(cold.pull_from(cold.upstream.tap.address()).await);
        mirror.push(cold.mirrored().await);
        if full() {
            nginx.push(cold.through_nginx().await);
        }
    }
    let (straight, mirror) = (median(straight), medians(&mirror));
    let slower = mirror.clock.as_secs_f64() / straight.as_secs_f64();
    println!(
        "speed: {} MiB at {} MB/s, medians of {rounds}: {straight:?} straight, {:?} through the mirror ({slower:.3} x), \
         {:?} of its processor",
        size / MIB,
        UPLINK / 1_000_000,
        mirror.clock,
        mirror.processor
    );
    if full() {
        let nginx = medians(&nginx);
        println!(
            "speed: {:?} through nginx ({:.3} x), {:?} of its processor; the mirror uses {:.2} x that",
            nginx.clock,
            nginx.clock.as_secs_f64() / straight.as_secs_f64(),
            nginx.processor,
            mirror.processor.as_secs_f64() / nginx.processor.as_secs_f64()
        );
        assert!(slower < 1.05, "{slower:.3} x");
    }
}
