//! A store that fails or lies on purpose: for testing the suite, and those above the store.

mod retention;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{
    Begun, Catalog, Content, Contents, Fact, Link, Origin, Partial, Progress, Record, RecordKey,
    Source, Store, StoreError, StoreErrorKind, Unfinished,
};
use crate::oci::{Digest, Repository, Tag, Verified};

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The operation with this number, counted from 1, fails as a broken disk would.
    FailsAt(u64),
    /// The same, in this way.
    FailsSo(u64, StoreErrorKind),
    /// The operation with this number, if it is a write, takes half of its bytes and says that the disk is full.
    CutsShort(u64),
    /// From the operation with this number on, every one that needs room on the disk fails in this way: begin, write,
    /// checkpoint, commit, what changes the catalog, and the probe. Reads go on, and so does what only removes.
    FailsFrom(u64, StoreErrorKind),
    /// Commit says yes and keeps nothing.
    LosesCommits,
    /// A checkpoint says yes and remembers nothing.
    LosesCheckpoints,
    /// What should be removed of a fill stays.
    KeepsFills,
    /// The first byte of every write is changed.
    FlipsABit,
    /// Records are taken and not kept.
    LosesRecords,
    /// The catalog cannot be read.
    KnowsNothing,
    /// What was learnt cannot be written down.
    WritesNothingDown,
    /// Every link is said to be known.
    LinksAll,
    /// What is unlinked stays linked.
    LinksForEver,
}

/// `inner` behind a [`Fault`].
pub(crate) struct Faulty<S> {
    inner: S,
    count: Count,
}

#[derive(Clone)]
struct Count {
    fault: Arc<Mutex<Fault>>,
    steps: Arc<Mutex<Vec<&'static str>>>,
    /// Something was not learnt, and nobody was told yet.
    lost: Arc<AtomicBool>,
}

impl Count {
    fn fault(&self) -> Fault {
        *self.fault.lock()
    }

    /// The number of the operation that is asked for now.
    fn next(&self, operation: &'static str) -> u64 {
        let mut steps = self.steps.lock();
        steps.push(operation);
        steps.len() as u64
    }

    /// Counts an operation that reads or removes.
    fn step(&self, operation: &'static str) -> Result<(), StoreError> {
        let nth = self.next(operation);
        match self.fault() {
            Fault::FailsAt(at) if at == nth => Err(injected(nth, operation, StoreErrorKind::Io)),
            Fault::FailsSo(at, kind) if at == nth => Err(injected(nth, operation, kind)),
            Fault::KnowsNothing if operation == "read" => {
                Err(injected(nth, operation, StoreErrorKind::Io))
            }
            _ => Ok(()),
        }
    }

    /// Counts an operation that needs room on the disk.
    fn write(&self, operation: &'static str) -> Result<(), StoreError> {
        let nth = self.next(operation);
        let trouble = match self.fault() {
            Fault::FailsAt(at) if at == nth => Some(StoreErrorKind::Io),
            Fault::FailsSo(at, kind) if at == nth => Some(kind),
            Fault::FailsFrom(from, kind) if from <= nth => Some(kind),
            _ => None,
        };
        trouble.map_or(Ok(()), |kind| Err(injected(nth, operation, kind)))
    }
}

fn injected(nth: u64, operation: &'static str, kind: StoreErrorKind) -> StoreError {
    let reason = format!("injected at operation {nth}");
    StoreError::new(kind, operation, "faulty store", reason)
}

impl<S: Store> Faulty<S> {
    pub(crate) fn new(inner: S, fault: Fault) -> Self {
        Self {
            inner,
            count: Count {
                fault: Arc::new(Mutex::new(fault)),
                steps: Arc::default(),
                lost: Arc::default(),
            },
        }
    }

    /// From now on this is wrong with it.
    pub(crate) fn becomes(&self, fault: Fault) {
        *self.count.fault.lock() = fault;
    }

    /// What is behind the fault.
    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }

    /// How many operations were asked for so far.
    pub(crate) fn operations(&self) -> u64 {
        self.count.steps.lock().len() as u64
    }

    /// The number of the last operation of this name.
    pub(crate) fn last(&self, operation: &str) -> Option<u64> {
        let steps = self.count.steps.lock();
        let before = steps.iter().rposition(|step| *step == operation)?;
        Some(before as u64 + 1)
    }
}

