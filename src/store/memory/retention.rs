//! What stays and what goes, in memory.

use super::MemoryStore;
use crate::oci::{Accepts, Digest, Tag};
use crate::store::room::{relieve, remove};
use crate::store::verdict::matches;
use crate::store::{
    Amount, Catalog, Contents, Explained, Garbage, Held, Listed, Origin, Pin, Reason, RecordKey,
    Retention, StoreError, Usage, Verdict,
};

impl Retention for MemoryStore {
    fn used(&self, digest: &Digest, now: u64) {
        self.shared.room.lock().used(digest, now);
    }

    fn pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError> {
        self.shared.room.lock().index.pin(name, digests);
        Ok(())
    }

    fn unpin(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.shared.room.lock().index.unpin(name))
    }

    fn pins(&self) -> Vec<Pin> {
        self.shared.room.lock().pins()
    }

    fn relieve(&self, now: u64) -> Amount {
        relieve(&*self.shared, &self.shared.room, now)
    }

    fn note_uses(&self) -> Result<(), StoreError> {
        // There is nobody to tell.
        self.shared.room.lock().index.take_notes(usize::MAX);
        Ok(())
    }

    fn usage(&self) -> Usage {
        self.shared.room.lock().usage()
    }

    fn collectable(
        &self,
        now: u64,
        unused_for: u64,
        max_age: Option<u64>,
    ) -> Result<Vec<Garbage>, StoreError> {
        let records = self.records.lock();
        let roots: Vec<_> = records.values().map(|it| it.digest.clone()).collect();
        let room = self.shared.room.lock();
        room.garbage(&roots, now, unused_for, max_age)
    }

    fn remove(&self, digests: &[Digest], reason: Reason) -> Result<Amount, StoreError> {
        Ok(remove(&*self.shared, digests, reason))
    }

    fn verify(&self, digest: &Digest, pace: &mut dyn FnMut(u64)) -> Result<Verdict, StoreError> {
        let Some(content) = self.open(digest)? else {
            return Ok(Verdict::Gone);
        };
        let read = matches(content.source(), digest, pace);
        let right = read.map_err(|error| StoreError::io("read", digest, &error))?;
        if let Some(size) = right {
            self.shared.room.lock().verified();
            return Ok(Verdict::Right(size));
        }
        self.set_aside(digest)?;
        Ok(Verdict::Wrong)
    }

    fn contents(&self, after: Option<&Digest>, limit: usize) -> Vec<Held> {
        self.shared.room.lock().index.page(after, limit)
    }

    fn explain(&self, digest: &Digest) -> Result<Explained, StoreError> {
        let (mut explained, above) = self.shared.room.lock().explain(digest);
        let records = self.records.lock();
        let reaching = records.iter().filter(|(_, it)| above.contains(&it.digest));
        explained.records = reaching.map(|(key, _)| key.clone()).collect();
        explained.records.sort_by_key(by_name);
        explained.records.truncate(Explained::MOST);
        let links = self.links.lock();
        let links = links.iter().filter(|link| link.digest == *digest);
        explained.links = links.take(Explained::MOST).cloned().collect();
        Ok(explained)
    }

    fn list(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let tags = self.tags(origin, after, limit)?.into_iter();
        let records = self.records.lock();
        let room = self.shared.room.lock();
        let listed = tags.filter_map(|tag| {
            let origin = origin.clone();
            let record = records.get(&RecordKey {
                origin,
                tag: tag.clone(),
                accepts: Accepts::MODERN,
            })?;
            Some(room.listed(tag, &record.digest))
        });
        Ok(listed.collect())
    }
}

fn by_name(key: &RecordKey) -> (String, String, Tag) {
    let Origin {
        upstream,
        repository,
    } = &key.origin;
    (
        upstream.to_string(),
        repository.to_string(),
        key.tag.clone(),
    )
}
