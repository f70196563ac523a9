//! What stays and what goes, on disk.

use super::DiskStore;
use super::scrub::verdict;
use crate::oci::{Accepts, Digest, Tag};
use crate::store::room::{relieve, remove};
use crate::store::{
    Amount, Catalog, Explained, Garbage, Held, Listed, Origin, Pin, Reason, RecordKey, Retention,
    StoreError, Usage, Verdict,
};

/// Rows that are written in one step.
const ROWS: usize = 16 * 1024;

impl DiskStore {
    /// What was removed is noted, or will be the next time.
    fn noted(&self, removed: Amount) -> Amount {
        if removed.count > 0
            && let Err(error) = self.note_uses()
        {
            tracing::warn!(%error, "what was removed is not noted yet");
        }
        removed
    }
}

impl Retention for DiskStore {
    fn used(&self, digest: &Digest, now: u64) {
        self.space.room.lock().used(digest, now);
    }

    fn pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError> {
        // On the disk first: what is said to be pinned stays so.
        let write = || self.catalog.put_pin(name, digests);
        self.space.with_room(0, write)?;
        self.space.room.lock().index.pin(name, digests);
        Ok(())
    }

    fn unpin(&self, name: &str) -> Result<bool, StoreError> {
        self.catalog.forget_pin(name)?;
        Ok(self.space.room.lock().index.unpin(name))
    }

    fn pins(&self) -> Vec<Pin> {
        self.space.room.lock().pins()
    }

    fn relieve(&self, now: u64) -> Amount {
        self.noted(relieve(&*self.space, &self.space.room, now))
    }

    fn note_uses(&self) -> Result<(), StoreError> {
        // One after the other, or an older note would come over a newer one.
        let _one = self.noting.lock();
        loop {
            let (notes, totals) = {
                let mut room = self.space.room.lock();
                (room.index.take_notes(ROWS), room.content())
            };
            if notes.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.catalog.note(&notes, totals) {
                self.space.room.lock().index.give_back_notes(notes);
                return Err(error);
            }
        }
    }

    fn usage(&self) -> Usage {
        self.space.room.lock().usage()
    }

    fn collectable(
        &self,
        now: u64,
        unused_for: u64,
        max_age: Option<u64>,
    ) -> Result<Vec<Garbage>, StoreError> {
        let roots = self.catalog.record_digests()?;
        let room = self.space.room.lock();
        room.garbage(&roots, now, unused_for, max_age)
    }

    fn remove(&self, digests: &[Digest], reason: Reason) -> Result<Amount, StoreError> {
        Ok(self.noted(remove(&*self.space, digests, reason)))
    }

    fn verify(&self, digest: &Digest, pace: &mut dyn FnMut(u64)) -> Result<Verdict, StoreError> {
        let verdict = verdict(&self.space.layout, digest, pace)?;
        match verdict {
            Verdict::Right(_) => self.space.room.lock().verified(),
            Verdict::Wrong => self.space.set_aside(digest)?,
            Verdict::Gone => self.space.missing(digest),
        }
        Ok(verdict)
    }

    fn contents(&self, after: Option<&Digest>, limit: usize) -> Vec<Held> {
        self.space.room.lock().index.page(after, limit)
    }

    fn explain(&self, digest: &Digest) -> Result<Explained, StoreError> {
        let (mut explained, above) = self.space.room.lock().explain(digest);
        explained.records = self.catalog.records_naming(&above, Explained::MOST)?;
        explained.links = self.catalog.links_of(digest, Explained::MOST)?;
        Ok(explained)
    }

    fn list(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        for tag in self.tags(origin, after, limit)? {
            let key = RecordKey {
                origin: origin.clone(),
                tag,
                accepts: Accepts::MODERN,
            };
            // It may have been forgotten since.
            if let Some(record) = self.record(&key)? {
                let room = self.space.room.lock();
                listed.push(room.listed(key.tag, &record.digest));
            }
        }
        Ok(listed)
    }
}
