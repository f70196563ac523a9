//! What the API shows, as values: what the page and the `status` command are made of, too.

use serde::Serialize;

use super::named::Declared;
use super::totals::{Gathered, Totals};
use crate::mirror::{FillSeen, UpstreamSeen};
use crate::store::Role;
use crate::upstream::Standing;

/// The whole mirror in a few figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StatusView {
    pub(super) version: &'static str,
    pub(super) uptime_seconds: u64,
    pub(super) offline: bool,
    pub(super) fills_in_flight: u64,
    pub(super) connections: u64,
    pub(super) totals: Totals,
    /// `None` where the store does not tell.
    pub(super) store: Option<StoreView>,
}

/// How full the store is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct StoreView {
    pub(super) capacity: u64,
    pub(super) content: u64,
    pub(super) fills: u64,
    pub(super) reserved: u64,
    pub(super) pinned: u64,
    /// Contents evicted since the start, for whatever reason.
    pub(super) evicted: u64,
    pub(super) evicted_bytes: u64,
}

impl StoreView {
    pub(super) fn of(gathered: &Gathered) -> Option<Self> {
        let bytes = |kind| gathered.gauge("roadstead_store_bytes", &[("kind", kind)]);
        Some(Self {
            capacity: gathered.gauge("roadstead_store_capacity_bytes", &[])?,
            content: bytes("content")?,
            fills: bytes("fills").unwrap_or_default(),
            reserved: bytes("reserved").unwrap_or_default(),
            pinned: bytes("pinned").unwrap_or_default(),
            evicted: gathered.counter("roadstead_store_evictions_total"),
            evicted_bytes: gathered.counter("roadstead_store_evicted_bytes_total"),
        })
    }

    /// What counts against the capacity.
    pub(super) fn used(&self) -> u64 {
        self.content + self.fills + self.reserved
    }
}

/// One upstream.
#[derive(Clone, Debug, Serialize)]
pub(super) struct UpstreamView {
    pub(super) name: String,
    /// Where it is asked.
    pub(super) host: String,
    /// `up`, `slow`, `down` (assumed to be out), `spent` (what it grants is down to the reserve), or `offline` (nobody is
    /// asked).
    pub(super) state: &'static str,
    pub(super) downloads: u64,
    pub(super) downloads_waiting: u64,
    pub(super) ratelimit_remaining: Option<u64>,
    pub(super) ratelimit_limit: Option<u64>,
    pub(super) totals: Totals,
}

impl UpstreamView {
    pub(super) fn of(
        seen: &UpstreamSeen,
        declared: &[Declared],
        offline: bool,
        gathered: &Gathered,
    ) -> Self {
        let labels = [("upstream", &*seen.name)];
        let gauge = |name| gathered.gauge(name, &labels);
        let host = declared.iter().find(|it| it.name == seen.name);
        Self {
            name: seen.name.to_string(),
            host: host.map(|it| it.host.clone()).unwrap_or_default(),
            state: if offline {
                "offline"
            } else {
                state(seen.standing)
            },
            downloads: gauge("roadstead_lanes_busy").unwrap_or_default(),
            downloads_waiting: gauge("roadstead_lanes_waiting").unwrap_or_default(),
            ratelimit_remaining: gauge("roadstead_upstream_ratelimit_remaining"),
            ratelimit_limit: gauge("roadstead_upstream_ratelimit_limit"),
            totals: gathered.totals(Some(&seen.name)),
        }
    }
}

/// The worst that can be said, in one word.
fn state(standing: Standing) -> &'static str {
    if standing.is_down {
        "down"
    } else if standing.is_spent {
        "spent"
    } else if standing.is_slow {
        "slow"
    } else {
        "up"
    }
}

/// One download in progress.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FillView {
    pub(super) digest: String,
    pub(super) kind: &'static str,
    pub(super) upstream: String,
    pub(super) repository: String,
    pub(super) size: Option<u64>,
    pub(super) present: u64,
    pub(super) followers: usize,
    pub(super) since_seconds: u64,
    pub(super) phase: &'static str,
}

impl From<FillSeen> for FillView {
    fn from(seen: FillSeen) -> Self {
        Self {
            digest: seen.link.digest.to_string(),
            kind: match seen.link.role {
                Role::Blob => "blob",
                Role::Manifest => "manifest",
            },
            upstream: seen.link.origin.upstream.to_string(),
            repository: seen.link.origin.repository.to_string(),
            size: seen.size,
            present: seen.present,
            followers: seen.followers,
            since_seconds: seen.since.as_secs(),
            phase: seen.phase,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_called_by_the_worst_of_it() {
        let standing = |is_slow, is_down, is_spent| Standing {
            is_slow,
            is_down,
            is_spent,
        };
        for (standing, word) in [
            (standing(false, false, false), "up"),
            (standing(true, false, false), "slow"),
            (standing(true, false, true), "spent"),
            (standing(true, true, true), "down"),
        ] {
            assert_eq!(state(standing), word);
        }
    }
}
