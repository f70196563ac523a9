//! A digest under a link: content, a fill to follow, or a new fill; and the right to any of them.
//!
//! The right is the [`Link`]: this repository has shown this digest in this role (invariant 9). A new fill asks
//! upstream under the link itself, so upstream's answer is the proof; what came in by another link is given out
//! only after upstream has shown, without a transfer, that this repository has it too.

use std::sync::Arc;

use super::access::{Asker, Proof, Right};
use super::fills::{Entered, Feed, Fetcher, FillError, Joined, head};
use super::resolve::is_missing;
use super::{Answer, Mirror, MirrorError, Outcome};
use crate::oci::{ByteRange, Digest, RangeSpec};
use crate::store::{Content, Link, Origin, Role, StoreError};

/// How many fills of others may break under a request before it gives up. More than one takes somebody who asks
/// again and again for what their own repository does not have.
const BROKEN_FILLS_OF_OTHERS: u32 = 16;

/// Bytes to be read: all here, or coming.
#[derive(Clone)]
pub enum Blob {
    /// Verified and whole.
    Content(Content),
    /// A fill under way, and the blob's size in bytes.
    Fill(Joined, u64),
}

impl Blob {
    /// The size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Content(content) => content.size(),
            Self::Fill(_, size) => *size,
        }
    }

    /// All bytes; for blobs small enough to be held whole.
    pub(super) async fn read_whole(&self) -> Result<Vec<u8>, FillError> {
        match self {
            Self::Content(content) => {
                let (source, size) = (content.source().clone(), content.size());
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                let read = tokio::task::spawn_blocking(move || source.read_all(size)).await;
                let bytes = read.map_err(|_| FillError::Abandoned)?;
                bytes.map_err(|error| FillError::Store(StoreError::io("read", "content", &error)))
            }
            Self::Fill(joined, size) => {
                let mut follower = joined.follow(vec![ByteRange::new(0, *size)]);
                let mut bytes = Vec::new();
                while let Some(chunk) = follower.next(usize::MAX).await? {
                    bytes.extend_from_slice(&chunk);
                }
                Ok(bytes)
            }
        }
    }
}

impl Mirror {
    /// The blob `digest` of `origin`, for a GET of `parts` of it (none: of all): begins a fill when it is not here.
    ///
    /// Returns when the response's head can be written: the size is known and, for all of a blob of up to 64 KiB,
    /// the digest matches. The parts need not lie within the blob: they say what is to be fetched first.
    pub async fn blob(
        self: &Arc<Self>,
        asker: &Asker,
        origin: &Origin,
        digest: &Digest,
        parts: &[RangeSpec],
    ) -> Result<Answer<Blob>, MirrorError> {
        let proof = Proof::Blob(digest.clone());
        let right = self.admit(asker, origin, proof).await?;
        let link = right.link(digest, Role::Blob);
        let mut answer = self.obtain(&right, &link, Feed::Blob, parts).await?;
        let first_asked = self.unasked.first_asked(digest);
        if first_asked && matches!(answer.outcome, Outcome::Hit | Outcome::Join) {
            answer.outcome = Outcome::Miss;
        }
        Ok(answer)
    }

    /// The size in bytes of the blob `digest` of `origin`, for a HEAD: never begins a fill.
    pub async fn blob_size(
        self: &Arc<Self>,
        asker: &Asker,
        origin: &Origin,
        digest: &Digest,
    ) -> Result<Answer<u64>, MirrorError> {
        let proof = Proof::Blob(digest.clone());
        let right = self.admit(asker, origin, proof).await?;
        let link = right.link(digest, Role::Blob);
        let content = self.content(digest)?;
        let held = content.map(|content| content.size());
        if let Some(value) = held
            && self.linked(&link)
        {
            self.used(digest);
            let outcome = Outcome::Hit;
            return Ok(Answer::new(value, outcome));
        }
        let told = self.prove(&right, &link).await?;
        Ok(match held {
            Some(value) => Answer::new(value, Outcome::Revalidated),
            None => Answer::new(told, Outcome::Bypass("head")),
        })
    }

