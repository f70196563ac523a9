//! A narrow uplink: so many bytes a second, however many connections share them, or for one of them.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// What was not used lately may be made up for, as far back as this: timers are coarser than pieces of a body.
const SLACK: Duration = Duration::from_millis(10);

/// The uplink's width; as wide as it goes unless said otherwise.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Option<Pace>>);

#[derive(Debug)]
struct Pace {
    /// Bytes per second.
    rate: u64,
    /// When the next byte may go.
    next: Instant,
}

impl Throttle {
    pub(super) fn set(&self, bytes_per_second: Option<u64>) {
        *self.0.lock() = bytes_per_second.map(|rate| Pace {
            rate,
            next: Instant::now(),
        });
    }

    /// Waits until so many bytes may go.
    pub(super) async fn pass(&self, bytes: u64) {
        let due = self.0.lock().as_mut().map(|pace| pace.take(bytes));
        if let Some(due) = due {
            sleep_until(due).await;
        }
    }
}

impl Pace {
    fn take(&mut self, bytes: u64) -> Instant {
        let now = Instant::now();
        let due = self.next.max(now.checked_sub(SLACK).unwrap_or(now));
        self.next = due + Duration::from_nanos(bytes * 1_000_000_000 / self.rate);
        due
    }
}
