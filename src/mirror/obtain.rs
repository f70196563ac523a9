//! A digest under an origin: content, a fill to follow, or a new fill; and the right to any of them.
//!
//! The right is a [`Link`]: this repository has shown this digest (invariant 9). A new fill asks upstream
//! under the origin itself, so upstream's answer is the proof; what another repository brought is given out
//! only after upstream has shown, without a transfer, that this one has it too.

use std::sync::Arc;

use super::fill::{Entered, Feed, Fetcher, FillError, Joined};
use super::{Answer, Mirror, MirrorError, Outcome, link};
use crate::oci::{ByteRange, Digest, Reference};
use crate::store::{Content, Link, Origin};

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
                bytes.map_err(|error| {
                    FillError::Store(crate::store::StoreError::io("read", "content", &error))
                })
            }
            Self::Fill(joined, size) => {
                let mut follower = joined.follow(ByteRange::new(0, *size));
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
    /// The blob `digest` of `origin`, for a GET: begins a fill when it is not here.
    ///
    /// Returns when the response's head can be written: the size is known and, for a blob of up to 64 KiB,
    /// the digest matches.
    pub async fn blob(
        self: &Arc<Self>,
        origin: &Origin,
        digest: &Digest,
    ) -> Result<Answer<Blob>, MirrorError> {
        self.obtain(origin, digest, Feed::Blob).await
    }

    /// The size in bytes of the blob `digest` of `origin`, for a HEAD: never begins a fill.
    pub async fn blob_size(
        self: &Arc<Self>,
        origin: &Origin,
        digest: &Digest,
    ) -> Result<Answer<u64>, MirrorError> {
        let link = link(origin, digest);
        let content = self.content(digest)?;
        if let Some(content) = &content
            && self.linked(&link)
        {
            return Ok(Answer {
                value: content.size(),
                outcome: Outcome::Hit,
            });
        }
        let value = self.prove(&link, &Feed::Blob).await?;
        let outcome = if content.is_some() {
            Outcome::Revalidated
        } else {
            Outcome::Bypass("head")
        };
        Ok(Answer { value, outcome })
    }

    /// The content of `digest`, without asking who may have it.
    fn content(&self, digest: &Digest) -> Result<Option<Content>, MirrorError> {
        if !digest.is_verifiable() {
            return Err(MirrorError::Unverifiable(digest.clone()));
        }
        Ok(self.store.open(digest)?)
    }

    pub(super) async fn obtain(
        self: &Arc<Self>,
        origin: &Origin,
        digest: &Digest,
        feed: Feed,
    ) -> Result<Answer<Blob>, MirrorError> {
        let link = link(origin, digest);
        if let Some(content) = self.content(digest)?
            && self.linked(&link)
        {
            return Ok(Answer {
                value: Blob::Content(content),
                outcome: Outcome::Hit,
            });
        }
        match self.enter(&link, feed.clone()).await? {
            Attempt::Answer(answer) => Ok(answer),
            // The fill that broke was another origin's: its upstream's trouble need not be ours.
            Attempt::Foreign(_) => match self.enter(&link, feed).await? {
                Attempt::Answer(answer) => Ok(answer),
                Attempt::Foreign(error) => Err(error.into()),
            },
        }
    }

    /// Joins or begins the one fill of the digest, and waits until it opens.
    async fn enter(self: &Arc<Self>, link: &Link, feed: Feed) -> Result<Attempt, MirrorError> {
        let fetcher = self.fetcher(&link.origin, feed.clone())?;
        let entered = self.fills.enter(&link.digest, &link.origin, &*self.store)?;
        let (joined, outcome, own) = match entered {
            Entered::Began(fill) => {
                fetcher.clone().begin(Arc::clone(&fill));
                (Joined::new(fill, fetcher), Outcome::Miss, true)
            }
            Entered::Joined(fill) => {
                let own = *fill.origin() == link.origin;
                (Joined::new(fill, fetcher), Outcome::Join, own)
            }
            Entered::Content(content) => {
                let outcome = if self.linked(link) {
                    Outcome::Hit
                } else {
                    self.prove(link, &feed).await?;
                    Outcome::Revalidated
                };
                let value = Blob::Content(content);
                return Ok(Attempt::Answer(Answer { value, outcome }));
            }
        };
        if !own && !self.linked(link) {
            self.prove(link, &feed).await?;
        }
        match joined.opened().await {
            Ok(size) => {
                let value = Blob::Fill(joined, size);
                Ok(Attempt::Answer(Answer { value, outcome }))
            }
            Err(error) if own => Err(error.into()),
            Err(error) => Ok(Attempt::Foreign(error)),
        }
    }

    fn fetcher(&self, origin: &Origin, feed: Feed) -> Result<Fetcher, MirrorError> {
        Ok(Fetcher {
            registry: Arc::clone(&self.upstream(&origin.upstream)?.registry),
            origin: origin.clone(),
            feed,
            store: Arc::clone(&self.store),
            fills: Arc::clone(&self.fills),
            runtime: self.fetch_runtime.clone(),
        })
    }

    /// Asks upstream, once for all who ask now, whether the repository has the digest; remembers a yes.
    ///
    /// Gives the blob's size in bytes.
    async fn prove(self: &Arc<Self>, link: &Link, feed: &Feed) -> Result<u64, MirrorError> {
        let manifest = match feed {
            Feed::Blob => false,
            Feed::Manifest => true,
            // Upstream has just handed us the bytes under this very origin.
            Feed::Held(bytes) => {
                self.remember(vec![link.clone()]).await;
                return Ok(bytes.len() as u64);
            }
        };
        let ask = || {
            let (mirror, link) = (Arc::clone(self), link.clone());
            async move {
                let registry = &mirror.upstream(&link.origin.upstream)?.registry;
                let repository = &link.origin.repository;
                let size = if manifest {
                    // Registries keep manifests apart: a HEAD of the blob is 404.
                    let reference = Reference::Digest(link.digest.clone());
                    let head = registry.head_manifest(repository, &reference).await?;
                    head.size.unwrap_or_default()
                } else {
                    registry.head_blob(repository, &link.digest).await?.size
                };
                mirror.remember(vec![link]).await;
                Ok(size)
            }
        };
        self.proofs
            .run(&(link.clone(), manifest), ask)
            .await
            .0
            .unwrap_or(Err(MirrorError::Abandoned))
    }
}

/// How an attempt at a fill ended.
enum Attempt {
    Answer(Answer<Blob>),
    /// The fill was begun under another origin and broke before it opened.
    Foreign(FillError),
}
