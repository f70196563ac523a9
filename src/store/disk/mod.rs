//! The store on disk.
//!
//! ```text
//! data/
//!   VERSION                        the layout's number; a newer one than ours is refused
//!   content/sha256/ab/abcd...      verified bytes, blobs and manifests alike
//!   evicted/sha256-abcd...         content that is being removed
//!   wrong/sha256/abcd...           content whose bytes turned out wrong: for the operator to look at
//!   fills/sha256/abcd....part      unverified bytes of a fill that has not come to its end
//!   fills/sha256/abcd....ranges    how far it got, as of the last checkpoint
//!   fills/sha256/abcd....synced    the same, as of the last durable one
//!   catalog.redb                   records, links and pins; sizes, uses and references of content
//! ```
//!
//! Files are the truth about bytes: content is looked up with `open(2)`, so a folder of any size serves
//! from the first moment, and whatever is deleted while we are stopped is a miss and nothing more.
//! Which bytes of a fill are present is what its notes say, and only the digest tells whether they are right.
//! Paths are built from typed digests only. One process holds the folder: the catalog's lock says so.

mod catalog;
#[cfg(test)]
mod crashes;
mod database;
mod fill_files;
mod layout;
#[cfg(test)]
mod learning;
mod learnt;
mod note;
mod pages;
mod partial;
mod retention;
mod rows;
mod scan;
#[cfg(test)]
mod scans;
mod scrub;
mod space;
mod writing;

/// Whether this is the note of a fill: the parser alone, for who tries it on any bytes.
#[doc(hidden)]
pub fn reads_as_note(text: &[u8]) -> bool {
    note::Note::read(text, &crate::oci::Digest::sha256_of(b"noted"), "boot").is_some()
}

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use self::catalog::DiskCatalog;
use self::layout::Layout;
use self::partial::DiskPartial;
pub use self::scrub::Scrub;
use self::space::Space;
use super::room::{Known, Lease, Left};
use super::{
    Begun, Catalog, Content, Contents, Fact, Limits, Link, Origin, Record, RecordKey, Source,
    StoreError, StoreErrorKind, Unfinished,
};
use crate::oci::{Digest, Repository, Tag};

/// Content and catalog in one data folder.
pub struct DiskStore {
    space: Arc<Space>,
    catalog: DiskCatalog,
    /// Which boot of the machine this is: what was written in it, synced or not, is still to be read in it.
    boot: Arc<str>,
    /// One trial write at a time: they share a name.
    probing: Mutex<()>,
    /// One note of uses at a time.
    noting: Mutex<()>,
}

impl DiskStore {
    /// Opens the data folder, making what is missing. Of the fills that an earlier process left, those that can be
    /// taken up stay; the rest is dropped. Content is not looked at: that is [`DiskStore::scan`].
    ///
    /// Fails when the folder cannot be written, is of a newer layout, or is held by another process.
    pub fn open(root: &Path, limits: Limits) -> Result<Self, StoreError> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let boot = boot.map_or_else(
            // The kernel does not tell: each process is a boot of its own, and hands on only what it synced.
            |_| format!("process {:016x}", RandomState::new().hash_one(())),
            |boot| boot.trim().to_owned(),
        );
        Self::open_in(root, &boot, limits)
    }

    /// The data folder.
    pub fn root(&self) -> &Path {
        self.space.layout.root()
    }

    /// Opens the data folder in the boot of that name.
    fn open_in(root: &Path, boot: &str, limits: Limits) -> Result<Self, StoreError> {
        let layout = Layout::open(root)?;
        let catalog = DiskCatalog::open(&layout.catalog())?;
        let store = Self {
            space: Space::new(layout, limits),
            catalog,
            boot: boot.into(),
            probing: Mutex::default(),
            noting: Mutex::default(),
        };
        // Only after the lock is ours: another process's fills are not ours to drop.
        store.space.layout.clear_evicted();
        store.take_in_fills()?;
        store.recall();
        Ok(store)
    }

    /// Counts the fills that were left and can be taken up, and drops the rest.
    fn take_in_fills(&self) -> Result<(), StoreError> {
        for files in self.space.layout.fills_left()? {
            // What has become content is asked for no more.
            let done = self.space.layout.content(files.digest()).exists();
            let kept = !done && files.left(&self.boot).is_some();
            let dropped = if kept {
                let left = Left {
                    bytes: files.taken(),
                    touched: files.touched().unwrap_or_default(),
                };
                let mut room = self.space.room.lock();
                room.leave_fill(files.digest(), left);
                files.remove_new()
            } else {
                files.remove()
            };
            if let Err(error) = dropped {
                // No reason not to serve: a fill of this digest will go past it.
                tracing::warn!(%error, "the rest of an unfinished download stays");
            }
        }
        Ok(())
    }

    /// A lease on the content of `digest`, whose file is `size` bytes long; `None` when it should have another size.
    fn lease(&self, digest: &Digest, size: u64) -> Option<Lease> {
        let mut room = self.space.room.lock();
        let is_right = room.index.size(digest).is_none_or(|known| known == size);
        let id = is_right.then(|| room.index.read(digest)).flatten()?;
        Some(Lease::of(&self.space.room, id))
    }

    /// Reads from the catalog what must be known at once: the pins and the sums.
    fn recall(&self) {
        let (pins, totals) = (self.catalog.pins(), self.catalog.totals());
        let mut room = self.space.room.lock();
        match pins {
            Ok(pins) => {
                for pin in pins {
                    room.index.pin(&pin.name, &pin.digests);
                }
            }
            Err(error) => tracing::error!(%error, "the pins cannot be read"),
        }
        if self.space.layout.is_new() {
            room.known(Known::All);
        } else {
            room.told(totals.unwrap_or_default());
        }
    }
}

