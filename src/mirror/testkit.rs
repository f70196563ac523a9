//! For the engine's tests: an upstream that follows a script and counts, and a clock that is set by hand.

mod guarded;
mod house;
mod reading;
mod script;
mod tagged;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;

use super::Clock;
use crate::oci::{Accepts, ByteRange, Digest, MediaType, RangeSpec, Reference, Repository};
use crate::store::Origin;
use crate::upstream::{
    BlobBody, BlobHead, ErrorKind, ListBody, Listing, ManifestBody, ManifestHead, Registry,
    Standing, UpstreamError,
};

pub(crate) use super::Asker;
pub(crate) use guarded::{Book, Guarded, client};
pub(crate) use house::{House, STALE, TTL, gate, halves, house, origin, policy, tag_policy};
pub(crate) use reading::{drain, drain_all, noise, read_run};
pub(crate) use script::{Script, Step};
pub(crate) use tagged::Tagged;

/// An upstream that does what the test wrote, and counts what it is asked.
#[derive(Default)]
pub(crate) struct Scripted {
    blobs: Mutex<HashMap<Digest, VecDeque<Script>>>,
    /// What is served when all scripts of a blob have been played.
    served: Mutex<HashMap<Digest, Bytes>>,
    sizes: Mutex<HashMap<(Repository, Digest), u64>>,
    heads_hang: AtomicBool,
    /// What the next HEADs of blobs tell instead.
    heads_tell: Mutex<VecDeque<u64>>,
    pub(crate) tagged: Tagged,
    standing: Mutex<Standing>,
    outage: Mutex<Option<ErrorKind>>,
    calls: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn on_blob(&self, digest: &Digest, script: Script) {
        self.blobs
            .lock()
            .entry(digest.clone())
            .or_default()
            .push_back(script);
    }

    /// Serves `bytes`, and any part of them, whenever no script is left.
    pub(crate) fn serves(&self, bytes: &Bytes) -> Digest {
        let digest = Digest::sha256_of(bytes);
        self.served.lock().insert(digest.clone(), bytes.clone());
        digest
    }

    pub(crate) fn has_blob(&self, origin: &Origin, digest: &Digest, size: u64) {
        self.sizes
            .lock()
            .insert((origin.repository.clone(), digest.clone()), size);
    }

    /// The next HEADs of blobs tell these sizes, in turn.
    pub(crate) fn heads_tell(&self, sizes: &[u64]) {
        self.heads_tell.lock().extend(sizes);
    }

    /// From now on no HEAD of a blob is answered.
    pub(crate) fn heads_hang(&self) {
        self.heads_hang.store(true, Ordering::SeqCst);
    }

    pub(crate) fn tag(&self, tag: &str, manifest: &[u8]) -> Digest {
        self.tagged.tag(tag, manifest)
    }

    /// What is known of it without asking.
    pub(crate) fn stands(&self, standing: Standing) {
        *self.standing.lock() = standing;
    }

    /// Answers again after [`Scripted::breaks`].
    pub(crate) fn recovers(&self) {
        *self.outage.lock() = None;
    }

    pub(crate) fn breaks(&self, kind: ErrorKind) {
        *self.outage.lock() = Some(kind);
    }

    /// How many calls began with `what`.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.calls
            .lock()
            .iter()
            .filter(|call| call.starts_with(what))
            .count()
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().clone()
    }

    fn called(&self, call: String) -> Result<(), UpstreamError> {
        self.calls.lock().push(call);
        self.reached()
    }

    fn reached(&self) -> Result<(), UpstreamError> {
        match self.outage.lock().clone() {
            Some(kind) => Err(UpstreamError::new(kind, "scripted")),
            None => Ok(()),
        }
    }
}

fn not_found() -> UpstreamError {
    UpstreamError::new(ErrorKind::NotFound { code: None }, "scripted")
}

#[async_trait]
impl Registry for Scripted {
    async fn head_manifest(
        &self,
        _: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestHead, UpstreamError> {
        self.called(format!("HEAD manifest {reference}"))?;
        self.tagged.head(reference, accepts).await
    }

    async fn get_manifest(
        &self,
        _: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestBody, UpstreamError> {
        self.called(format!("GET manifest {reference}"))?;
        Ok(ManifestBody {
            digest: None,
            media_type: Some(MediaType::OCI_MANIFEST),
            bytes: self.tagged.get(reference, accepts)?,
        })
    }

    async fn head_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<BlobHead, UpstreamError> {
        self.called(format!("HEAD blob {digest}"))?;
        if self.heads_hang.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        if let Some(size) = self.heads_tell.lock().pop_front() {
            return Ok(BlobHead { size });
        }
        let size = self
            .sizes
            .lock()
            .get(&(repository.clone(), digest.clone()))
            .copied();
        size.map(|size| BlobHead { size }).ok_or_else(not_found)
    }

    async fn get_blob(
        &self,
        _: &Repository,
        digest: &Digest,
        part: Option<RangeSpec>,
    ) -> Result<BlobBody, UpstreamError> {
        self.called(match part {
            None => format!("GET blob {digest} from 0"),
            Some(RangeSpec::From(from)) => format!("GET blob {digest} from {from}"),
            Some(part) => format!("GET blob {digest} part {part}"),
        })?;
        let script = self
            .blobs
            .lock()
            .get_mut(digest)
            .and_then(VecDeque::pop_front);
        let served = || {
            let bytes = self.served.lock().get(digest).cloned()?;
            Some(Script::of(vec![Step::Send(bytes)]))
        };
        let script = script.or_else(served).ok_or_else(not_found)?;
        let size = script.size;
        let told = size.filter(|_| !script.hides_size || part.is_none());
        let all = ByteRange::new(0, size.unwrap_or(u64::MAX));
        let mut range = match part {
            Some(part) if script.knows_ranges => part.resolve(all.end).ok_or_else(|| {
                let size = all.end;
                UpstreamError::new(ErrorKind::Unsatisfiable { size }, "scripted")
            })?,
            _ => all,
        };
        if let Some(most) = script.falls_short.filter(|_| part.is_some()) {
            range.end = range.end.min(range.start + most);
        }
        let sends_parts = script.knows_ranges;
        let steps = stream::iter(script.within(range)).then(|step| async move {
            match step {
                Step::Send(bytes) => Ok(bytes),
                Step::Gate(gate) => {
                    gate.acquire().await.unwrap().forget();
                    Ok(Bytes::new())
                }
                Step::Pause(pause) => {
                    tokio::time::sleep(pause).await;
                    Ok(Bytes::new())
                }
                Step::Fail(kind) => Err(UpstreamError::new(kind, "scripted")),
                Step::Panic => panic!("scripted"),
            }
        });
        Ok(BlobBody {
            offset: range.start,
            end: size.map(|_| range.end),
            size: told,
            sends_parts,
            stream: steps.boxed(),
        })
    }

    async fn list(
        &self,
        listing: &Listing,
        query: Option<&str>,
    ) -> Result<ListBody, UpstreamError> {
        self.called(format!("GET list {}", query.unwrap_or("-")))?;
        self.tagged.list(listing)
    }

    fn standing(&self) -> Standing {
        *self.standing.lock()
    }
}

/// A clock that stands where the test puts it.
#[derive(Default)]
pub(crate) struct HandClock(AtomicU64);

impl HandClock {
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
