//! The store on disk.
//!
//! ```text
//! data/
//!   VERSION                        the layout's number; a newer one than ours is refused
//!   content/sha256/ab/abcd...      verified bytes, blobs and manifests alike
//!   wrong/sha256/abcd...           content whose bytes turned out wrong: for the operator to look at
//!   fills/sha256/abcd....part      unverified bytes of fills under way
//!   catalog.redb                   records and links
//! ```
//!
//! Files are the truth about bytes: content is looked up with `open(2)`, so a folder of any size serves
//! from the first moment, and whatever is deleted while we are stopped is a miss and nothing more.
//! Paths are built from typed digests only. One process holds the folder: the catalog's lock says so.

mod catalog;
mod layout;
mod partial;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use self::catalog::DiskCatalog;
use self::layout::{Layout, make_parent};
use self::partial::DiskPartial;
use super::{
    Catalog, Content, Contents, Link, Partial, Record, RecordKey, Source, StoreError,
    StoreErrorKind,
};
use crate::oci::Digest;

/// Content and catalog in one data folder.
pub struct DiskStore {
    layout: Layout,
    catalog: DiskCatalog,
    /// One trial write at a time: they share a name.
    probing: Mutex<()>,
}

impl DiskStore {
    /// Opens the data folder, making what is missing. Bytes of fills that a crash left behind are dropped.
    ///
    /// Fails when the folder cannot be written, is of a newer layout, or is held by another process.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let layout = Layout::open(root)?;
        let catalog = DiskCatalog::open(&layout.catalog())?;
        // Only after the lock is ours: another process's fills are not ours to drop.
        layout.drop_fills()?;
        Ok(Self {
            layout,
            catalog,
            probing: Mutex::default(),
        })
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

    fn begin(&self, digest: &Digest) -> Result<Box<dyn Partial>, StoreError> {
        if !digest.is_verifiable() {
            let reason = "its algorithm cannot be verified";
            return Err(StoreError::new(
                StoreErrorKind::Misuse,
                "begin a fill of",
                digest.to_string(),
                reason,
            ));
        }
        let (part, content) = (self.layout.part(digest), self.layout.content(digest));
        Ok(Box::new(DiskPartial::create(
            digest.clone(),
            part,
            content,
        )?))
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
}
