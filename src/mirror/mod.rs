//! The engine: what is asked for is found here, or filled from upstream exactly once.
//!
//! Knows the store and the upstreams by their seams only, and no client protocol at all: it takes an
//! [`Origin`] and a digest or tag, and gives bytes to be read with the [`Outcome`] that tells how.
//!
//! | file | idea |
//! |---|---|
//! | `access/` | in whose name something is asked for, and what upstream has shown to whom |
//! | `obtain` | a digest: hit, join, or a new fill; and the right to it |
//! | `ahead` | fills that no client waits for |
//! | `unasked` | which of them no client has asked for yet |
//! | `bring` | a blob that is to be here whole, for nobody who reads it |
//! | `fills/` | one download, its followers, its end |
//! | `manifests` | manifests by digest and by tag |
//! | `resolve` | a tag: its record while that is good |
//! | `signed` | signed schema 1 manifests, which can never be content |
//! | `question` | else one question to upstream |
//! | `absent` | what upstream said it does not have |
//! | `scribe` | writes down what upstream was heard to say |
//! | `tend` | what the store needs from time to time |
//! | `listings` | tags and catalog, page by page |
//! | `known` | what the records know of them, offline |
//! | `referrers` | what refers to a digest, or the fallback tag |
//! | `overview` | what the operator is shown of the work |
//! | `keeping` | what the operator does with what is kept |
//! | `names` | under which names upstreams are written |
//! | `warm/` | a list of images brought without a client |
//! | `bundle/` | images carried as files |
//! | `patience` | how long one waits for upstream where what is known could answer |
//! | `freshness`, `outcome` | decisions and words, without I/O |
//! | `flight` | single flight for small answers |

mod absent;
mod access;
mod ahead;
mod bring;
pub mod bundle;
mod clock;
mod error;
mod fills;
mod flight;
mod freshness;
mod keeping;
mod known;
mod listings;
mod manifests;
mod metrics;
mod names;
mod obtain;
mod outcome;
mod overview;
mod patience;
mod question;
mod referrers;
mod resolve;
mod scribe;
mod signed;
mod tend;
#[cfg(test)]
pub(crate) mod testkit;
#[cfg(test)]
mod tests;
mod unasked;
pub mod warm;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use self::absent::Absent;
use self::access::{Fingerprint, Fingerprints, Question, Verdicts};
use self::fills::{Fills, Lanes};
use self::flight::Flights;
use self::listings::{Kept, Page};
use self::metrics::LaneGauges;
use self::question::Resolved;
use self::scribe::Scribe;
use self::unasked::Unasked;
use crate::oci::{Digest, RepositoryRules};
use crate::store::{Fact, Link, Origin, RecordKey, Role, Store, StoreError};
use crate::upstream::Registry;

pub use access::{AccessPolicy, Asker, ClientCredential};
pub use clock::{Clock, SystemClock};
pub use error::MirrorError;
pub use fills::{FillError, FillPolicy, FillSeen, Follower, Joined, Measures, Run, Strayed};
pub use freshness::{TagPolicies, TagPolicy, TagRule};
pub use keeping::{
    Collected, ContentKept, Explained, Garbage, GarbagePolicy, KeepingError, KeptPage, PartsHere,
    Pin, Purged, RecordKept, Refreshed, RepositoryKept, TagKept,
};
pub use manifests::{HeldManifest, ManifestSummary};
pub use metrics::MirrorMetrics;
pub use names::Names;
pub use obtain::Blob;
pub use outcome::{Outcome, Who};
pub use overview::UpstreamSeen;
pub use patience::Patience;

/// Manifests held in memory, in bytes.
const MANIFESTS_IN_MEMORY: u64 = 8 * 1024 * 1024;

/// What was found, and how.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// How it was answered.
    pub outcome: Outcome,
    /// For how long it has been known without a question to upstream; `None` for what never ages.
    pub age: Option<Duration>,
}

impl<T> Answer<T> {
    /// An answer that does not age.
    pub fn new(value: T, outcome: Outcome) -> Self {
        Self {
            value,
            outcome,
            age: None,
        }
    }
}

/// One upstream as the engine sees it.
pub struct Upstream {
    /// The way to it.
    pub registry: Arc<dyn Registry>,
    /// Which of its repositories may be pulled, by whatever question.
    pub repositories: RepositoryRules,
    /// How long its tags' answers are good.
    pub tags: TagPolicies,
    /// Connections that download blobs at once.
    pub downloads: usize,
    /// How many of them may run ahead of the clients, after a manifest was brought; 0 for none.
    pub eager_downloads: usize,
    /// How many of them may bring one blob, when each is slow; 1 for never more than it takes.
    pub connections_per_blob: usize,
}

/// What a [`Mirror`] is made of. The composition root fills it in.
pub struct Parts {
    /// The upstreams by name. Nothing but these is ever asked.
    pub upstreams: HashMap<Arc<str>, Upstream>,
    /// Content and catalog.
    pub store: Arc<dyn Store>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// How fills are treated.
    pub fills: FillPolicy,
    /// What is garbage.
    pub garbage: GarbagePolicy,
    /// How long what upstream has shown to a client counts.
    pub access: AccessPolicy,
    /// Where fills and questions to upstream run: never on a thread that serves hits.
    pub fetch_runtime: Handle,
    /// What the engine counts.
    pub metrics: MirrorMetrics,
}

/// One upstream, and the lanes to it.
struct Way {
    registry: Arc<dyn Registry>,
    repositories: RepositoryRules,
    tags: TagPolicies,
    lanes: Arc<Lanes>,
    /// How many downloads that no client waits for it bears at once; at least one.
    ahead: usize,
    eager: bool,
}