    /// The content of `digest`, without asking who may have it.
    pub(super) fn content(&self, digest: &Digest) -> Result<Option<Content>, MirrorError> {
        if !digest.is_verifiable() {
            return Err(MirrorError::Unverifiable(digest.clone()));
        }
        Ok(self.fills.content(digest))
    }

    pub(super) async fn obtain(
        self: &Arc<Self>,
        right: &Right,
        link: &Link,
        feed: Feed,
        parts: &[RangeSpec],
    ) -> Result<Answer<Blob>, MirrorError> {
        if let Some(content) = self.content(&link.digest)?
            && self.linked(link)
        {
            self.used(&link.digest);
            return Ok(Answer::new(Blob::Content(content), Outcome::Hit));
        }
        let fetcher = self.fetcher(right, link, feed)?;
        for _ in 0..=BROKEN_FILLS_OF_OTHERS {
            if let Some(answer) = self.enter(right, &fetcher, parts).await? {
                return Ok(answer);
            }
        }
        Err(MirrorError::Abandoned)
    }

    /// Joins or begins the one fill of the digest, and waits until it opens.
    ///
    /// `None` when a fill broke that was begun by another link: its trouble need not be ours, and its
    /// upstream's answer is none to us.
    async fn enter(
        self: &Arc<Self>,
        right: &Right,
        fetcher: &Fetcher,
        parts: &[RangeSpec],
    ) -> Result<Option<Answer<Blob>>, MirrorError> {
        let link = &fetcher.link;
        let (joined, outcome, own) = match self.fills.enter(fetcher, parts.is_empty()) {
            Entered::Began(seat) => (Joined::new(seat, parts, true), Outcome::Miss, true),
            Entered::Joined(seat) => {
                let own = seat.fill().is_of(fetcher);
                (Joined::new(seat, parts, false), Outcome::Join, own)
            }
            Entered::Held(wait) => return Err(MirrorError::Quarantined(link.digest.clone(), wait)),
            Entered::Content(content) => {
                let outcome = if self.linked(link) {
                    Outcome::Hit
                } else {
                    self.prove(right, link).await?;
                    Outcome::Revalidated
                };
                self.used(&link.digest);
                let value = Blob::Content(content);
                return Ok(Some(Answer::new(value, outcome)));
            }
        };
        if !own && !self.linked(link) {
            self.prove(right, link).await?;
        }
        match joined.opened().await {
            Ok(size) => {
                let outcome = match joined.strayed().why() {
                    Some(why) => Outcome::Bypass(why),
                    // All that is wanted was left by an earlier fill.
                    None if joined.is_here() => Outcome::Hit,
                    None => outcome,
                };
                let value = Blob::Fill(joined, size);
                Ok(Some(Answer::new(value, outcome)))
            }
            Err(error) if own => {
                let error = error.into();
                if is_missing(&error) {
                    // What others bring of it later is not to be given out here on the word of before.
                    self.unlink(link);
                }
                Err(error)
            }
            Err(_) => Ok(None),
        }
    }

    pub(super) fn fetcher(
        &self,
        right: &Right,
        link: &Link,
        feed: Feed,
    ) -> Result<Fetcher, MirrorError> {
        let upstream = self.upstream(&link.origin.upstream)?;
        Ok(Fetcher {
            link: link.clone(),
            who: right.who,
            registry: Arc::clone(&right.registry),
            lanes: Arc::clone(&upstream.lanes),
            feed,
            fills: Arc::clone(&self.fills),
        })
    }

    /// Asks upstream, once for all who ask now, whether the repository has the digest in this role; remembers a
    /// yes. Gives the size in bytes, as far as upstream tells it.
    pub(super) async fn prove(
        self: &Arc<Self>,
        right: &Right,
        link: &Link,
    ) -> Result<u64, MirrorError> {
        let ask = || {
            let (mirror, link) = (Arc::clone(self), link.clone());
            let registry = Arc::clone(&right.registry);
            async move {
                let size = head(&*registry, &link).await?.unwrap_or_default();
                mirror.scribe.shown([link]);
                Ok(size)
            }
        };
        let (answer, _) = self.proofs.run(&(link.clone(), right.who), ask).await;
        answer.unwrap_or(Err(MirrorError::Abandoned))
    }
}
