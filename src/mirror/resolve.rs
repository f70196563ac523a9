//! A tag: its record while that is good, else one question to upstream for all who ask.

use std::sync::Arc;
use std::time::Duration;

use super::absent::Missing;
use super::access::Right;
use super::freshness::{Freshness, freshness};
use super::question::Resolved;
use super::{Answer, Mirror, MirrorError, Outcome, flight};
use crate::oci::{Accepts, Tag};
use crate::store::{Record, RecordKey};
use crate::upstream::ErrorKind;

impl Mirror {
    /// What the tag points to, for a client that takes `accepts`.
    ///
    /// All share the answer to the question with every modern type, which is what nearly all clients take. Who does
    /// not take what that brings gets upstream's answer to exactly its own set, under a record of its own.
    pub(super) async fn resolve(
        self: &Arc<Self>,
        right: &Right,
        tag: &Tag,
        accepts: Accepts,
    ) -> Result<Resolved, MirrorError> {
        let key = |accepts| RecordKey {
            origin: right.origin.clone(),
            tag: tag.clone(),
            accepts,
        };
        let shared = self.resolve_as(right, &key(Accepts::MODERN)).await;
        let own = match &shared {
            Ok(resolved) => !accepts.takes(&resolved.value.media_type),
            // In an outage its own record stands in, where it has one.
            Err(error) => {
                accepts.names_more_than(Accepts::MODERN)
                    && (is_missing(error)
                        || error.outage().is_some() && self.record(&key(accepts)).is_some())
            }
        };
        if own {
            self.resolve_as(right, &key(accepts)).await
        } else {
            shared
        }
    }

    /// What the tag points to under the key's own set of types.
    ///
    /// Within `ttl` the record answers. After it upstream is asked; a yes, a new digest and a 404 are answers
    /// and change the record, an outage is not: then the record stands in, marked stale and within bounds. It
    /// also does when upstream is known to be slow or out, or turns out to be: no client waits for what it can do without.
    async fn resolve_as(
        self: &Arc<Self>,
        right: &Right,
        key: &RecordKey,
    ) -> Result<Resolved, MirrorError> {
        let way = self.upstream(&key.origin.upstream)?;
        let policy = way.tags.of(&key.origin.repository, &key.tag);
        let Some(record) = self.record(key) else {
            if let Some(error) = self
                .absent
                .said(&Missing::of(key, right.who), policy.negative_ttl)
            {
                return Err(error);
            }
            let (question, began) = self.begin_question(right, key, None, Freshness::Expired);
            let answer = question.await.unwrap_or(Err(MirrorError::Abandoned));
            return answer.map(|resolved| joined(resolved, began));
        };
        let judged = self.freshness_of(key, &record)?;
        if judged == Freshness::Fresh {
            return Ok(self.answer_with(record, Outcome::Hit));
        }
        let (question, began) = self.begin_question(right, key, Some(record.clone()), judged);
        let standing = right.registry.standing();
        let answer = match right.patience.hear(judged, standing, question).await {
            Ok(answer) => answer,
            Err(why) => return Ok(self.answer_with(record, Outcome::Stale(why))),
        };
        match answer.unwrap_or(Err(MirrorError::Abandoned)) {
            Ok(resolved) => Ok(joined(resolved, began)),
            Err(error) => match stands_in(&error, judged) {
                Some(why) => Ok(self.answer_with(record, Outcome::Stale(why))),
                None => Err(error),
            },
        }
    }

    /// What is known of the tag. A catalog that cannot be read knows nothing.
    pub(super) fn record(&self, key: &RecordKey) -> Option<Record> {
        self.store.record(key).unwrap_or_else(|error| {
            tracing::warn!(%error, "catalog cannot be read");
            None
        })
    }

    /// What the record is good for now.
    pub(super) fn freshness_of(
        &self,
        key: &RecordKey,
        record: &Record,
    ) -> Result<Freshness, MirrorError> {
        let way = self.upstream(&key.origin.upstream)?;
        let policy = way.tags.of(&key.origin.repository, &key.tag);
        Ok(freshness(policy, record.checked_at, self.clock.now()))
    }

    /// Puts the one question about `key` under way, or joins it. It goes on whoever waits.
    pub(super) fn begin_question(
        self: &Arc<Self>,
        right: &Right,
        key: &RecordKey,
        old: Option<Record>,
        judged: Freshness,
    ) -> (flight::Answer<Result<Resolved, MirrorError>>, bool) {
        let asked = (key.clone(), right.who);
        self.resolutions.begin(&asked, || {
            let (mirror, right, key) = (Arc::clone(self), right.clone(), key.clone());
            async move { mirror.ask(&right, &key, old, judged).await }
        })
    }

    /// A record of ours as the answer, with its age.
    pub(super) fn answer_with(&self, record: Record, outcome: Outcome) -> Resolved {
        let age = self.clock.now().saturating_sub(record.checked_at);
        Answer {
            value: record,
            outcome,
            age: Some(Duration::from_secs(age)),
        }
    }
}

/// Whether upstream said that there is no such thing.
pub(super) fn is_missing(error: &MirrorError) -> bool {
    error
        .upstream()
        .is_some_and(|error| matches!(error.kind(), ErrorKind::NotFound { .. }))
}

/// The answer as seen by one who did not begin the question.
fn joined(mut resolved: Resolved, began: bool) -> Resolved {
    if !began && resolved.outcome == Outcome::Miss {
        resolved.outcome = Outcome::Join;
    }
    resolved
}

/// Whether an older record may answer in upstream's place, and why. Offline there is nobody to ask, ever:
/// then any record may.
pub(super) fn stands_in(error: &MirrorError, judged: Freshness) -> Option<&'static str> {
    let why = error.outage()?;
    let offline = error
        .upstream()
        .is_some_and(|error| *error.kind() == ErrorKind::Offline);
    (judged != Freshness::Expired || offline).then_some(why)
}