impl Contents for DiskStore {
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        if !digest.is_verifiable() {
            return Ok(None);
        }
        let path = self.space.layout.content(digest);
        let opened = File::open(&path).and_then(|file| {
            let size = file.metadata()?.len();
            Ok((file, size))
        });
        match opened {
            Ok((file, size)) => {
                let Some(lease) = self.lease(digest, size) else {
                    tracing::error!(%digest, size, "content has changed its size; set aside");
                    self.space.set_aside(digest)?;
                    return Ok(None);
                };
                let source = Source::file(Arc::new(file));
                Ok(Some(Content::new(source, size, Some(lease))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let known = self.space.room.lock().index.size(digest);
                if known.is_some() {
                    self.space.missing(digest);
                }
                Ok(None)
            }
            Err(error) => Err(StoreError::io("open", path.display(), &error)),
        }
    }

    fn begin(&self, digest: &Digest) -> Result<Begun, StoreError> {
        if !digest.is_verifiable() {
            let reason = "its algorithm cannot be verified";
            return Err(StoreError::new(
                StoreErrorKind::Misuse,
                "begin a fill of",
                digest.to_string(),
                reason,
            ));
        }
        self.space.with_room(0, || {
            let layout = &self.space.layout;
            let (files, content) = (layout.fill(digest), layout.content(digest));
            let _changes = self.space.changes.lock();
            let boot = Arc::clone(&self.boot);
            DiskPartial::begin(files, content, boot, Arc::clone(&self.space))
        })
    }

    fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let fills = self.space.layout.fills_left()?;
        // One without progress is in use and was never remembered, or came to its end since it was listed.
        let left = fills.iter().filter_map(|files| {
            let (_, progress) = files.left(&self.boot)?;
            Some(Unfinished::new(progress, files.touched()?))
        });
        Ok(left.collect())
    }

    fn drop_unfinished(&self, digest: &Digest) -> Result<(), StoreError> {
        let _changes = self.space.changes.lock();
        self.space.layout.fill(digest).remove()?;
        self.space.room.lock().forget_fill(digest);
        Ok(())
    }

    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        self.space.set_aside(digest)
    }

    fn probe(&self) -> Result<(), StoreError> {
        let path = self.space.layout.probe();
        // With bytes: an empty file can be made on a full disk.
        let _one = self.probing.lock();
        let written = fs::write(&path, [0; 4096]);
        let removed = fs::remove_file(&path);
        written
            .and(removed)
            .map_err(|error| StoreError::io("write", path.display(), &error))
    }
}

impl Catalog for DiskStore {
    fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.catalog.record(key)
    }

    fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        self.catalog.linked(link)
    }

    fn is_public(&self, origin: &Origin) -> Result<bool, StoreError> {
        self.catalog.is_public(origin)
    }

    fn learn(&self, facts: &[Fact]) {
        self.catalog.learn(facts);
    }

    fn write_down(&self) -> Result<(), StoreError> {
        self.space.with_room(0, || self.catalog.write_down())
    }

    fn tags(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StoreError> {
        self.catalog.tags(origin, after, limit)
    }

    fn repositories(
        &self,
        upstream: &str,
        after: Option<&Repository>,
        limit: usize,
    ) -> Result<Vec<Repository>, StoreError> {
        self.catalog.repositories(upstream, after, limit)
    }
}
