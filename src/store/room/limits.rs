//! How much may be kept, and how much of the disk is left alone.

use std::path::Path;
use std::time::Duration;

use crate::store::Policy;

/// The bounds that eviction keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes that content, unfinished fills and what fills have reserved may take together.
    pub capacity: u64,
    /// The share of the capacity above which [`Retention::relieve`](crate::store::Retention::relieve) begins to evict.
    pub high: f64,
    /// The share of the capacity that it evicts down to.
    pub low: f64,
    /// Bytes of the file system that are left free.
    pub min_free: u64,
    /// Content that was used within this time is not evicted.
    pub min_age: Duration,
    /// Who goes first.
    pub policy: Policy,
}

impl Default for Limits {
    /// No bound at all.
    fn default() -> Self {
        Self::of(u64::MAX)
    }
}

/// The most that is left to others where nobody says how much.
const MOST_SPARE: u64 = 1 << 30;

impl Limits {
    /// The bytes of the file system under `root`, which need not be there yet, that suit [`Limits::min_free`]: a fiftieth,
    /// and 1 GiB at most.
    pub fn spare(root: &Path) -> u64 {
        let told = root
            .ancestors()
            .find_map(|place| rustix::fs::statvfs(place).ok());
        told.map_or(0, |it| {
            let size = it.f_blocks.saturating_mul(it.f_frsize);
            (size / 50).min(MOST_SPARE)
        })
    }

    /// A bound of `capacity` bytes; relieved from 95 to 90 percent of it.
    pub fn of(capacity: u64) -> Self {
        Self {
            capacity,
            high: 0.95,
            low: 0.9,
            min_free: 0,
            min_age: Duration::ZERO,
            policy: Policy::default(),
        }
    }

    /// `share` of the capacity in bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of bytes need not be exact"
    )]
    pub(super) fn share(&self, share: f64) -> u64 {
        ((self.capacity as f64 * share) as u64).min(self.capacity)
    }
}
