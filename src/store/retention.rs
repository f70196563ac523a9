//! What stays and what goes: uses, pins, room and garbage, and the seam to ask for them.

use super::{Link, RecordKey, StoreError, Verdict};
use crate::oci::{Digest, Tag};
use crate::store::catalog::Origin;

/// Why content was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The capacity was reached.
    Cap,
    /// The file system had no more room.
    FreeSpace,
    /// The collection of garbage.
    Gc,
    /// Somebody asked for it by name.
    Removed,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cap, Self::FreeSpace, Self::Gc, Self::Removed];

    /// The word for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::FreeSpace => "free_space",
            Self::Gc => "gc",
            Self::Removed => "removed",
        }
    }
}

/// So many digests with so many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many digests.
    pub count: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What was removed since the store was opened, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted([Amount; Reason::ALL.len()]);

impl Evicted {
    /// What was removed for `reason`.
    pub fn of(&self, reason: Reason) -> Amount {
        self.0[reason as usize]
    }

    pub(super) fn add(&mut self, reason: Reason, bytes: u64) {
        self.0[reason as usize].add(bytes);
    }
}

/// What is used, and what was done about it since the store was opened. Bytes are sizes of files as `stat` tells them,
/// not the blocks that the file system takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of content. Until the folder was looked through, this is what the last process noted, and what came since.
    pub content_bytes: u64,
    /// How many digests are content; known as well as the bytes.
    pub content_count: u64,
    /// Bytes written by fills that have not come to their end, those left behind among them.
    pub fills_bytes: u64,
    /// Bytes that fills were promised and have not written yet.
    pub reserved_bytes: u64,
    /// Bytes of the content that pins cover.
    pub pinned_bytes: u64,
    /// Bytes that content, fills and promises may take together.
    pub capacity: u64,
    /// What was removed.
    pub evicted: Evicted,
    /// How often content was hashed anew and was right.
    pub verified: u64,
    /// How often content turned out wrong and was set aside.
    pub wrong: u64,
}

/// A name for content that must stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The name.
    pub name: String,
    /// What must stay, with all that it references; sorted. It need not be here.
    pub digests: Vec<Digest>,
}

/// Why content is garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// No record and no pin reaches it.
    Unreferenced,
    /// It was not used for longer than anything may be.
    Unused,
}

/// Content that may be collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// What.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Why.
    pub why: Why,
}

/// All that is known of a digest: why it is here, and why it stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// Its size in bytes; `None` when it is not here.
    pub size: Option<u64>,
    /// When it was used last, in Unix seconds; `None` when it is not here.
    pub last_use: Option<u64>,
    /// The pins that cover it, sorted.
    pub pins: Vec<String>,
    /// The records that reach it, sorted; at most [`Explained::MOST`].
    pub records: Vec<RecordKey>,
    /// The repositories that have shown it, and as what; at most [`Explained::MOST`].
    pub links: Vec<Link>,
    /// How many read it now.
    pub readers: u32,
}

impl Explained {
    /// So many records and links are told; more of them explain no more.
    pub const MOST: usize = 1000;
}

/// Content, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When it was used last, in Unix seconds.
    pub last_use: u64,
    /// Whether a pin covers it.
    pub is_pinned: bool,
}

/// A tag and what is here of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The tag.
    pub tag: Tag,
    /// The manifest that its record names.
    pub digest: Digest,
    /// Bytes that are here of all that the manifest reaches, itself included.
    pub bytes: u64,
    /// When the manifest was used last, in Unix seconds; `None` when it is not here.
    pub last_use: Option<u64>,
}

/// What stays and what goes. Times are seconds since the Unix epoch: the store has no clock.
pub trait Retention: Send + Sync + 'static {
    /// `digest` was used at `now`, and with it all that it references. Only memory is touched: cheap enough for every
    /// hit.
    fn used(&self, digest: &Digest, now: u64);

    /// Pins `digests`, and all that they reference, under `name`, durably, in place of what it stood for before.
    fn pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError>;

    /// Gives up the pin `name`; whether there was one.
    fn unpin(&self, name: &str) -> Result<bool, StoreError>;

    /// All pins, sorted by name.
    fn pins(&self) -> Vec<Pin>;

    /// Evicts down to the low mark where the high one is passed, and as much as is to stay free of the file system.
    /// Called now and then; a fill that needs room before makes just as much as it needs itself.
    fn relieve(&self, now: u64) -> Amount;

    /// Writes what was used and what is gone to the catalog. Called now and then, and at the end: losing it costs the
    /// order of eviction, and nothing else.
    fn note_uses(&self) -> Result<(), StoreError>;

    /// What is used.
    fn usage(&self) -> Usage;

    /// What may be collected at `now`, sorted by digest: what no record and no pin reaches and was not used for
    /// `unused_for` seconds; and, if `max_age` is set, what was not used for so many seconds at all. Nothing that is
    /// pinned or being read.
    ///
    /// Fails with [`StoreErrorKind::Unready`](super::StoreErrorKind::Unready) as long as it is not known what is here.
    fn collectable(
        &self,
        now: u64,
        unused_for: u64,
        max_age: Option<u64>,
    ) -> Result<Vec<Garbage>, StoreError>;

    /// Removes content, but what is pinned or being read; gives what was removed.
    fn remove(&self, digests: &[Digest], reason: Reason) -> Result<Amount, StoreError>;

    /// Hashes content anew. What is wrong is set aside and counted. `pace` is told after each piece how many bytes were
    /// read, and may take its time.
    fn verify(&self, digest: &Digest, pace: &mut dyn FnMut(u64)) -> Result<Verdict, StoreError>;

    /// Why `digest` is here, and why it stays.
    fn explain(&self, digest: &Digest) -> Result<Explained, StoreError>;

    /// What is here by digest, at most `limit` of it behind `after`; as far as it is known what is here.
    fn contents(&self, after: Option<&Digest>, limit: usize) -> Vec<Held>;

    /// The tags of `origin` that have a record, sorted, at most `limit` of those after `after`.
    fn list(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError>;
}
