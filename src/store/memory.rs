//! The store's twin in memory: same seams, same suite, no disk. For the engine's tests and for trials.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::partial::check_proof;
use super::{
    Catalog, Content, Contents, Link, Partial, Record, RecordKey, Source, StoreError,
    StoreErrorKind,
};
use crate::oci::{Digest, Verified};

type Shelf = Arc<Mutex<HashMap<Digest, Content>>>;

/// Content, records and links in memory; gone with the process.
#[derive(Default)]
pub struct MemoryStore {
    content: Shelf,
    records: Mutex<HashMap<RecordKey, Record>>,
    links: Mutex<HashSet<Link>>,
}

#[cfg(test)]
impl MemoryStore {
    /// As if the disk had changed a bit of the content.
    pub(crate) fn rot(&self, digest: &Digest) {
        let mut content = self.content.lock();
        let size = content[digest].size();
        let whole = usize::try_from(size).unwrap_or(usize::MAX);
        let mut bytes = content[digest].source().read_all(whole).unwrap_or_default();
        bytes[0] ^= 1;
        let rotten = Source::memory(Arc::new(RwLock::new(bytes)));
        content.insert(digest.clone(), Content::new(rotten, size));
    }

    /// As if the catalog had been lost while the content stayed.
    pub(crate) fn lose_catalog(&self) {
        self.records.lock().clear();
        self.links.lock().clear();
    }
}

impl Contents for MemoryStore {
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        Ok(self.content.lock().get(digest).cloned())
    }

    fn begin(&self, digest: &Digest) -> Result<Box<dyn Partial>, StoreError> {
        Ok(Box::new(MemoryPartial {
            digest: digest.clone(),
            bytes: Arc::default(),
            shelf: Arc::clone(&self.content),
        }))
    }

    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        self.content.lock().remove(digest);
        Ok(())
    }

    fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Catalog for MemoryStore {
    fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.records.lock().get(key).cloned())
    }

    fn put_record(&self, key: &RecordKey, record: &Record) -> Result<(), StoreError> {
        self.records.lock().insert(key.clone(), record.clone());
        Ok(())
    }

    fn forget_record(&self, key: &RecordKey) -> Result<(), StoreError> {
        self.records.lock().remove(key);
        Ok(())
    }

    fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        Ok(self.links.lock().contains(link))
    }

    fn link(&self, links: &[Link]) -> Result<(), StoreError> {
        self.links.lock().extend(links.iter().cloned());
        Ok(())
    }
}

struct MemoryPartial {
    digest: Digest,
    bytes: Arc<RwLock<Vec<u8>>>,
    shelf: Shelf,
}

impl Partial for MemoryPartial {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let too_far = || {
            StoreError::new(
                StoreErrorKind::Full,
                "write",
                self.digest.to_string(),
                "too far",
            )
        };
        let from = usize::try_from(offset).map_err(|_| too_far())?;
        let end = from.checked_add(bytes.len()).ok_or_else(too_far)?;
        let mut file = self.bytes.write();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn source(&self) -> Source {
        Source::memory(Arc::clone(&self.bytes))
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        check_proof(verified, &self.digest, self.bytes.read().len() as u64)?;
        let content = Content::new(self.source(), verified.size());
        self.shelf
            .lock()
            .insert(self.digest.clone(), content.clone());
        Ok(content)
    }
}
