//! What time it is, as a value handed down: the engine's decisions never ask the system themselves.

use std::time::{SystemTime, UNIX_EPOCH};

/// Wall time, for what is kept across restarts.
pub trait Clock: Send + Sync + 'static {
    /// Seconds since the Unix epoch.
    fn now(&self) -> u64;
}

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}
