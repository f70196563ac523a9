//! An engine over the scripted upstream.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{Book, Guarded, HandClock, Script, Scripted, Step};
use crate::mirror::{
    AccessPolicy, FillPolicy, GarbagePolicy, Measures, Mirror, MirrorMetrics, Parts, TagPolicies,
    TagPolicy, Upstream,
};
use crate::oci::{Digest, RepositoryRules};
use crate::store::{MemoryStore, Origin, Store};
use crate::upstream::Registry;

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

/// How the tags of a [`house`] are treated.
pub(crate) fn tag_policy() -> TagPolicy {
    TagPolicy {
        ttl: Duration::from_secs(TTL),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::from_secs(STALE),
        negative_ttl: Duration::ZERO,
        is_immutable: false,
    }
}

fn upstream_of(registry: Arc<dyn Registry>, tags: TagPolicies, eager_downloads: usize) -> Upstream {
    Upstream {
        registry,
        tags,
        downloads: 16,
        repositories: RepositoryRules::default(),
        eager_downloads,
        connections_per_blob: 3,
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
        Self::built(store, fills, TagPolicies::all(tag_policy()), 0)
    }

    /// One whose tags are treated like that.
    pub(crate) fn tagged(tags: TagPolicies) -> Self {
        Self::built(Arc::new(MemoryStore::default()), policy(), tags, 0)
    }

    /// One that fetches the blobs of a manifest ahead of the client.
    pub(crate) fn eager() -> Self {
        Self::built(
            Arc::new(MemoryStore::default()),
            policy(),
            TagPolicies::all(tag_policy()),
            2,
        )
    }

    /// One that downloads one thing at a time.
    pub(crate) fn narrow() -> Self {
        let upstream = Arc::new(Scripted::default());
        let registry: Arc<dyn Registry> = Arc::clone(&upstream) as _;
        let way = Upstream {
            downloads: 1,
            ..upstream_of(registry, TagPolicies::all(tag_policy()), 0)
        };
        Self::of(Arc::new(MemoryStore::default()), policy(), upstream, way)
    }

    /// One whose upstream shows each repository only to those who have the right to it, and their book.
    pub(crate) fn guarded(store: Arc<dyn Store>) -> (Self, Arc<Book>) {
        let (upstream, book) = (Arc::new(Scripted::default()), Arc::new(Book::default()));
        let guarded = Guarded {
            inner: Arc::clone(&upstream),
            book: Arc::clone(&book),
            who: String::new(),
        };
        let tags = TagPolicies::all(tag_policy());
        let way = upstream_of(Arc::new(guarded), tags, 0);
        (Self::of(store, policy(), upstream, way), book)
    }

    fn built(store: Arc<dyn Store>, fills: FillPolicy, tags: TagPolicies, eager: usize) -> Self {
        let upstream = Arc::new(Scripted::default());
        let registry: Arc<dyn Registry> = Arc::clone(&upstream) as _;
        Self::of(store, fills, upstream, upstream_of(registry, tags, eager))
    }

    fn of(
        store: Arc<dyn Store>,
        fills: FillPolicy,
        scripted: Arc<Scripted>,
        upstream: Upstream,
    ) -> Self {
        let clock = Arc::new(HandClock::default());
        clock.pass(1_000_000);
        let mirror = Mirror::new(Parts {
            upstreams: HashMap::from([(Arc::from("docker.io"), upstream)]),
            fills,
            access: AccessPolicy::default(),
            garbage: GarbagePolicy::default(),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock) as _,
            fetch_runtime: Handle::current(),
            metrics: MirrorMetrics::new(&prometheus::Registry::new()).unwrap(),
        });
        Self {
            mirror,
            upstream: scripted,
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
        let bound = Bound::begin("no fill is under way");
        while self.under_way() > 0 {
            bound.holds();
            tokio::task::yield_now().await;
        }
        // Nor is anything written down any more. Where it could not be, it is known all the same.
        let _ = self.mirror.scribe.written().await;
    }

    /// Waits until no question about a tag is under way, whoever waits for it.
    pub(crate) async fn answered(&self) {
        let bound = Bound::begin("no question is under way");
        while !self.mirror.resolutions.is_idle() {
            bound.holds();
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

/// How long a test waits by looking again and again, in real time whatever the test's clock says.
struct Bound(std::time::Instant, &'static str);

impl Bound {
    fn begin(what: &'static str) -> Self {
        Self(std::time::Instant::now(), what)
    }

    fn holds(&self) {
        assert!(
            self.0.elapsed() < Duration::from_mins(1),
            "never so: {}",
            self.1
        );
    }
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
