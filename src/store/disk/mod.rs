//! The store on disk.
//!
//! ```text
//! data/
//!   VERSION                        the layout's number; a newer one than ours is refused
//!   content/sha256/ab/abcd...      verified bytes, blobs and manifests alike
//!   wrong/sha256/abcd...           content whose bytes turned out wrong: for the operator to look at
//!   fills/sha256/abcd....part      unverified bytes of a fill that has not come to its end
//!   fills/sha256/abcd....ranges    how far it got, as of the last checkpoint
//!   fills/sha256/abcd....synced    the same, as of the last durable one
//!   catalog.redb                   records and links
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
mod note;
mod partial;

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
use self::layout::{Layout, make_parent};
use self::partial::DiskPartial;
use super::{
    Begun, Catalog, Content, Contents, Link, Origin, Record, RecordKey, Source, StoreError,
    StoreErrorKind, Unfinished,
};
use crate::oci::Digest;

/// Content and catalog in one data folder.
pub struct DiskStore {
    layout: Layout,
    catalog: DiskCatalog,
    /// Which boot of the machine this is: what was written in it, synced or not, is still to be read in it.
    boot: Arc<str>,
    /// One trial write at a time: they share a name.
    probing: Mutex<()>,
}

impl DiskStore {
    /// Opens the data folder, making what is missing. Of the fills that an earlier process left, those that can be
    /// taken up stay; the rest is dropped.
    ///
    /// Fails when the folder cannot be written, is of a newer layout, or is held by another process.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let boot = boot.map_or_else(
            // The kernel does not tell: each process is a boot of its own, and hands on only what it synced.
            |_| format!("process {:016x}", RandomState::new().hash_one(())),
            |boot| boot.trim().to_owned(),
        );
        Self::open_in(root, &boot)
    }

    /// Opens the data folder in the boot of that name.
    fn open_in(root: &Path, boot: &str) -> Result<Self, StoreError> {
        let layout = Layout::open(root)?;
        let catalog = DiskCatalog::open(&layout.catalog())?;
        let store = Self {
            layout,
            catalog,
            boot: boot.into(),
            probing: Mutex::default(),
        };
        // Only after the lock is ours: another process's fills are not ours to drop.
        store.drop_broken_fills()?;
        Ok(store)
    }

    fn drop_broken_fills(&self) -> Result<(), StoreError> {
        for files in self.layout.fills_left()? {
            // What has become content is asked for no more.
            let done = self.layout.content(files.digest()).exists();
            let kept = !done && files.left(&self.boot).is_some();
            let dropped = if kept {
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
}

impl Contents for DiskStore {
    fn open(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        if !digest.is_verifiable() {
            return Ok(None);
        }
        let path = self.layout.content(digest);
        let opened = File::open(&path).and_then(|file| {
            let size = file.metadata()?.len();
            Ok(Content::new(Source::file(Arc::new(file)), size))
        });
        match opened {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
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
        let (files, content) = (self.layout.fill(digest), self.layout.content(digest));
        DiskPartial::begin(files, content, Arc::clone(&self.boot))
    }

    fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let fills = self.layout.fills_left()?;
        // One without progress is in use and was never remembered, or came to its end since it was listed.
        let left = fills.iter().filter_map(|files| {
            let (_, progress) = files.left(&self.boot)?;
            Some(Unfinished::new(progress, files.touched()?))
        });
        Ok(left.collect())
    }

    fn drop_unfinished(&self, digest: &Digest) -> Result<(), StoreError> {
        self.layout.fill(digest).remove()
    }

    fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        let (content, wrong) = (self.layout.content(digest), self.layout.wrong(digest));
        make_parent(&wrong)?;
        match fs::rename(&content, &wrong) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("set aside", content.display(), &error))
            }
            _ => Ok(()),
        }
    }

    fn probe(&self) -> Result<(), StoreError> {
        let path = self.layout.probe();
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

    fn put_record(&self, key: &RecordKey, record: &Record) -> Result<(), StoreError> {
        self.catalog.put_record(key, record)
    }

    fn forget_record(&self, key: &RecordKey) -> Result<(), StoreError> {
        self.catalog.forget_record(key)
    }

    fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        self.catalog.linked(link)
    }

    fn link(&self, links: &[Link]) -> Result<(), StoreError> {
        self.catalog.link(links)
    }

    fn is_public(&self, origin: &Origin) -> Result<bool, StoreError> {
        self.catalog.is_public(origin)
    }

    fn set_public(&self, origin: &Origin, public: bool) -> Result<(), StoreError> {
        self.catalog.set_public(origin, public)
    }
}
