//! A store that fails or lies on purpose: for testing the suite, and those above the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    Catalog, Content, Contents, Link, Partial, Record, RecordKey, Source, Store, StoreError,
    StoreErrorKind,
};
use crate::oci::{Digest, Verified};

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The operation with this number, counted from 1, fails as a broken disk would.
    FailsAt(u64),
    /// Commit says yes and keeps nothing.
    LosesCommits,
    /// The first byte of every write is changed.
    FlipsABit,
    /// Records are taken and not kept.
    LosesRecords,
    /// Every link is said to be known.
    LinksAll,
}

/// `inner` behind a [`Fault`].
pub(crate) struct Faulty<S> {
    inner: S,
    count: Count,
}

#[derive(Clone)]
struct Count {
    fault: Fault,
    operations: Arc<AtomicU64>,
}

impl Count {
    fn step(&self, operation: &'static str) -> Result<(), StoreError> {
        let nth = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        if self.fault == Fault::FailsAt(nth) {
            let reason = format!("injected at operation {nth}");
            return Err(StoreError::new(
                StoreErrorKind::Io,
                operation,
                "faulty store",
                reason,
            ));
        }
        Ok(())
    }
}

impl<S: Store> Faulty<S> {
    pub(crate) fn new(inner: S, fault: Fault) -> Self {
        Self {
            inner,
            count: Count {
                fault,
                operations: Arc::default(),
            },
        }
    }

    /// How many operations were asked for so far.
    pub(crate) fn operations(&self) -> u64 {
        self.count.operations.load(Ordering::SeqCst)
    }
}

impl<S: Store> Contents for Faulty<S> {
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        self.count.step("open")?;
        self.inner.open(digest)
    }

    fn begin(&self, digest: &Digest) -> Result<Box<dyn Partial>, StoreError> {
        self.count.step("begin")?;
        let inner = self.inner.begin(digest)?;
        Ok(Box::new(FaultyPartial {
            inner,
            count: self.count.clone(),
        }))
    }

    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        self.count.step("set aside")?;
        self.inner.set_aside(digest)
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.count.step("probe")?;
        self.inner.probe()
    }
}

impl<S: Store> Catalog for Faulty<S> {
    fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.count.step("read")?;
        self.inner.record(key)
    }

    fn put_record(&self, key: &RecordKey, record: &Record) -> Result<(), StoreError> {
        self.count.step("write")?;
        if self.count.fault == Fault::LosesRecords {
            return Ok(());
        }
        self.inner.put_record(key, record)
    }

    fn forget_record(&self, key: &RecordKey) -> Result<(), StoreError> {
        self.count.step("write")?;
        self.inner.forget_record(key)
    }

    fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        self.count.step("read")?;
        Ok(self.count.fault == Fault::LinksAll || self.inner.linked(link)?)
    }

    fn link(&self, links: &[Link]) -> Result<(), StoreError> {
        self.count.step("write")?;
        self.inner.link(links)
    }
}

struct FaultyPartial {
    inner: Box<dyn Partial>,
    count: Count,
}

impl Partial for FaultyPartial {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.count.step("write")?;
        if self.count.fault == Fault::FlipsABit && !bytes.is_empty() {
            let mut flipped = bytes.to_vec();
            flipped[0] ^= 1;
            return self.inner.write_at(offset, &flipped);
        }
        self.inner.write_at(offset, bytes)
    }

    fn source(&self) -> Source {
        self.inner.source()
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        self.count.step("commit")?;
        if self.count.fault == Fault::LosesCommits {
            return Ok(Content::new(self.source(), verified.size()));
        }
        self.inner.commit(verified)
    }
}
