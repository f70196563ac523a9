//! The store's twin in memory: same seams, same suite, no disk. For the engine's tests and for trials.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};

use super::partial::{Stage, check_proof};
use super::progress::{check_progress, clipped};
use super::{
    Begun, Catalog, Content, Contents, Link, Origin, Partial, Pin, Progress, Record, RecordKey,
    Retention, Source, StoreError, StoreErrorKind, Unfinished,
};
use crate::oci::{Digest, Repository, Tag, Verified};

/// What the partials share with their store.
#[derive(Default)]
struct Kept {
    content: HashMap<Digest, Content>,
    unfinished: HashMap<Digest, Remembered>,
}

/// What a file and its progress are on disk.
#[derive(Clone)]
struct Remembered {
    bytes: Arc<RwLock<Vec<u8>>>,
    progress: Progress,
    /// Seconds since the Unix epoch: the stamp that a file system gives.
    touched: u64,
}

impl Remembered {
    /// What of the progress is in the bytes.
    fn progress(&self) -> Progress {
        let length = self.bytes.read().len() as u64;
        Progress {
            present: clipped(&self.progress.present, length),
            ..self.progress.clone()
        }
    }
}

/// Content, records and links in memory; gone with the process.
#[derive(Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
    records: Mutex<HashMap<RecordKey, Record>>,
    links: Mutex<HashSet<Link>>,
    pins: Mutex<BTreeMap<String, BTreeSet<Digest>>>,
}

#[cfg(test)]
impl MemoryStore {
    /// As if the disk had changed a bit of the content.
    pub(crate) fn rot(&self, digest: &Digest) {
        let content = &mut self.kept.lock().content;
        let size = content[digest].size();
        let whole = usize::try_from(size).unwrap_or(usize::MAX);
        let mut bytes = content[digest].source().read_all(whole).unwrap_or_default();
        bytes[0] ^= 1;
        let rotten = Source::memory(Arc::new(RwLock::new(bytes)));
        content.insert(digest.clone(), Content::new(rotten, size));
    }

    /// As if the disk had changed a bit of what an unfinished fill left.
    pub(crate) fn rot_unfinished(&self, digest: &Digest, at: usize) {
        self.kept.lock().unfinished[digest].bytes.write()[at] ^= 1;
    }

    /// As if the catalog had been lost while the content stayed.
    pub(crate) fn lose_catalog(&self) {
        self.records.lock().clear();
        self.links.lock().clear();
    }
}

impl Contents for MemoryStore {
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        Ok(self.kept.lock().content.get(digest).cloned())
    }

    fn begin(&self, digest: &Digest) -> Result<Begun, StoreError> {
        let left = self.kept.lock().unfinished.get(digest).cloned();
        let progress = left.as_ref().map(Remembered::progress);
        let stage = left.as_ref().map_or(Stage::New, |_| Stage::Remembered);
        let partial = MemoryPartial {
            digest: digest.clone(),
            bytes: left.map(|left| left.bytes).unwrap_or_default(),
            kept: Arc::clone(&self.kept),
            stage: Mutex::new(stage),
        };
        Ok(Begun {
            partial: Box::new(partial),
            progress,
        })
    }

    fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let kept = self.kept.lock();
        let left = kept.unfinished.values();
        Ok(left
            .map(|left| Unfinished::new(left.progress(), left.touched))
            .collect())
    }

    fn drop_unfinished(&self, digest: &Digest) -> Result<(), StoreError> {
        self.kept.lock().unfinished.remove(digest);
        Ok(())
    }

    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        self.kept.lock().content.remove(digest);
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

    fn tags(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StoreError> {
        let records = self.records.lock();
        let ours = records.keys().filter(|key| key.origin == *origin);
        let tags: BTreeSet<_> = ours.map(|key| key.tag.clone()).collect();
        Ok(page(tags, after, limit))
    }

    fn repositories(
        &self,
        upstream: &str,
        after: Option<&Repository>,
        limit: usize,
    ) -> Result<Vec<Repository>, StoreError> {
        let (records, links) = (self.records.lock(), self.links.lock());
        let origins = records.keys().map(|key| &key.origin);
        let origins = origins.chain(links.iter().map(|link| &link.origin));
        let ours = origins.filter(|origin| &*origin.upstream == upstream);
        let repositories: BTreeSet<_> = ours.map(|origin| origin.repository.clone()).collect();
        Ok(page(repositories, after, limit))
    }
}

fn page<T: Ord>(all: BTreeSet<T>, after: Option<&T>, limit: usize) -> Vec<T> {
    let rest = all
        .into_iter()
        .filter(|it| after.is_none_or(|after| it > after));
    rest.take(limit).collect()
}

impl Retention for MemoryStore {
    fn pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError> {
        let digests = digests.iter().cloned().collect();
        self.pins.lock().insert(name.to_owned(), digests);
        Ok(())
    }

    fn pins(&self) -> Vec<Pin> {
        let pins = self.pins.lock();
        let pins = pins.iter().map(|(name, digests)| Pin {
            name: name.clone(),
            digests: digests.iter().cloned().collect(),
        });
        pins.collect()
    }
}

struct MemoryPartial {
    digest: Digest,
    bytes: Arc<RwLock<Vec<u8>>>,
    kept: Arc<Mutex<Kept>>,
    stage: Mutex<Stage>,
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

    fn has_room_for(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn source(&self) -> Source {
        Source::memory(Arc::clone(&self.bytes))
    }

    fn checkpoint(&self, progress: &Progress, _durable: bool) -> Result<(), StoreError> {
        check_progress(progress, &self.digest)?;
        let mut stage = self.stage.lock();
        if *stage == Stage::Gone {
            return Ok(());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let remembered = Remembered {
            bytes: Arc::clone(&self.bytes),
            progress: progress.clone(),
            touched: now.map_or(0, |now| now.as_secs()),
        };
        let unfinished = &mut self.kept.lock().unfinished;
        unfinished.insert(self.digest.clone(), remembered);
        *stage = Stage::Remembered;
        Ok(())
    }

    fn discard(&self) -> Result<(), StoreError> {
        let mut stage = self.stage.lock();
        if *stage == Stage::Remembered {
            self.kept.lock().unfinished.remove(&self.digest);
        }
        *stage = Stage::Gone;
        Ok(())
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        let mut stage = self.stage.lock();
        let size = self.bytes.read().len() as u64;
        check_proof(verified, &self.digest, size, *stage)?;
        let content = Content::new(self.source(), size);
        let mut kept = self.kept.lock();
        kept.content.insert(self.digest.clone(), content.clone());
        if *stage == Stage::Remembered {
            kept.unfinished.remove(&self.digest);
        }
        *stage = Stage::Gone;
        Ok(content)
    }
}