impl Way {
    fn new(upstream: Upstream, gauges: LaneGauges) -> Self {
        // Without its own, what goes on alone has one lane still.
        let ahead = upstream.eager_downloads.max(1);
        Self {
            registry: upstream.registry,
            repositories: upstream.repositories,
            tags: upstream.tags,
            lanes: Arc::new(Lanes::new(
                upstream.downloads,
                ahead,
                upstream.connections_per_blob,
                gauges,
            )),
            ahead,
            eager: upstream.eager_downloads > 0,
        }
    }
}

/// The engine.
pub struct Mirror {
    upstreams: HashMap<Arc<str>, Way>,
    store: Arc<dyn Store>,
    /// By whom links and records get there.
    scribe: Arc<Scribe>,
    clock: Arc<dyn Clock>,
    fills: Arc<Fills>,
    unasked: Unasked,
    /// Questions "has this repository this digest?" under way; the answer is the size in bytes.
    proofs: Flights<(Link, Option<Fingerprint>), Result<u64, MirrorError>>,
    /// Questions "what is this tag?" under way.
    resolutions: Flights<(RecordKey, Option<Fingerprint>), Result<Resolved, MirrorError>>,
    /// What upstream has shown to whom, and the questions for it under way.
    verdicts: Verdicts,
    admissions: Flights<Question, Result<(), MirrorError>>,
    fingerprints: Fingerprints,
    garbage: GarbagePolicy,
    /// Held while pins are read and written: one name may get more by several hands.
    pinning: Mutex<()>,
    fetch_runtime: Handle,
    /// Pages of listings, and the questions for them under way.
    pages: Cache<Page, Kept>,
    listings: Flights<(Page, Option<Fingerprint>), Result<Kept, MirrorError>>,
    /// What upstream said a moment ago that it does not have.
    absent: Absent,
    /// Manifests that their repositories have shown, with their references remembered.
    manifests: Cache<Link, HeldManifest>,
}

impl Mirror {
    /// Puts the engine together. It asks nothing of anybody yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        let ways = parts.upstreams.into_iter().map(|(name, upstream)| {
            let gauges = parts.metrics.begin(&name, upstream.downloads);
            (name, Way::new(upstream, gauges))
        });
        let upstreams = ways.collect();
        let scribe = Scribe::new(Arc::clone(&parts.store), &parts.fetch_runtime);
        let scribe = Arc::new(scribe);
        Arc::new(Self {
            admissions: Flights::new(parts.fetch_runtime.clone()),
            verdicts: Verdicts::new(Arc::clone(&parts.clock), parts.access),
            fingerprints: Fingerprints::new(),
            garbage: parts.garbage,
            pinning: Mutex::default(),
            unasked: Unasked::default(),
            fetch_runtime: parts.fetch_runtime.clone(),
            proofs: Flights::new(parts.fetch_runtime.clone()),
            listings: Flights::new(parts.fetch_runtime.clone()),
            pages: listings::pages(),
            resolutions: Flights::new(parts.fetch_runtime.clone()),
            fills: Arc::new(Fills::new(
                Arc::clone(&parts.store),
                Arc::clone(&scribe),
                parts.fetch_runtime.clone(),
                parts.fills,
                parts.metrics,
            )),
            manifests: Cache::builder()
                .max_capacity(MANIFESTS_IN_MEMORY)
                .weigher(|_, manifest: &HeldManifest| manifest.weight())
                .build(),
            upstreams,
            scribe,
            store: parts.store,
            absent: Absent::new(Arc::clone(&parts.clock)),
            clock: parts.clock,
        })
    }

    /// Whether new bytes could be kept now.
    pub fn probe_store(&self) -> Result<(), StoreError> {
        self.store.probe()
    }

    /// Whether what is kept can be read.
    pub fn probe_reading(&self) -> Result<(), StoreError> {
        // Of whatever digest: absent is an answer, too.
        self.store.open(&Digest::sha256_of(b"")).map(drop)
    }

    /// Waits until everything whose last byte is here is content: before the process ends. The wait is for the disk
    /// only; the caller bounds it.
    pub async fn commits_ended(&self) {
        self.fills.commits_ended().await;
    }

    /// Notes how far each fill has come, so that it is taken up after the next start.
    pub async fn fills_noted(&self) {
        let fills = Arc::clone(&self.fills);
        let noted = tokio::task::spawn_blocking(move || fills.note_all());
        // What cannot be noted is fetched again.
        let _ = noted.await;
    }

    fn upstream(&self, name: &str) -> Result<&Way, MirrorError> {
        self.upstreams
            .get(name)
            .ok_or_else(|| MirrorError::UnknownUpstream(name.into()))
    }

    /// Whether the origin has shown the digest. A catalog that cannot be read knows nothing.
    fn linked(&self, link: &Link) -> bool {
        self.store.linked(link).unwrap_or_else(|error| {
            tracing::warn!(%error, "catalog cannot be read");
            false
        })
    }

    /// Forgets a link, also one that cannot be looked up: upstream says that the repository has it no longer.
    fn unlink(&self, link: &Link) {
        self.manifests.invalidate(link);
        if !matches!(self.store.linked(link), Ok(false)) {
            self.scribe.learn(&[Fact::Link(link.clone(), false)]);
        }
    }
}

/// A link under `origin`.
fn link(origin: &Origin, digest: &Digest, role: Role) -> Link {
    Link {
        origin: origin.clone(),
        digest: digest.clone(),
        role,
    }
}
