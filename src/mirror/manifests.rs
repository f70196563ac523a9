//! Manifests, by digest and by tag. Their bytes go out exactly as they came in (invariant 7).

use std::sync::Arc;

use bytes::Bytes;

use super::fill::Feed;
use super::{Answer, Mirror, MirrorError, Outcome, link};
use crate::oci::{Digest, Manifest, MediaType, Reference};
use crate::store::{Origin, RecordKey};

/// The largest manifest served, in bytes: what upstreams are read up to.
const MANIFEST_LIMIT: u64 = 16 * 1024 * 1024;

/// A verified manifest in memory.
#[derive(Clone, Debug)]
pub struct HeldManifest {
    /// Its name.
    pub digest: Digest,
    /// Its type, read from its own bytes.
    pub media_type: MediaType,
    /// Its bytes, exactly as upstream sent them.
    pub bytes: Bytes,
}

impl HeldManifest {
    /// What a HEAD tells of it.
    pub fn summary(&self) -> ManifestSummary {
        ManifestSummary {
            digest: self.digest.clone(),
            media_type: self.media_type.clone(),
            size: self.bytes.len() as u64,
        }
    }

    /// Its share of the memory, in bytes; names and table included, roughly.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(self.bytes.len() + 512).unwrap_or(u32::MAX)
    }
}

/// What a HEAD tells of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestSummary {
    /// Its name.
    pub digest: Digest,
    /// Its type.
    pub media_type: MediaType,
    /// Its size in bytes.
    pub size: u64,
}

impl Mirror {
    /// The manifest that `reference` names in `origin`, for a GET.
    pub async fn manifest(
        self: &Arc<Self>,
        origin: &Origin,
        reference: &Reference,
    ) -> Result<Answer<HeldManifest>, MirrorError> {
        let tag = match reference {
            Reference::Digest(digest) => return self.manifest_by_digest(origin, digest).await,
            Reference::Tag(tag) => tag.clone(),
        };
        let key = RecordKey {
            origin: origin.clone(),
            tag,
        };
        let resolved = self.resolve(&key).await?;
        let mut answer = self
            .manifest_by_digest(origin, &resolved.value.digest)
            .await?;
        if answer.outcome == Outcome::Hit {
            // The bytes were here: what happened to the tag is the whole story.
            answer.outcome = resolved.outcome;
        }
        Ok(answer)
    }

    /// What a HEAD of `reference` in `origin` is answered with: never fetches a manifest for a tag that
    /// upstream's own HEAD tells enough about.
    pub async fn manifest_summary(
        self: &Arc<Self>,
        origin: &Origin,
        reference: &Reference,
    ) -> Result<Answer<ManifestSummary>, MirrorError> {
        match reference {
            Reference::Tag(tag) => {
                let key = RecordKey {
                    origin: origin.clone(),
                    tag: tag.clone(),
                };
                let resolved = self.resolve(&key).await?;
                let record = resolved.value;
                let value = ManifestSummary {
                    digest: record.digest,
                    media_type: record.media_type,
                    size: record.size,
                };
                Ok(Answer {
                    value,
                    outcome: resolved.outcome,
                })
            }
            Reference::Digest(digest) => {
                let answer = self.manifest_by_digest(origin, digest).await?;
                Ok(Answer {
                    value: answer.value.summary(),
                    outcome: answer.outcome,
                })
            }
        }
    }

    /// The manifest `digest` of `origin`. A client that asks for its head asks for the rest next, so both
    /// bring the whole: it is small, and content for ever.
    async fn manifest_by_digest(
        self: &Arc<Self>,
        origin: &Origin,
        digest: &Digest,
    ) -> Result<Answer<HeldManifest>, MirrorError> {
        if let Some(value) = self.manifests.get(&link(origin, digest)) {
            return Ok(Answer {
                value,
                outcome: Outcome::Hit,
            });
        }
        self.bring_manifest(origin, digest, Feed::Manifest).await
    }

    /// Obtains, reads and remembers a manifest that is not in memory.
    pub(super) async fn bring_manifest(
        self: &Arc<Self>,
        origin: &Origin,
        digest: &Digest,
        feed: Feed,
    ) -> Result<Answer<HeldManifest>, MirrorError> {
        let Answer {
            value: blob,
            outcome,
        } = self.obtain(origin, digest, feed).await?;
        if blob.size() > MANIFEST_LIMIT {
            return Err(MirrorError::TooLarge(digest.clone(), blob.size()));
        }
        let bytes = Bytes::from(blob.read_whole().await?);
        let manifest = Manifest::parse(&bytes, None)
            .map_err(|error| MirrorError::NotAManifest(digest.clone(), Arc::new(error)))?;
        // Upstream's manifest says that the repository has these, too. What it says of elsewhere (foreign
        // layers with URLs, and the subject, which may be missing) shows nothing.
        let shown = manifest.references.iter().filter(|child| !child.has_urls);
        let mut links: Vec<_> = shown.map(|child| link(origin, &child.digest)).collect();
        links.push(link(origin, digest));
        self.remember(links).await;
        let value = HeldManifest {
            digest: digest.clone(),
            media_type: manifest.media_type,
            bytes,
        };
        self.manifests.insert(link(origin, digest), value.clone());
        Ok(Answer { value, outcome })
    }
}
