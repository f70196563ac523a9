//! For the engine's tests: an upstream that follows a script and counts, and a clock that is set by hand.

mod reading;
mod script;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{Clock, FillPolicy, Measures, Mirror, MirrorMetrics, Parts, TagPolicy, Upstream};
use crate::oci::{ByteRange, Digest, MediaType, RangeSpec, Reference, Repository};
use crate::store::{MemoryStore, Origin, Store};
use crate::upstream::{
    BlobBody, BlobHead, ErrorKind, ListBody, Listing, ManifestBody, ManifestHead, Registry,
    UpstreamError,
};

pub(crate) use reading::{drain, drain_all, noise, read_run};
pub(crate) use script::{Script, Step};

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
    /// By reference in text: a tag or a digest.
    manifests: Mutex<HashMap<String, Bytes>>,
    heads_tell_digests: Mutex<Option<bool>>,
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
        let digest = Digest::sha256_of(manifest);
        let bytes = Bytes::copy_from_slice(manifest);
        self.manifests.lock().insert(tag.to_owned(), bytes.clone());
        self.manifests.lock().insert(digest.to_string(), bytes);
        digest
    }

    pub(crate) fn untag(&self, tag: &str) {
        self.manifests.lock().remove(tag);
    }

    pub(crate) fn heads_without_digests(&self) {
        *self.heads_tell_digests.lock() = Some(false);
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
        match self.outage.lock().clone() {
            Some(kind) => Err(UpstreamError::new(kind, "scripted")),
            None => Ok(()),
        }
    }

    fn manifest(&self, reference: &Reference) -> Result<Bytes, UpstreamError> {
        let manifest = self.manifests.lock().get(&reference.to_string()).cloned();
        manifest.ok_or_else(not_found)
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
    ) -> Result<ManifestHead, UpstreamError> {
        self.called(format!("HEAD manifest {reference}"))?;
        let bytes = self.manifest(reference)?;
        let digest = self.heads_tell_digests.lock().unwrap_or(true);
        Ok(ManifestHead {
            digest: digest.then(|| Digest::sha256_of(&bytes)),
            media_type: Some(MediaType::OCI_MANIFEST),
            size: Some(bytes.len() as u64),
        })
    }

    async fn get_manifest(
        &self,
        _: &Repository,
        reference: &Reference,
    ) -> Result<ManifestBody, UpstreamError> {
        self.called(format!("GET manifest {reference}"))?;
        let bytes = self.manifest(reference)?;
        Ok(ManifestBody {
            digest: None,
            media_type: Some(MediaType::OCI_MANIFEST),
            bytes,
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
        let steps = stream::iter(script.within(range)).then(|step| async move {
            match step {
                Step::Send(bytes) => Ok(bytes),
                Step::Gate(gate) => {
                    gate.acquire().await.unwrap().forget();
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
            stream: steps.boxed(),
        })
    }

    async fn list(&self, _: &Listing, query: Option<&str>) -> Result<ListBody, UpstreamError> {
        self.called(format!("GET list {}", query.unwrap_or("-")))?;
        Ok(ListBody {
            bytes: Bytes::from_static(b"{\"name\":\"a\",\"tags\":[\"1\"]}"),
            next: Some("n=1&last=1&own=a%2Fb".to_owned()),
        })
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

pub(crate) const TTL: u64 = 60;
pub(crate) const STALE: u64 = 600;

/// How the fills of a [`house`] are treated.
pub(crate) fn policy() -> FillPolicy {
    FillPolicy {
        finish: true,
        finish_share: 0.5,
        answer_within: Duration::from_secs(25),
        max_age: Duration::from_hours(1),
        max_bytes: u64::MAX,
        measures: Measures::default(),
    }
}

fn upstream_of(registry: Arc<dyn Registry>, tags: TagPolicy, eager_downloads: usize) -> Upstream {
    Upstream {
        registry,
        tags,
        downloads: 16,
        eager_downloads,
    }
}

/// An engine over `store`, with one scripted upstream named `docker.io`.
pub(crate) struct House {
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) upstream: Arc<Scripted>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) store: Arc<dyn Store>,
}

impl House {
    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        Self::with(store, policy())
    }

    pub(crate) fn with(store: Arc<dyn Store>, fills: FillPolicy) -> Self {
        Self::built(store, fills, 0)
    }

    /// One that fetches the blobs of a manifest ahead of the client.
    pub(crate) fn eager() -> Self {
        Self::built(Arc::new(MemoryStore::default()), policy(), 2)
    }

    fn built(store: Arc<dyn Store>, fills: FillPolicy, eager: usize) -> Self {
        let upstream = Arc::new(Scripted::default());
        let clock = Arc::new(HandClock::default());
        clock.pass(1_000_000);
        let tags = TagPolicy {
            ttl: Duration::from_secs(TTL),
            stale_if_error: Duration::from_secs(STALE),
        };
        let registry: Arc<dyn Registry> = Arc::clone(&upstream) as _;
        let mirror = Mirror::new(Parts {
            upstreams: HashMap::from([(
                Arc::from("docker.io"),
                upstream_of(registry, tags, eager),
            )]),
            fills,
            store: Arc::clone(&store),
            clock: Arc::clone(&clock) as _,
            fetch_runtime: Handle::current(),
            metrics: MirrorMetrics::new(&prometheus::Registry::new()).unwrap(),
        });
        Self {
            mirror,
            upstream,
            clock,
            store,
        }
    }

    /// How many fills are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.mirror.fills.len()
    }

    /// Waits until no fill is under way: all that was begun is committed or gone.
    pub(crate) async fn settle(&self) {
        while self.under_way() > 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.store.open(digest).unwrap().is_some()
    }
}

/// A house over an empty store in memory.
pub(crate) fn house() -> House {
    House::over(Arc::new(MemoryStore::default()))
}

/// A gate that is shut.
pub(crate) fn gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

/// A blob in two halves with `between` them.
pub(crate) fn halves(bytes: &Bytes, between: Step) -> Script {
    let half = bytes.len() / 2;
    Script::of(vec![
        Step::Send(bytes.slice(..half)),
        between,
        Step::Send(bytes.slice(half..)),
    ])
}

/// The repository `name` of the scripted upstream.
pub(crate) fn origin(name: &str) -> Origin {
    Origin {
        upstream: Arc::from("docker.io"),
        repository: name.parse().unwrap(),
    }
}
