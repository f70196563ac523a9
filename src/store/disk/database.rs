//! One redb file, opened again after it has failed.
//!
//! redb changes nothing any more once a single read or write has failed, and reads only what it has in memory, also
//! when the disk is well again. Opened anew, it goes on from its last commit.

use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use redb::{Database, DatabaseError, Error, StorageError};

/// Bytes that must be free before anything is written: far more than one change takes, for one that fails for want
/// of room costs the readers an opening.
const ROOM: u64 = 1024 * 1024;

pub(super) struct Reopening {
    path: PathBuf,
    /// `None` while it cannot be opened again.
    database: RwLock<Option<Database>>,
}

impl Reopening {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self {
            path: path.to_owned(),
            database: RwLock::new(Some(create(path)?)),
        })
    }

    /// Does `work`; if redb has failed before, once more on the file opened anew.
    pub(super) fn run<T>(&self, work: impl Fn(&Database) -> Result<T, Error>) -> Result<T, Error> {
        match self.database.read().as_ref().map(&work) {
            None | Some(Err(Error::PreviousIo)) => {}
            Some(done) => return done,
        }
        let mut database = self.database.write();
        // Another thread may have been here first.
        match database.as_ref().map(&work) {
            None | Some(Err(Error::PreviousIo)) => {}
            Some(done) => return done,
        }
        // Opening it takes writes. Where they fail, the old one is better than none: it still knows something.
        self.trial()?;
        // The old one first: it holds the file's lock.
        *database = None;
        let anew = database.insert(create(&self.path)?);
        tracing::info!(path = %self.path.display(), "the catalog was opened again after it had failed");
        work(anew)
    }

    /// Whether there is room for a change.
    pub(super) fn has_room(&self) -> io::Result<()> {
        let told = rustix::fs::statvfs(&self.path)?;
        if told.f_bavail.saturating_mul(told.f_frsize) >= ROOM {
            return Ok(());
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Whether the disk takes writes.
    fn trial(&self) -> io::Result<()> {
        self.has_room()?;
        let path = self.path.with_extension("probe");
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&[0; 4096])?;
            file.sync_data()
        });
        let removed = fs::remove_file(&path);
        written.and(removed)
    }
}

/// redb panics on pages that make no sense: to us that is one more way of being unreadable.
fn create(path: &Path) -> Result<Database, DatabaseError> {
    catch_unwind(AssertUnwindSafe(|| Database::create(path))).unwrap_or_else(|_| {
        let broken = StorageError::Corrupted("redb panicked".to_owned());
        Err(DatabaseError::Storage(broken))
    })
}
