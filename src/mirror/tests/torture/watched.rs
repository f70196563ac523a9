//! A store in memory that outlives its process, may break for good, and tells when a rule is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::oci::{ByteRange, Digest, RangeSet, Repository, Tag, Verified};
use crate::store::{
    Amount, Begun, Catalog, Content, Contents, Explained, Fact, Garbage, Held, Link, Listed,
    MemoryStore, Origin, Partial, Pin, Progress, Reason, Record, RecordKey, Retention, Source,
    StoreError, StoreErrorKind, Unfinished, Usage, Verdict,
};

/// What was seen that must not be.
#[derive(Clone, Default)]
pub(super) struct Violations(Arc<Mutex<Vec<String>>>);

impl Violations {
    pub(super) fn add(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// From which operation on the disk fails, and how.
pub(super) type Breaks = Option<(u64, StoreErrorKind)>;

/// One process's way to the disk.
pub(super) struct Life {
    pub(super) killed: AtomicBool,
    /// The number of the first operation that fails, and how it and all after it do.
    pub(super) breaks: Breaks,
    operations: AtomicU64,
}

impl Life {
    pub(super) fn new(breaks: Breaks) -> Arc<Self> {
        Arc::new(Self {
            killed: AtomicBool::new(false),
            breaks,
            operations: AtomicU64::new(0),
        })
    }

    fn step(&self) -> Result<(), StoreError> {
        let nth = self.operations.fetch_add(1, Ordering::Relaxed);
        let broken = self.breaks.filter(|(first, _)| nth >= *first);
        let kind = match broken {
            _ if self.killed.load(Ordering::Relaxed) => StoreErrorKind::Io,
            Some((_, kind)) => kind,
            None => return Ok(()),
        };
        Err(StoreError::new(
            kind,
            "write",
            "watched store",
            "by the dice",
        ))
    }
}

pub(super) struct Watched {
    pub(super) disk: Arc<MemoryStore>,
    pub(super) life: Arc<Life>,
    pub(super) violations: Violations,
}

impl Contents for Watched {
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        self.disk.open(digest)
    }

    fn begin(&self, digest: &Digest) -> Result<Begun, StoreError> {
        self.life.step()?;
        let Begun { partial, progress } = self.disk.begin(digest)?;
        let present = progress.as_ref().map(|it| it.present.clone());
        let partial = Box::new(WatchedPartial {
            inner: partial,
            written: Mutex::new(present.unwrap_or_default()),
            life: Arc::clone(&self.life),
            violations: self.violations.clone(),
        });
        Ok(Begun { partial, progress })
    }

    fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        self.disk.unfinished()
    }

    fn drop_unfinished(&self, digest: &Digest) -> Result<(), StoreError> {
        self.life.step()?;
        self.disk.drop_unfinished(digest)
    }

    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        self.disk.set_aside(digest)
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.life.step()
    }
}

impl Catalog for Watched {
    fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.disk.record(key)
    }

    fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        self.disk.linked(link)
    }

    fn learn(&self, facts: &[Fact]) {
        self.disk.learn(facts);
    }

    fn write_down(&self) -> Result<(), StoreError> {
        self.life.step()?;
        self.disk.write_down()
    }

    fn is_public(&self, origin: &Origin) -> Result<bool, StoreError> {
        self.disk.is_public(origin)
    }

    fn tags(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StoreError> {
        self.disk.tags(origin, after, limit)
    }

    fn repositories(
        &self,
        upstream: &str,
        after: Option<&Repository>,
        limit: usize,
    ) -> Result<Vec<Repository>, StoreError> {
        self.disk.repositories(upstream, after, limit)
    }
}

impl Retention for Watched {
    fn used(&self, digest: &Digest, now: u64) {
        self.disk.used(digest, now);
    }

    fn pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError> {
        self.life.step()?;
        self.disk.pin(name, digests)
    }

    fn unpin(&self, name: &str) -> Result<bool, StoreError> {
        self.life.step()?;
        self.disk.unpin(name)
    }

    fn pins(&self) -> Vec<Pin> {
        self.disk.pins()
    }

    fn relieve(&self, now: u64) -> Amount {
        self.disk.relieve(now)
    }

    fn note_uses(&self) -> Result<(), StoreError> {
        self.life.step()?;
        self.disk.note_uses()
    }

    fn usage(&self) -> Usage {
        self.disk.usage()
    }

    fn collectable(
        &self,
        now: u64,
        unused_for: u64,
        max_age: Option<u64>,
    ) -> Result<Vec<Garbage>, StoreError> {
        self.disk.collectable(now, unused_for, max_age)
    }

    fn remove(&self, digests: &[Digest], reason: Reason) -> Result<Amount, StoreError> {
        self.disk.remove(digests, reason)
    }

    fn verify(&self, digest: &Digest, pace: &mut dyn FnMut(u64)) -> Result<Verdict, StoreError> {
        self.disk.verify(digest, pace)
    }

    fn contents(&self, after: Option<&Digest>, limit: usize) -> Vec<Held> {
        self.disk.contents(after, limit)
    }

    fn explain(&self, digest: &Digest) -> Result<Explained, StoreError> {
        self.disk.explain(digest)
    }

    fn list(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.disk.list(origin, after, limit)
    }
}

struct WatchedPartial {
    inner: Box<dyn Partial>,
    written: Mutex<RangeSet>,
    life: Arc<Life>,
    violations: Violations,
}

impl Partial for WatchedPartial {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.life.step()?;
        let range = ByteRange::new(offset, offset + bytes.len() as u64);
        let mut written = self.written.lock();
        let absent = written.first_hole(range.start, range.end);
        if absent != Some(range) && !range.is_empty() {
            self.violations
                .add(format!("written twice: {range:?} over {written:?}"));
        }
        written.insert(range);
        self.inner.write_at(offset, bytes)
    }

    fn reserve(&self, size: u64) -> Result<(), StoreError> {
        self.inner.reserve(size)
    }

    fn source(&self) -> Source {
        self.inner.source()
    }

    fn checkpoint(&self, progress: &Progress, durable: bool) -> Result<(), StoreError> {
        self.life.step()?;
        let written = self.written.lock();
        let mut runs = progress.present.iter();
        if runs.any(|run| written.first_hole(run.start, run.end).is_some()) {
            self.violations.add("noted what was not written");
        }
        self.inner.checkpoint(progress, durable)
    }

    fn discard(&self) -> Result<(), StoreError> {
        self.life.step()?;
        self.inner.discard()
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        self.life.step()?;
        self.inner.commit(verified)
    }
}
