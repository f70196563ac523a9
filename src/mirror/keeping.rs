//! What the operator does with what is kept: look, ask why, pin, purge, refresh, collect.
//!
//! All but [`Mirror::refresh`] may wait for the disk and belong on a thread that may.

mod kept;
mod pages;
mod parts;
mod removal;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::Asker;
use super::fills::Feed;
use super::freshness::{Freshness, freshness};
use super::{Mirror, MirrorError};
use crate::oci::{Accepts, Digest, Reference, Tag};
use crate::store::{Origin, RecordKey, Role, StoreError};

pub use kept::{
    Collected, ContentKept, Explained, Garbage, KeptPage, Pin, Purged, RecordKept, Refreshed,
    RepositoryKept, TagKept,
};
pub use parts::PartsHere;
pub use removal::GarbagePolicy;

/// Why something cannot be done with what is kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepingError {
    /// It has to stay: why.
    #[error("{0} stays: it is {1}")]
    Kept(Digest, &'static str),
    /// What was named is not here.
    #[error("{0} is not here")]
    NotHere(String),
    /// No upstream of that name, or no answer from it.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Mirror {
    /// Why a digest is here, or is not.
    pub fn explain_digest(&self, digest: &Digest) -> Result<Explained, KeepingError> {
        let content = self.content(digest)?;
        let known = self.store.explain(digest)?;
        let fill = self.fills_seen();
        let fill = fill.into_iter().find(|fill| fill.link.digest == *digest);
        Ok(Explained {
            digest: digest.clone(),
            is_here: content.is_some(),
            size: content.map(|content| content.size()),
            arriving: fill.map(|fill| fill.present),
            parts: self.parts_here(digest),
            record: None,
            shown_by_repository: None,
            last_use: known.last_use,
            pins: Some(known.pins),
            records: Some(known.records.iter().map(text_of).collect()),
        })
    }

    /// What a reference means here and now, and why its content is here, or is not.
    ///
    /// # Errors
    /// [`KeepingError::NotHere`] for a tag that is not known.
    pub fn explain(
        &self,
        origin: &Origin,
        reference: &Reference,
    ) -> Result<Explained, KeepingError> {
        self.declared(&origin.upstream)?;
        let tag = match reference {
            Reference::Tag(tag) => tag,
            Reference::Digest(digest) => {
                return Ok(Explained {
                    shown_by_repository: Some(self.is_shown(origin, digest)?),
                    ..self.explain_digest(digest)?
                });
            }
        };
        let record = self.record_kept(origin, tag)?;
        Ok(Explained {
            shown_by_repository: Some(self.is_shown(origin, &record.digest)?),
            record: Some(record.clone()),
            ..self.explain_digest(&record.digest)?
        })
    }

    /// The pins, by name.
    pub fn pins(&self) -> Result<Vec<Pin>, KeepingError> {
        let pins = self.store.pins().into_iter().map(|pin| Pin {
            name: pin.name,
            digests: pin.digests,
        });
        Ok(pins.collect())
    }

    /// Keeps what the references mean now, with all that they reference, until the pin `name` is taken away: all of them
    /// or none. What is pinned by the name already stays.
    ///
    /// # Errors
    /// [`KeepingError::NotHere`] for a tag that is not known.
    pub fn pin(&self, name: &str, references: &[(Origin, Reference)]) -> Result<Pin, KeepingError> {
        let _one = self.pinning.lock();
        let mut digests: BTreeSet<Digest> = BTreeSet::new();
        for (origin, reference) in references {
            self.declared(&origin.upstream)?;
            digests.insert(match reference {
                Reference::Digest(digest) => digest.clone(),
                Reference::Tag(tag) => self.record_kept(origin, tag)?.digest,
            });
        }
        let pinned = self.store.pins().into_iter().find(|pin| pin.name == name);
        digests.extend(pinned.into_iter().flat_map(|pin| pin.digests));
        let digests: Vec<_> = digests.into_iter().collect();
        self.store.pin(name, &digests)?;
        Ok(Pin {
            name: name.to_owned(),
            digests,
        })
    }

    /// Takes the pin `name` away.
    ///
    /// # Errors
    /// [`KeepingError::NotHere`] when there is none of this name.
    pub fn unpin(&self, name: &str) -> Result<(), KeepingError> {
        let _one = self.pinning.lock();
        if self.store.unpin(name)? {
            Ok(())
        } else {
            Err(KeepingError::NotHere(format!("the pin {name}")))
        }
    }

    /// Asks upstream what a tag means, whatever is known of it, and brings its manifest.
    ///
    /// # Errors
    /// Upstream's; what was known is kept then, unless upstream says that there is no such tag.
    pub async fn refresh(
        self: &Arc<Self>,
        origin: &Origin,
        tag: &Tag,
    ) -> Result<Refreshed, KeepingError> {
        self.declared(&origin.upstream)?;
        let key = key(origin, tag);
        let right = self.right(&Asker::Mirror, origin)?;
        let old = self.store.record(&key)?;
        let (question, _) = self.begin_question(&right, &key, old.clone(), Freshness::Expired);
        let resolved = question.await.unwrap_or(Err(MirrorError::Abandoned))?;
        let digest = resolved.value.digest;
        let link = super::link(origin, &digest, Role::Manifest);
        self.bring_manifest(&right, &link, Feed::Manifest).await?;
        Ok(Refreshed {
            changed: old.is_none_or(|old| old.digest != digest),
            digest,
            outcome: resolved.outcome.word(),
        })
    }

    pub(super) fn record_kept(
        &self,
        origin: &Origin,
        tag: &Tag,
    ) -> Result<RecordKept, KeepingError> {
        let way = self.upstream(&origin.upstream)?;
        let record = self.store.record(&key(origin, tag))?;
        let record = record.ok_or_else(|| {
            let Origin {
                upstream,
                repository,
            } = origin;
            KeepingError::NotHere(format!("{upstream}/{repository}:{tag}"))
        })?;
        let policy = way.tags.of(&origin.repository, tag);
        let state = match freshness(policy, record.checked_at, self.clock.now()) {
            Freshness::Fresh => "fresh",
            Freshness::RevalidateBehind => "revalidate-behind",
            Freshness::Revalidate => "revalidate",
            Freshness::Expired => "expired",
        };
        Ok(RecordKept {
            tag: tag.clone(),
            digest: record.digest,
            media_type: record.media_type,
            size: record.size,
            checked_at: record.checked_at,
            state,
        })
    }

    fn is_shown(&self, origin: &Origin, digest: &Digest) -> Result<bool, KeepingError> {
        for role in [Role::Manifest, Role::Blob] {
            if self.store.linked(&super::link(origin, digest, role))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The record that nearly all clients share.
fn key(origin: &Origin, tag: &Tag) -> RecordKey {
    RecordKey {
        origin: origin.clone(),
        tag: tag.clone(),
        accepts: Accepts::MODERN,
    }
}

fn text_of(key: &RecordKey) -> String {
    let Origin {
        upstream,
        repository,
    } = &key.origin;
    format!("{upstream}/{repository}:{}", key.tag)
}
