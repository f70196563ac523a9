//! What stays and what goes, failing as the rest.

use super::Faulty;
use crate::oci::{Digest, Tag};
use crate::store::{
    Amount, Explained, Garbage, Held, Listed, Origin, Pin, Reason, Retention, Store, StoreError,
    Usage, Verdict,
};

impl<S: Store> Retention for Faulty<S> {
    fn used(&self, digest: &Digest, now: u64) {
        self.inner.used(digest, now);
    }

    fn pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError> {
        self.count.write("write")?;
        self.inner.pin(name, digests)
    }

    fn unpin(&self, name: &str) -> Result<bool, StoreError> {
        self.count.write("write")?;
        self.inner.unpin(name)
    }

    fn pins(&self) -> Vec<Pin> {
        self.inner.pins()
    }

    fn relieve(&self, now: u64) -> Amount {
        self.inner.relieve(now)
    }

    fn note_uses(&self) -> Result<(), StoreError> {
        self.count.write("write")?;
        self.inner.note_uses()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn collectable(
        &self,
        now: u64,
        unused_for: u64,
        max_age: Option<u64>,
    ) -> Result<Vec<Garbage>, StoreError> {
        self.count.step("read")?;
        self.inner.collectable(now, unused_for, max_age)
    }

    fn remove(&self, digests: &[Digest], reason: Reason) -> Result<Amount, StoreError> {
        self.count.step("read")?;
        self.inner.remove(digests, reason)
    }

    fn verify(&self, digest: &Digest, pace: &mut dyn FnMut(u64)) -> Result<Verdict, StoreError> {
        self.count.step("read")?;
        self.inner.verify(digest, pace)
    }

    fn contents(&self, after: Option<&Digest>, limit: usize) -> Vec<Held> {
        self.inner.contents(after, limit)
    }

    fn explain(&self, digest: &Digest) -> Result<Explained, StoreError> {
        self.count.step("read")?;
        self.inner.explain(digest)
    }

    fn list(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.count.step("read")?;
        self.inner.list(origin, after, limit)
    }
}
