//! Threads that look after the store for as long as the process lives: what is here is listed once, and hashed anew at a
//! limited rate. They end with the process, in the midst of anything: each of their steps is whole by itself.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::store::{DiskStore, Retention, Scrub, StoreError, Verdict};

/// Between the beginnings of two passes that hash everything anew.
const PASS_EVERY: Duration = Duration::from_hours(24);

/// So many bytes pass between two pauses of a thread that keeps to a rate.
const STRIDE: u64 = 1024 * 1024;

/// Starts the thread. `verify_rate` is in bytes per second; without one nothing is hashed anew.
pub(super) fn begin(store: Arc<DiskStore>, verify_rate: Option<u64>) -> std::io::Result<()> {
    let work = move || {
        if let Err(error) = store.scan(|_| true) {
            tracing::error!(%error, "the data folder cannot be listed: what is not known stays where it is");
        }
        let Some(rate) = verify_rate else { return };
        loop {
            let began = Instant::now();
            if let Err(error) = pass(&store, rate) {
                tracing::error!(%error, "content cannot be hashed anew");
            }
            rest(
                PASS_EVERY
                    .saturating_sub(began.elapsed())
                    .max(Duration::from_mins(1)),
            );
        }
    };
    thread::Builder::new()
        .name("upkeep".to_owned())
        .spawn(work)
        .map(drop)
}

/// Hashes all content anew, at this rate.
fn pass(store: &DiskStore, rate: u64) -> Result<(), StoreError> {
    let scrub = Scrub::open(store.root())?;
    let mut pace = Pace::new(rate);
    for digest in scrub.digests() {
        let digest = digest?;
        match store.verify(&digest, &mut |bytes| pace.read(bytes)) {
            Ok(Verdict::Wrong) => {
                tracing::error!(%digest, "content has gone wrong on disk; set aside");
            }
            Ok(Verdict::Right(_) | Verdict::Gone) => {}
            Err(error) => tracing::warn!(%digest, %error, "content cannot be hashed anew"),
        }
    }
    Ok(())
}

/// Keeps reading to a rate, by pauses.
struct Pace {
    rate: u64,
    owed: u64,
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self { rate, owed: 0 }
    }

    fn read(&mut self, bytes: u64) {
        self.owed += bytes;
        if self.owed >= STRIDE {
            let millis = self.owed.saturating_mul(1000) / self.rate.max(1);
            rest(Duration::from_millis(millis));
            self.owed = 0;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this thread is nobody else's: it holds up only itself"
)]
fn rest(time: Duration) {
    thread::sleep(time);
}
