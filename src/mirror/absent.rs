//! What upstream said it does not have: remembered for seconds, in memory only.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::access::Fingerprint;
use super::{Clock, MirrorError};
use crate::oci::{Accepts, Reference};
use crate::store::{Link, Origin, RecordKey};

/// Answers remembered at most: whoever asks for ever new names pushes out no more than these.
const MOST: u64 = 16 * 1024;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Missing {
    pub(super) origin: Origin,
    pub(super) reference: Reference,
    pub(super) accepts: Accepts,
    /// To whom it was said; `None` for the mirror itself. Some registries say it to those who may not know.
    pub(super) who: Option<Fingerprint>,
}

impl Missing {
    /// The tag that `key` is about.
    pub(super) fn of(key: &RecordKey, who: Option<Fingerprint>) -> Self {
        Self {
            origin: key.origin.clone(),
            reference: Reference::Tag(key.tag.clone()),
            accepts: key.accepts,
            who,
        }
    }

    /// The manifest of `link`, by its digest.
    pub(super) fn manifest(link: &Link, who: Option<Fingerprint>) -> Self {
        Self {
            origin: link.origin.clone(),
            reference: Reference::Digest(link.digest.clone()),
            accepts: Accepts::EVERYTHING,
            who,
        }
    }
}

/// The answers, each with the second it was given in.
pub(super) struct Absent {
    clock: Arc<dyn Clock>,
    said: Cache<Missing, (u64, MirrorError)>,
}

impl Absent {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            said: Cache::new(MOST),
        }
    }

    /// Upstream's 404, if it was said within the last `ttl`.
    pub(super) fn said(&self, missing: &Missing, ttl: Duration) -> Option<MirrorError> {
        let (at, error) = self.said.get(missing)?;
        // A clock that was set back must not make it last.
        let age = self.clock.now().checked_sub(at)?;
        (Duration::from_secs(age) < ttl).then_some(error)
    }

    /// Remembers upstream's 404.
    pub(super) fn note(&self, missing: Missing, error: &MirrorError) {
        self.said.insert(missing, (self.clock.now(), error.clone()));
    }

    /// Forgets it: upstream has shown since that it is there.
    pub(super) fn shown(&self, missing: &Missing) {
        self.said.invalidate(missing);
    }
}
