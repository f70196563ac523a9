//! Manifests, by digest and by tag. Their bytes go out exactly as they came in (invariant 7).

use std::sync::Arc;

use bytes::Bytes;

use super::absent::Missing;
use super::access::{Asker, Proof, Right};
use super::fills::{Feed, FillError};
use super::question::Resolved;
use super::resolve::is_missing;
use super::signed::SCHEMA1;
use super::{Answer, Blob, Mirror, MirrorError, Outcome};
use crate::oci::{Accepts, Digest, Manifest, ManifestKind, MediaType, Reference, Tag, Verifier};
use crate::store::{Link, Origin, RecordKey, Role};

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

/// A manifest that was looked up, and whether its bytes came from upstream for that.
pub(super) struct LookedUp {
    pub(super) found: Answer<HeldManifest>,
    pub(super) brought: bool,
}

impl LookedUp {
    fn new(found: Answer<HeldManifest>) -> Self {
        Self {
            brought: found.outcome == Outcome::Miss,
            found,
        }
    }
}

impl Mirror {
    /// The manifest that `reference` names in `origin`, for a GET by a client that takes `accepts`; by digest it gets
    /// what has that digest.
    pub async fn manifest(
        self: &Arc<Self>,
        asker: &Asker,
        origin: &Origin,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<Answer<HeldManifest>, MirrorError> {
        let proof = Proof::Manifest(reference.clone());
        let right = self.admit(asker, origin, proof).await?;
        let answer = self.look_up(&right, reference, accepts).await?;
        if answer.brought {
            let link = right.link(&answer.found.value.digest, Role::Manifest);
            self.fetch_blobs_ahead(&right, &link, &answer.found.value);
        }
        Ok(answer.found)
    }

    /// The same for one who pulls nothing else of it now.
    pub(super) async fn look_up(
        self: &Arc<Self>,
        right: &Right,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<LookedUp, MirrorError> {
        let tag = match reference {
            Reference::Digest(digest) => {
                let link = right.link(digest, Role::Manifest);
                let found = self
                    .unless_absent(right, &link, self.manifest_by_digest(right, &link))
                    .await?;
                return Ok(LookedUp::new(found));
            }
            Reference::Tag(tag) => tag,
        };
        let mut resolved = self.resolve(right, tag, accepts).await?;
        let mut found = self.named_by(right, &resolved).await;
        if let Err(error) = &found
            && is_missing(error)
            && resolved.outcome != Outcome::Miss
        {
            // The record has outlived what it names: upstream moved the tag and dropped the old manifest.
            self.forget_tag(&right.origin, tag, accepts);
            resolved = self.resolve(right, tag, accepts).await?;
            found = self.named_by(right, &resolved).await;
        }
        let mut looked_up = LookedUp::new(found?);
        let answer = &mut looked_up.found;
        // If the bytes were here, what happened to the tag is the whole story; and a stale tag is never told
        // as anything else.
        if answer.outcome == Outcome::Hit || matches!(resolved.outcome, Outcome::Stale(_)) {
            answer.outcome = resolved.outcome;
        }
        answer.age = resolved.age;
        Ok(looked_up)
    }

    /// What a HEAD of `reference` in `origin` is answered with: fetches no manifest for a tag that upstream's own
    /// HEAD tells enough about.
    pub async fn manifest_summary(
        self: &Arc<Self>,
        asker: &Asker,
        origin: &Origin,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<Answer<ManifestSummary>, MirrorError> {
        let proof = Proof::Manifest(reference.clone());
        let right = &self.admit(asker, origin, proof).await?;
        let tag = match reference {
            Reference::Digest(digest) => {
                // A client that asks for the head asks for the rest next: bring the whole, it is content for ever.
                let link = right.link(digest, Role::Manifest);
                let answer = self
                    .unless_absent(right, &link, self.manifest_by_digest(right, &link))
                    .await?;
                return Ok(Answer::new(answer.value.summary(), answer.outcome));
            }
            Reference::Tag(tag) => tag,
        };
        let Answer {
            value: record,
            outcome,
            age,
        } = self.resolve(right, tag, accepts).await?;
        let link = right.link(&record.digest, Role::Manifest);
        // What is here knows better than upstream's headers, and is what a GET is answered with.
        let value = if self.content(&link.digest)?.is_some() {
            self.manifest_by_digest(right, &link).await?.value.summary()
        } else {
            ManifestSummary {
                digest: record.digest,
                media_type: record.media_type,
                size: record.size,
            }
        };
        Ok(Answer {
            value,
            outcome,
            age,
        })
    }

    /// The manifest that a resolved tag names.
    async fn named_by(
        self: &Arc<Self>,
        right: &Right,
        resolved: &Resolved,
    ) -> Result<Answer<HeldManifest>, MirrorError> {
        let link = right.link(&resolved.value.digest, Role::Manifest);
        self.manifest_by_digest(right, &link).await
    }

    /// Forgets what a tag means to clients that take `accepts`.
    fn forget_tag(&self, origin: &Origin, tag: &Tag, accepts: Accepts) {
        for accepts in [Accepts::MODERN, accepts] {
            let (origin, tag) = (origin.clone(), tag.clone());
            let key = RecordKey {
                origin,
                tag,
                accepts,
            };
            self.forget(&key);
        }
    }

    /// What `found` brings, unless upstream said a moment ago that there is no such manifest.
    async fn unless_absent<T>(
        &self,
        right: &Right,
        link: &Link,
        found: impl Future<Output = Result<T, MirrorError>>,
    ) -> Result<T, MirrorError> {
        let ttl = self
            .upstream(&link.origin.upstream)?
            .tags
            .otherwise
            .negative_ttl;
        let missing = Missing::manifest(link, right.who);
        if let Some(error) = self.absent.said(&missing, ttl)
            && !self.is_here(link)
        {
            return Err(error);
        }
        let found = found.await;
        if let Err(error) = &found
            && is_missing(error)
        {
            self.absent.note(missing, error);
        }
        found
    }

    /// Whether a manifest came in since, by a tag or for somebody else.
    fn is_here(&self, link: &Link) -> bool {
        self.manifests.contains_key(link)
            || self.linked(link) && self.fills.content(&link.digest).is_some()
    }

    async fn manifest_by_digest(
        self: &Arc<Self>,
        right: &Right,
        link: &Link,
    ) -> Result<Answer<HeldManifest>, MirrorError> {
        if let Some(value) = self.manifests.get(link) {
            self.used(&link.digest);
            let outcome = Outcome::Hit;
            return Ok(Answer::new(value, outcome));
        }
        self.bring_manifest(right, link, Feed::Manifest).await
    }

    /// Obtains, reads, checks and remembers a manifest that is not in memory.
    pub(super) async fn bring_manifest(
        self: &Arc<Self>,
        right: &Right,
        link: &Link,
        feed: Feed,
    ) -> Result<Answer<HeldManifest>, MirrorError> {
        let answer = match self.obtain(right, link, feed.clone(), &[]).await {
            Ok(answer) => answer,
            Err(wrong) => {
                let value = self.signed_in_place(right, link, wrong).await?;
                self.scribe.shown([link.clone()]);
                self.manifests.insert(link.clone(), value.clone());
                return Ok(Answer::new(value, Outcome::Bypass(SCHEMA1)));
            }
        };
        let on_disk = matches!(answer.value, Blob::Content(_));
        let (read, outcome) = match self.read(link, &answer.value).await {
            // Wrong bytes of a fill are upstream's: the fill has ended, and that is the answer.
            Err(MirrorError::Fill(FillError::Mismatch(wrong))) if on_disk => {
                tracing::error!(digest = %link.digest, %wrong, "content has gone wrong on disk; set aside");
                self.store.set_aside(&link.digest)?;
                let answer = self.obtain(right, link, feed, &[]).await?;
                (self.read(link, &answer.value).await?, answer.outcome)
            }
            read => (read?, answer.outcome),
        };
        let (value, references) = read;
        self.scribe.shown(references);
        self.manifests.insert(link.clone(), value.clone());
        Ok(Answer::new(value, outcome))
    }

    /// Reads a manifest whole. Its digest is checked also when it comes from our own disk: it is small, and it
    /// stays in memory then. Gives the links that it shows beside its own.
    async fn read(
        &self,
        link: &Link,
        blob: &Blob,
    ) -> Result<(HeldManifest, Vec<Link>), MirrorError> {
        let digest = link.digest.clone();
        if blob.size() > MANIFEST_LIMIT {
            return Err(MirrorError::TooLarge(digest, blob.size()));
        }
        let bytes = Bytes::from(blob.read_whole().await?);
        let examined = {
            let bytes = bytes.clone();
            // A large one takes its time.
            tokio::task::spawn_blocking(move || examine(&digest, &bytes)).await
        };
        let manifest = examined.map_err(|_| MirrorError::Abandoned)??;
        let held = HeldManifest {
            digest: link.digest.clone(),
            media_type: manifest.media_type.clone(),
            bytes,
        };
        Ok((held, shown_by(&manifest, link)))
    }
}

/// Proves and parses a manifest.
fn examine(digest: &Digest, bytes: &[u8]) -> Result<Manifest, MirrorError> {
    match Verifier::verify(digest, bytes) {
        Some(Ok(_)) => {}
        Some(Err(mismatch)) => return Err(FillError::Mismatch(mismatch).into()),
        None => return Err(MirrorError::Unverifiable(digest.clone())),
    }
    Manifest::parse(bytes, None)
        .map_err(|error| MirrorError::NotAManifest(digest.clone(), Arc::new(error)))
}

/// The links that a manifest shows, which upstream serves as a manifest of the link's repository: registries take
/// one in only when the repository has what it references. What it says of elsewhere (foreign layers with URLs)
/// and of what may be missing (the subject) shows nothing.
fn shown_by(manifest: &Manifest, link: &Link) -> Vec<Link> {
    let role = match manifest.kind {
        ManifestKind::Index => Role::Manifest,
        ManifestKind::Image | ManifestKind::Schema1 => Role::Blob,
    };
    let references = manifest.references.iter().filter(|it| !it.has_urls);
    let mut links: Vec<_> = references
        .map(|it| super::link(&link.origin, &it.digest, role))
        .collect();
    links.push(link.clone());
    links
}
