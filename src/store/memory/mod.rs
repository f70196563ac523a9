//! The store's twin in memory: same seams, same suite, no disk. For the engine's tests and for trials.

mod partial;
mod retention;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use self::partial::MemoryPartial;
use super::partial::Stage;
use super::progress::clipped;
use super::room::{Ground, Known, Lease, Reservation, Room, SharedRoom};
use super::{
    Begun, Catalog, Content, Contents, Fact, Limits, Link, Origin, Progress, Reason, Record,
    RecordKey, Source, StoreError, Unfinished,
};
use crate::oci::{Digest, Repository, Tag};

/// What the partials share with their store.
struct Shared {
    /// Locked before the room.
    kept: Mutex<Kept>,
    room: SharedRoom,
}

/// What folders are on disk.
#[derive(Default)]
struct Kept {
    /// Without a lease: these are not open for reading.
    content: HashMap<Digest, (Source, u64)>,
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

impl Ground for Shared {
    fn free(&self) -> u64 {
        u64::MAX
    }

    fn evict(&self, digest: &Digest, reason: Reason) -> Result<Option<u64>, StoreError> {
        let mut kept = self.kept.lock();
        let mut room = self.room.lock();
        if !room.index.may_go(digest) {
            return Ok(None);
        }
        kept.content.remove(digest);
        let size = room.out_of_sight(digest, reason);
        room.removed(size);
        Ok(Some(size))
    }

    fn drop_left(&self, digest: &Digest) -> Result<(), StoreError> {
        let mut kept = self.kept.lock();
        let mut room = self.room.lock();
        if room.is_left(digest) {
            kept.unfinished.remove(digest);
            room.forget_fill(digest);
        }
        Ok(())
    }
}

/// Content, records and links in memory; gone with the process.
pub struct MemoryStore {
    shared: Arc<Shared>,
    records: Mutex<HashMap<RecordKey, Record>>,
    links: Mutex<HashSet<Link>>,
    public: Mutex<HashSet<Origin>>,
}

impl Default for MemoryStore {
    /// Without bounds.
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl MemoryStore {
    /// An empty store within `limits`. There is no file system that could be short of room.
    pub fn new(limits: Limits) -> Self {
        let mut room = Room::new(limits);
        room.known(Known::All);
        Self {
            shared: Arc::new(Shared {
                kept: Mutex::default(),
                room: Arc::new(Mutex::new(room)),
            }),
            records: Mutex::default(),
            links: Mutex::default(),
            public: Mutex::default(),
        }
    }
}

#[cfg(test)]
impl MemoryStore {
    /// As if the disk had changed a bit of the content.
    pub(crate) fn rot(&self, digest: &Digest) {
        let content = &mut self.shared.kept.lock().content;
        let (source, size) = &content[digest];
        let (whole, size) = (usize::try_from(*size).unwrap_or(usize::MAX), *size);
        let mut bytes = source.read_all(whole).unwrap_or_default();
        bytes[0] ^= 1;
        let rotten = Source::memory(Arc::new(RwLock::new(bytes)));
        content.insert(digest.clone(), (rotten, size));
    }

    /// As if the disk had changed a bit of what an unfinished fill left.
    pub(crate) fn rot_unfinished(&self, digest: &Digest, at: usize) {
        self.shared.kept.lock().unfinished[digest].bytes.write()[at] ^= 1;
    }

    /// As if the catalog had been lost while the content stayed.
    pub(crate) fn lose_catalog(&self) {
        self.records.lock().clear();
        self.links.lock().clear();
        self.public.lock().clear();
    }
}

impl Contents for MemoryStore {
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        let kept = self.shared.kept.lock();
        let content = kept.content.get(digest);
        Ok(content.map(|(source, size)| {
            let lease = Lease::take(&self.shared.room, digest);
            Content::new(source.clone(), *size, lease)
        }))
    }

    fn begin(&self, digest: &Digest) -> Result<Begun, StoreError> {
        let kept = self.shared.kept.lock();
        let left = kept.unfinished.get(digest).cloned();
        let progress = left.as_ref().map(Remembered::progress);
        let stage = left.as_ref().map_or(Stage::New, |_| Stage::Remembered);
        let present = progress.as_ref().map_or(0, |it| it.present.len());
        let partial = MemoryPartial {
            digest: digest.clone(),
            bytes: left.map(|left| left.bytes).unwrap_or_default(),
            reservation: Reservation::open(&self.shared.room, digest, present),
            shared: Arc::clone(&self.shared),
            stage: Mutex::new(stage),
        };
        Ok(Begun {
            partial: Box::new(partial),
            progress,
        })
    }

    fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let kept = self.shared.kept.lock();
        let left = kept.unfinished.values();
        Ok(left
            .map(|left| Unfinished::new(left.progress(), left.touched))
            .collect())
    }

    fn drop_unfinished(&self, digest: &Digest) -> Result<(), StoreError> {
        let mut kept = self.shared.kept.lock();
        kept.unfinished.remove(digest);
        self.shared.room.lock().forget_fill(digest);
        Ok(())
    }

    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        let mut kept = self.shared.kept.lock();
        if kept.content.remove(digest).is_some() {
            self.shared.room.lock().set_aside(digest);
        }
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

    fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        Ok(self.links.lock().contains(link))
    }

    fn learn(&self, facts: &[Fact]) {
        for fact in facts {
            match fact {
                Fact::Record(key, Some(record)) => {
                    self.records.lock().insert(key.clone(), record.clone());
                }
                Fact::Record(key, None) => {
                    self.records.lock().remove(key);
                }
                Fact::Link(link, is_so) => say(&mut self.links.lock(), link, *is_so),
                Fact::Public(origin, is_so) => say(&mut self.public.lock(), origin, *is_so),
            }
        }
    }

    fn write_down(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_public(&self, origin: &Origin) -> Result<bool, StoreError> {
        Ok(self.public.lock().contains(origin))
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

fn say<T: Clone + Eq + Hash>(said: &mut HashSet<T>, what: &T, is_so: bool) {
    if is_so {
        said.insert(what.clone());
    } else {
        said.remove(what);
    }
}

fn page<T: Ord>(all: BTreeSet<T>, after: Option<&T>, limit: usize) -> Vec<T> {
    let rest = all
        .into_iter()
        .filter(|it| after.is_none_or(|after| it > after));
    rest.take(limit).collect()
}
