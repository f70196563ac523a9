//! A tag: its record while that is fresh, else one question to upstream for all who ask.

use std::sync::Arc;
use std::time::Duration;

use super::fills::Feed;
use super::freshness::{Freshness, freshness};
use super::{Answer, ManifestSummary, Mirror, MirrorError, Outcome};
use crate::oci::{Digest, Manifest, Reference};
use crate::store::{Record, RecordKey, Role};
use crate::upstream::{ErrorKind, ManifestHead};

pub(super) type Resolved = Answer<Record>;

impl Mirror {
    /// What the tag points to.
    ///
    /// Within `ttl` the record answers. After it upstream is asked; a yes, a new digest and a 404 are answers
    /// and change the record, an outage is not: then the record stands in, marked stale and within bounds.
    pub(super) async fn resolve(
        self: &Arc<Self>,
        key: &RecordKey,
    ) -> Result<Resolved, MirrorError> {
        let way = self.upstream(&key.origin.upstream)?;
        let policy = way.tags.of(&key.origin.repository, &key.tag);
        let record = self.store.record(key).unwrap_or_else(|error| {
            tracing::warn!(%error, "catalog cannot be read");
            None
        });
        let judged = record.as_ref().map_or(Freshness::Expired, |record| {
            freshness(policy, record.checked_at, self.clock.now())
        });
        if let (Some(record), Freshness::Fresh) = (&record, judged) {
            return Ok(Answer {
                value: record.clone(),
                outcome: Outcome::Hit,
                age: Some(self.age(record)),
            });
        }
        let ask = || {
            let (mirror, key, old) = (Arc::clone(self), key.clone(), record.clone());
            async move { mirror.ask(&key, old).await }
        };
        let (answer, began) = self.resolutions.run(key, ask).await;
        match (answer.unwrap_or(Err(MirrorError::Abandoned)), record) {
            (Ok(mut resolved), _) => {
                if !began && resolved.outcome == Outcome::Miss {
                    resolved.outcome = Outcome::Join;
                }
                Ok(resolved)
            }
            (Err(error), Some(record)) => match stands_in(&error, judged) {
                Some(why) => Ok(Answer {
                    age: Some(self.age(&record)),
                    value: record,
                    outcome: Outcome::Stale(why),
                }),
                None => Err(error),
            },
            (Err(error), None) => Err(error),
        }
    }

    /// One HEAD with the full Accept set; more only where upstream's HEAD does not tell enough.
    async fn ask(
        self: &Arc<Self>,
        key: &RecordKey,
        old: Option<Record>,
    ) -> Result<Resolved, MirrorError> {
        let registry = &self.upstream(&key.origin.upstream)?.registry;
        let reference = Reference::Tag(key.tag.clone());
        let head = registry
            .head_manifest(&key.origin.repository, &reference, key.accepts)
            .await;
        let record = match head {
            Ok(head) => self.record_of(key, head).await?,
            Err(error) => {
                if matches!(error.kind(), ErrorKind::NotFound { .. }) && old.is_some() {
                    self.forget(key).await;
                }
                return Err(error.into());
            }
        };
        let unchanged = old.as_ref().is_some_and(|old| old.digest == record.digest);
        if old.is_some() && !unchanged {
            // A record that works is not given up for one whose manifest is not here yet.
            let link = super::link(&key.origin, &record.digest, Role::Manifest);
            self.bring_manifest(&link, Feed::Manifest).await?;
        }
        let outcome = if unchanged {
            Outcome::Revalidated
        } else {
            Outcome::Miss
        };
        self.keep(key, &record).await;
        Ok(Answer {
            value: record,
            outcome,
            age: Some(Duration::ZERO),
        })
    }

    /// How long ago upstream confirmed it.
    fn age(&self, record: &Record) -> Duration {
        Duration::from_secs(self.clock.now().saturating_sub(record.checked_at))
    }

    /// The record that upstream's HEAD describes, completed from the manifest where it says too little.
    async fn record_of(
        self: &Arc<Self>,
        key: &RecordKey,
        head: ManifestHead,
    ) -> Result<Record, MirrorError> {
        let Some(digest) = head.digest else {
            return self.record_by_get(key).await;
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
        let link = super::link(&key.origin, &digest, Role::Manifest);
        let brought = self.bring_manifest(&link, Feed::Manifest).await?;
        Ok(self.record_for(brought.value.summary()))
    }

    /// Fetches the manifest by tag and names it ourselves: for upstreams whose HEAD has no digest.
    async fn record_by_get(self: &Arc<Self>, key: &RecordKey) -> Result<Record, MirrorError> {
        let registry = &self.upstream(&key.origin.upstream)?.registry;
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
        let link = super::link(&key.origin, &digest, Role::Manifest);
        // Upstream has just shown it.
        self.remember(vec![link.clone()]).await;
        let brought = self.bring_manifest(&link, Feed::Held(body.bytes)).await?;
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

    async fn keep(&self, key: &RecordKey, record: &Record) {
        let (store, key, record) = (Arc::clone(&self.store), key.clone(), record.clone());
        let link = super::link(&key.origin, &record.digest, Role::Manifest);
        let kept = tokio::task::spawn_blocking(move || {
            store.link(&[link])?;
            store.put_record(&key, &record)
        });
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(%error, "record not kept");
        }
    }

    async fn forget(&self, key: &RecordKey) {
        let (store, key) = (Arc::clone(&self.store), key.clone());
        let forgotten = tokio::task::spawn_blocking(move || store.forget_record(&key));
        if let Ok(Err(error)) = forgotten.await {
            tracing::warn!(%error, "record not forgotten");
        }
    }
}

/// Whether an older record may answer in upstream's place, and why. Offline there is nobody to ask, ever:
/// then any record may.
fn stands_in(error: &MirrorError, judged: Freshness) -> Option<&'static str> {
    let why = error.outage()?;
    let offline = error
        .upstream()
        .is_some_and(|error| *error.kind() == ErrorKind::Offline);
    (judged != Freshness::Expired || offline).then_some(why)
}
