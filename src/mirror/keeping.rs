//! What the operator does with what is kept: look, ask why, pin, purge, refresh, collect.
//!
//! All but [`Mirror::refresh`] may wait for the disk and belong on a thread that may.

mod kept;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::fills::Feed;
use super::freshness::{Freshness, freshness};
use super::{Mirror, MirrorError};
use crate::oci::{Accepts, Digest, Reference, Tag};
use crate::store::{Origin, RecordKey, Role, StoreError};

pub use kept::{
    Collected, ContentKept, Explained, Garbage, KeptPage, Pin, Purged, RecordKept, Refreshed,
    RepositoryKept, TagKept,
};

/// Why something cannot be done with what is kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepingError {
    /// This version cannot do it.
    #[error("{0} is not available in this version")]
    NotAvailable(&'static str),
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
    /// The repositories of which something is kept, of one upstream or of all, by upstream and name: the first
    /// `limit` behind `after` (`upstream/repository`).
    pub fn repositories_kept(
        &self,
        upstream: Option<&str>,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<KeptPage<RepositoryKept>, KeepingError> {
        upstream.map_or(Ok(()), |name| self.declared(name))?;
        Err(KeepingError::NotAvailable("listing repositories"))
    }

    /// The tags of a repository that are kept, by name: the first `limit` behind `after`.
    pub fn tags_kept(
        &self,
        origin: &Origin,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<KeptPage<TagKept>, KeepingError> {
        self.declared(&origin.upstream)?;
        Err(KeepingError::NotAvailable("listing tags"))
    }

    /// What is kept, by digest: the first `limit` behind `after`.
    pub fn contents_kept(
        &self,
        _after: Option<&Digest>,
        _limit: usize,
    ) -> Result<KeptPage<ContentKept>, KeepingError> {
        Err(KeepingError::NotAvailable("listing content"))
    }

    /// Why a digest is here, or is not.
    pub fn explain_digest(&self, digest: &Digest) -> Result<Explained, KeepingError> {
        let content = self.content(digest)?;
        let fill = self.fills_seen();
        let fill = fill.into_iter().find(|fill| fill.link.digest == *digest);
        Ok(Explained {
            digest: digest.clone(),
            is_here: content.is_some(),
            size: content.map(|content| content.size()),
            arriving: fill.map(|fill| fill.present),
            record: None,
            shown_by_repository: None,
            last_use: None,
            pins: None,
            records: None,
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
        Err(KeepingError::NotAvailable("pinning"))
    }

    /// Keeps what the references mean now, with all that they reference, until the pin `name` is taken away: all of them
    /// or none. What is pinned by the name already stays.
    ///
    /// # Errors
    /// [`KeepingError::NotHere`] for a tag that is not known.
    pub fn pin(
        &self,
        _name: &str,
        references: &[(Origin, Reference)],
    ) -> Result<Pin, KeepingError> {
        for (origin, _) in references {
            self.declared(&origin.upstream)?;
        }
        Err(KeepingError::NotAvailable("pinning"))
    }

    /// Takes the pin `name` away.
    ///
    /// # Errors
    /// [`KeepingError::NotHere`] when there is none of this name.
    pub fn unpin(&self, _name: &str) -> Result<(), KeepingError> {
        Err(KeepingError::NotAvailable("pinning"))
    }

    /// Forgets what a reference means; what it alone held goes with it. The next pull asks upstream.
    ///
    /// # Errors
    /// [`KeepingError::NotHere`] for a tag that is not known.
    pub fn purge(&self, origin: &Origin, reference: &Reference) -> Result<Purged, KeepingError> {
        self.declared(&origin.upstream)?;
        let tag = match reference {
            Reference::Tag(tag) => tag,
            Reference::Digest(digest) => return self.purge_digest(digest),
        };
        self.record_kept(origin, tag)?;
        self.store.forget_record(&key(origin, tag))?;
        Ok(Purged {
            records: 1,
            contents: 0,
            bytes: 0,
        })
    }

    /// Removes the content of a digest.
    pub fn purge_digest(&self, _digest: &Digest) -> Result<Purged, KeepingError> {
        Err(KeepingError::NotAvailable("removing content"))
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
        let old = self.store.record(&key)?;
        let (question, _) = self.begin_question(&key, old.clone(), Freshness::Expired);
        let resolved = question.await.unwrap_or(Err(MirrorError::Abandoned))?;
        let digest = resolved.value.digest;
        let link = super::link(origin, &digest, Role::Manifest);
        self.bring_manifest(&link, Feed::Manifest).await?;
        Ok(Refreshed {
            changed: old.is_none_or(|old| old.digest != digest),
            digest,
            outcome: resolved.outcome.word(),
        })
    }

    /// Removes what no tag and no pin reaches and was not used for long. A dry run removes nothing, and tells what
    /// would go.
    pub fn collect_garbage(&self, _dry_run: bool) -> Result<Collected, KeepingError> {
        Err(KeepingError::NotAvailable("collecting garbage"))
    }

    fn record_kept(&self, origin: &Origin, tag: &Tag) -> Result<RecordKept, KeepingError> {
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
