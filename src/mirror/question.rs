//! One question about a tag: what upstream is asked, and what becomes of its answer.

use std::sync::Arc;
use std::time::Duration;

use super::absent::Missing;
use super::access::{Right, VerdictKey};
use super::fills::Feed;
use super::freshness::Freshness;
use super::{Answer, ManifestSummary, Mirror, MirrorError, Outcome};
use crate::oci::{Digest, Manifest, Reference};
use crate::store::{Fact, Record, RecordKey, Role};
use crate::upstream::{ErrorKind, ManifestHead};

pub(super) type Resolved = Answer<Record>;

impl Mirror {
    /// One HEAD with the key's set of types; more only where upstream's HEAD does not tell enough. `judged` says what
    /// `old` is still good for.
    pub(super) async fn ask(
        self: &Arc<Self>,
        right: &Right,
        key: &RecordKey,
        old: Option<Record>,
        judged: Freshness,
    ) -> Result<Resolved, MirrorError> {
        // The last question may have ended between the look at the record and the beginning of this one.
        if let Some(record) = self.record(key)
            && old.as_ref() != Some(&record)
            && self.freshness_of(key, &record)? == Freshness::Fresh
        {
            return Ok(self.answer_with(record, Outcome::Hit));
        }
        let registry = &right.registry;
        let reference = Reference::Tag(key.tag.clone());
        let head = registry
            .head_manifest(&key.origin.repository, &reference, key.accepts)
            .await;
        let record = match head {
            Ok(head) => self.record_of(right, key, head).await?,
            Err(error) => {
                let is_missing = matches!(error.kind(), ErrorKind::NotFound { .. });
                let error = error.into();
                if is_missing {
                    self.absent.note(Missing::of(key, right.who), &error);
                    self.gone(right, key);
                }
                return Err(error);
            }
        };
        let link = right.link(&record.digest, Role::Manifest);
        self.absent.shown(&Missing::manifest(&link, right.who));
        let unchanged = old.as_ref().is_some_and(|old| old.digest == record.digest);
        if let Some(old) = old.filter(|_| !unchanged) {
            let may_wait =
                judged != Freshness::Expired && self.fills.content(&record.digest).is_none();
            if may_wait && registry.standing().is_spent {
                // A GET would be counted against us, and what there is will do for a while.
                return Ok(self.answer_with(old, Outcome::Stale("rate-limit")));
            }
            // A record that works is not given up for one whose manifest is not here yet.
            self.bring_manifest(right, &link, Feed::Manifest).await?;
        }
        let outcome = if unchanged {
            Outcome::Revalidated
        } else {
            Outcome::Miss
        };
        self.keep(key, &record);
        Ok(Answer {
            value: record,
            outcome,
            age: Some(Duration::ZERO),
        })
    }

    /// The record that upstream's HEAD describes, completed from the manifest where it says too little.
    async fn record_of(
        self: &Arc<Self>,
        right: &Right,
        key: &RecordKey,
        head: ManifestHead,
    ) -> Result<Record, MirrorError> {
        let Some(digest) = head.digest else {
            return self.record_by_get(right, key).await;
        };
        if let (Some(media_type), Some(size)) = (head.media_type, head.size)
            && media_type.is_manifest()
        {
            return Ok(Record {
                digest,
                media_type,
                size,
                checked_at: self.clock.now(),
            });
        }
        let link = right.link(&digest, Role::Manifest);
        let brought = self.bring_manifest(right, &link, Feed::Manifest).await?;
        Ok(self.record_for(brought.value.summary()))
    }

    /// Fetches the manifest by tag and names it ourselves: for upstreams whose HEAD has no digest.
    async fn record_by_get(
        self: &Arc<Self>,
        right: &Right,
        key: &RecordKey,
    ) -> Result<Record, MirrorError> {
        let registry = &right.registry;
        let reference = Reference::Tag(key.tag.clone());
        let body = registry
            .get_manifest(&key.origin.repository, &reference, key.accepts)
            .await?;
        let digest = body
            .digest
            .unwrap_or_else(|| Digest::sha256_of(&body.bytes));
        // Nonsense in upstream's place is not worth keeping, and must not look like a manifest's absence.
        if let Err(error) = Manifest::parse(&body.bytes, None) {
            return Err(MirrorError::NotAManifest(digest, Arc::new(error)));
        }
        let link = right.link(&digest, Role::Manifest);
        // Upstream has just shown it.
        self.scribe.shown([link.clone()]);
        let brought = self
            .bring_manifest(right, &link, Feed::Held(body.bytes))
            .await?;
        Ok(self.record_for(brought.value.summary()))
    }

    fn record_for(&self, manifest: ManifestSummary) -> Record {
        Record {
            digest: manifest.digest,
            media_type: manifest.media_type,
            size: manifest.size,
            checked_at: self.clock.now(),
        }
    }

    /// The tag is that from now on, and its repository has shown it.
    pub(super) fn keep(&self, key: &RecordKey, record: &Record) {
        let link = super::link(&key.origin, &record.digest, Role::Manifest);
        let record = Fact::Record(key.clone(), Some(record.clone()));
        self.scribe.learn(&[Fact::Link(link, true), record]);
    }

    /// Upstream says that there is no such tag. To the mirror that is the end of the record. To a client it may be the
    /// end of that one's right only, which registries like to hide: then nothing is taken from the others, and the
    /// client has to show its right anew.
    fn gone(&self, right: &Right, key: &RecordKey) {
        match right.who {
            None => self.forget(key),
            Some(who) => {
                let origin = key.origin.clone();
                self.verdicts.forget(&VerdictKey { origin, who });
            }
        }
    }

    /// Forgets the record, if there is one: most 404s are about what never was.
    pub(super) fn forget(&self, key: &RecordKey) {
        if !matches!(self.store.record(key), Ok(None)) {
            self.scribe.learn(&[Fact::Record(key.clone(), None)]);
        }
    }
}