impl<S: Store> Contents for Faulty<S> {
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        self.count.step("open")?;
        self.inner.open(digest)
    }

    fn begin(&self, digest: &Digest) -> Result<Begun, StoreError> {
        self.count.write("begin")?;
        let Begun { partial, progress } = self.inner.begin(digest)?;
        let partial = Box::new(FaultyPartial {
            inner: partial,
            count: self.count.clone(),
        });
        Ok(Begun { partial, progress })
    }

    fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        self.count.step("list")?;
        self.inner.unfinished()
    }

    fn drop_unfinished(&self, digest: &Digest) -> Result<(), StoreError> {
        self.count.step("drop")?;
        if self.count.fault() == Fault::KeepsFills {
            return Ok(());
        }
        self.inner.drop_unfinished(digest)
    }

    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        self.count.step("set aside")?;
        self.inner.set_aside(digest)
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.count.write("probe")?;
        self.inner.probe()
    }
}

impl<S: Store> Catalog for Faulty<S> {
    fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.count.step("read")?;
        self.inner.record(key)
    }

    fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        self.count.step("read")?;
        Ok(self.count.fault() == Fault::LinksAll || self.inner.linked(link)?)
    }

    fn learn(&self, facts: &[Fact]) {
        // What cannot be written is not known either: the worst that a store may do. Who writes down hears of it.
        if self.count.write("learn").is_err() {
            self.count.lost.store(true, Ordering::SeqCst);
            return;
        }
        let keeps = |fact: &&Fact| match fact {
            Fact::Record(..) => self.count.fault() != Fault::LosesRecords,
            Fact::Link(_, is_so) => *is_so || self.count.fault() != Fault::LinksForEver,
            Fact::Public(..) => true,
        };
        let kept: Vec<_> = facts.iter().filter(keeps).cloned().collect();
        self.inner.learn(&kept);
    }

    fn write_down(&self) -> Result<(), StoreError> {
        self.count.write("write")?;
        let has_lost = self.count.lost.swap(false, Ordering::SeqCst);
        if has_lost || self.count.fault() == Fault::WritesNothingDown {
            let nth = self.operations();
            return Err(injected(nth, "write", StoreErrorKind::ReadOnly));
        }
        self.inner.write_down()
    }

    fn is_public(&self, origin: &Origin) -> Result<bool, StoreError> {
        self.count.step("read")?;
        self.inner.is_public(origin)
    }

    fn tags(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StoreError> {
        self.count.step("list")?;
        self.inner.tags(origin, after, limit)
    }

    fn repositories(
        &self,
        upstream: &str,
        after: Option<&Repository>,
        limit: usize,
    ) -> Result<Vec<Repository>, StoreError> {
        self.count.step("list")?;
        self.inner.repositories(upstream, after, limit)
    }
}

struct FaultyPartial {
    inner: Box<dyn Partial>,
    count: Count,
}

impl Partial for FaultyPartial {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.count.write("write")?;
        let nth = self.count.steps.lock().len() as u64;
        if self.count.fault() == Fault::CutsShort(nth) {
            self.inner.write_at(offset, &bytes[..bytes.len() / 2])?;
            return Err(injected(nth, "write", StoreErrorKind::Full));
        }
        if self.count.fault() == Fault::FlipsABit && !bytes.is_empty() {
            let mut flipped = bytes.to_vec();
            flipped[0] ^= 1;
            return self.inner.write_at(offset, &flipped);
        }
        self.inner.write_at(offset, bytes)
    }

    fn reserve(&self, size: u64) -> Result<(), StoreError> {
        self.count.step("reserve")?;
        self.inner.reserve(size)
    }

    fn source(&self) -> Source {
        self.inner.source()
    }

    fn checkpoint(&self, progress: &Progress, durable: bool) -> Result<(), StoreError> {
        self.count.write("checkpoint")?;
        if self.count.fault() == Fault::LosesCheckpoints {
            return Ok(());
        }
        self.inner.checkpoint(progress, durable)
    }

    fn discard(&self) -> Result<(), StoreError> {
        self.count.step("discard")?;
        if self.count.fault() == Fault::KeepsFills {
            return Ok(());
        }
        self.inner.discard()
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        self.count.write("commit")?;
        if self.count.fault() == Fault::LosesCommits {
            return Ok(Content::new(self.source(), verified.size(), None));
        }
        self.inner.commit(verified)
    }
}
