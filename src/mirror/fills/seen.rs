//! Fills under way, as the operator sees them.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::time::Instant;

use super::fill::Fill;
use super::state::Phase;
use super::table::Fills;
use crate::store::Link;

/// One download in progress, at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillSeen {
    /// What is downloaded, and from where.
    pub link: Link,
    /// Its size in bytes, once that is known.
    pub size: Option<u64>,
    /// How many of them are here.
    pub present: u64,
    /// Requests that take part.
    pub followers: usize,
    /// How long it has been going on.
    pub since: Duration,
    /// Where it stands, in one word: `beginning`, `open`, `ending` or `verified`.
    pub phase: &'static str,
}

impl Fill {
    fn seen(&self, now: Instant) -> FillSeen {
        let state = self.state().borrow();
        FillSeen {
            link: self.link().clone(),
            size: state.ground.size(),
            present: state.ground.present().len(),
            followers: state.seats,
            since: now.saturating_duration_since(self.began()),
            phase: match state.phase {
                Phase::Beginning => "beginning",
                Phase::Open => "open",
                Phase::Ending(_) | Phase::Ended(_) => "ending",
                Phase::Verified => "verified",
            },
        }
    }
}

impl Fills {
    /// All fills under way, the oldest first.
    pub(in crate::mirror) fn seen(&self) -> Vec<FillSeen> {
        let now = Instant::now();
        let mut seen: Vec<_> = self.under_way().iter().map(|fill| fill.seen(now)).collect();
        seen.sort_by_key(|fill| Reverse(fill.since));
        seen
    }
}
