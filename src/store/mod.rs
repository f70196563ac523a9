//! Content, fills' files, records and links, and the room for them. Disk only; no network, no async, no clock.
//!
//! Three seams, each with a twin in memory and one conformance suite (`conformance`) for all:
//!
//! - [`Contents`]: bytes named by digest. [`Partial`] is the only handle to unverified bytes, and
//!   [`Partial::commit`] the only door to visible content; it asks for [`Verified`](crate::oci::Verified), which nothing
//!   but a matching digest can make.
//! - [`Catalog`]: what is known *about* content: [`Record`]s (tag to digest) and [`Link`]s
//!   (a repository has shown a digest). It may be lost: bytes never depend on it.
//! - [`Retention`]: what stays and what goes, within [`Limits`]: uses, pins, eviction, garbage. A fill
//!   [reserves](Partial::reserve) its room before it takes it; what must go for that goes by the
//!   order of the [`Policy`], along the graph of who references whom.
//!
//! Every call may block on the disk; who calls chooses the thread. Only [`Source::try_read_at`] never
//! waits, for the threads that serve.

mod catalog;
#[cfg(test)]
pub(crate) mod conformance;
mod content;
mod disk;
mod error;
mod examine;
#[cfg(test)]
pub(crate) mod faulty;
mod index;
mod memory;
mod partial;
mod progress;
mod retention;
mod room;
mod verdict;

use crate::oci::Digest;

pub use catalog::{Catalog, Fact, Link, Origin, Record, RecordKey, Role};
pub use content::{Content, Source};
#[doc(hidden)]
pub use disk::reads_as_note;
pub use disk::{DiskStore, Scrub};
pub use error::{StoreError, StoreErrorKind};
pub use index::{Index, Policy, Totals};
pub use memory::MemoryStore;
pub use partial::Partial;
pub use progress::{Begun, Progress, Unfinished};
pub use retention::{
    Amount, Evicted, Explained, Garbage, Held, Listed, Pin, Reason, Retention, Usage, Why,
};
pub use room::Limits;
pub use verdict::Verdict;

/// Verified, immutable bytes by digest, and the files of fills that have not come to their end.
pub trait Contents: Send + Sync + 'static {
    /// The content named `digest`, open for reading; `None` when it is not here.
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError>;

    /// The file for a fill of `digest`: what an earlier one left, with its progress, or a new, empty one.
    /// The caller holds at most one per digest (invariant 3).
    ///
    /// What was left and cannot be trusted to be what was remembered is dropped, and is no error.
    fn begin(&self, digest: &Digest) -> Result<Begun, StoreError>;

    /// The fills that stopped before their end, those of an earlier process too, in no order. One that was
    /// remembered and is in use now is among them: the caller knows.
    fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError>;

    /// Drops what an unfinished fill of `digest` left. The caller knows that no fill uses it.
    /// No error when it is not there.
    fn drop_unfinished(&self, digest: &Digest) -> Result<(), StoreError>;

    /// Takes content whose bytes turned out wrong out of sight, so that it is absent and can be filled anew.
    /// No error when it is not there.
    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError>;

    /// Whether new bytes could be kept now: asked by the readiness check.
    fn probe(&self) -> Result<(), StoreError>;
}

/// All seams in one value, as the engine holds it.
pub trait Store: Contents + Catalog + Retention {}

impl<T: Contents + Catalog + Retention> Store for T {}
