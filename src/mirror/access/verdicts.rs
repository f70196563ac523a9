//! What upstream has shown to whom: remembered for a bounded time, in memory only.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::Fingerprint;
use crate::mirror::{Clock, MirrorError};
use crate::store::Origin;

/// Verdicts remembered at most. What is pushed out is asked about again.
const MOST: u64 = 64 * 1024;

/// How long upstream's word about a client counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessPolicy {
    /// A yes, at most; less when the credentials end sooner. What was revoked upstream is given out for so long.
    pub allow: Duration,
    /// A no.
    pub deny: Duration,
    /// How long upstream may take for its word, tokens and redirects included. Longer counts as an outage, in time for
    /// what everybody was shown to be given all the same.
    pub patience: Duration,
}

impl Default for AccessPolicy {
    fn default() -> Self {
        Self {
            allow: Duration::from_mins(5),
            deny: Duration::from_secs(10),
            patience: Duration::from_secs(12),
        }
    }
}

/// About whom and what a verdict is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::mirror) struct VerdictKey {
    pub(in crate::mirror) origin: Origin,
    pub(in crate::mirror) who: Fingerprint,
}

/// What upstream said, until when it counts: seconds since the Unix epoch.
#[derive(Clone)]
enum Verdict {
    Allowed { until: u64 },
    Refused { until: u64, why: MirrorError },
}

/// The verdicts.
pub(in crate::mirror) struct Verdicts {
    clock: Arc<dyn Clock>,
    known: Cache<VerdictKey, Verdict>,
    policy: AccessPolicy,
}

impl Verdicts {
    /// None yet.
    pub(in crate::mirror) fn new(clock: Arc<dyn Clock>, policy: AccessPolicy) -> Self {
        Self {
            clock,
            known: Cache::new(MOST),
            policy,
        }
    }

    /// How long upstream may take for its word.
    pub(in crate::mirror) fn patience(&self) -> Duration {
        self.policy.patience
    }

    /// What upstream said about it lately: yes, no, or nothing.
    pub(in crate::mirror) fn known(&self, key: &VerdictKey) -> Option<Result<(), MirrorError>> {
        let now = self.clock.now();
        // A clock that was set back makes verdicts last by as much: never longer than they were meant to.
        let counts = |until: u64, most: Duration| now < until && until - now <= most.as_secs();
        match self.known.get(key)? {
            Verdict::Allowed { until } => counts(until, self.policy.allow).then_some(Ok(())),
            Verdict::Refused { until, why } => counts(until, self.policy.deny).then_some(Err(why)),
        }
    }

    /// Upstream has shown it; at most until the credentials end.
    pub(in crate::mirror) fn allow(&self, key: VerdictKey, expires_at: Option<u64>) {
        let until = self.clock.now().saturating_add(self.policy.allow.as_secs());
        let until = expires_at.map_or(until, |end| end.min(until));
        self.known.insert(key, Verdict::Allowed { until });
    }

    /// What upstream said is in doubt: it is to be asked again.
    pub(in crate::mirror) fn forget(&self, key: &VerdictKey) {
        self.known.invalidate(key);
    }

    /// Upstream refused it.
    pub(in crate::mirror) fn refuse(&self, key: VerdictKey, why: MirrorError) {
        let until = self.clock.now().saturating_add(self.policy.deny.as_secs());
        self.known.insert(key, Verdict::Refused { until, why });
    }
}
