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

/// Bytes of the file that are held in memory: what is asked often is held elsewhere.
const CACHE: usize = 16 * 1024 * 1024;

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

    /// Whether there seems to be room for a change. Where that cannot be told, the change itself will tell.
    pub(super) fn has_room(&self) -> io::Result<()> {
        match rustix::fs::statvfs(&self.path) {
            Ok(told) if told.f_bavail.saturating_mul(told.f_frsize) < ROOM => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
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
    let open = || Database::builder().set_cache_size(CACHE).create(path);
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| {
        let broken = StorageError::Corrupted("redb panicked".to_owned());
        Err(DatabaseError::Storage(broken))
    })
}

#[cfg(test)]
mod tests {
    use redb::{ReadableDatabase, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<'_, u32, u32> = TableDefinition::new("t");

    fn put(database: &Database, key: u32) -> Result<(), Error> {
        let write = database.begin_write()?;
        write.open_table(TABLE)?.insert(key, key)?;
        Ok(write.commit()?)
    }

    fn has(database: &Database, key: u32) -> Result<bool, Error> {
        let table = database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.is_some())
    }

    #[test]
    fn what_failed_is_opened_again_and_goes_on_from_its_last_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.redb");
        let reopening = Reopening::open(&path).unwrap();
        reopening.run(|it| put(it, 1)).unwrap();
        // As redb says it after a failure, from the database that was open at first.
        let failed = std::cell::Cell::new(0);
        let fails_at_first = |database: &Database| {
            failed.set(failed.get() + 1);
            if failed.get() <= 2 {
                return Err(Error::PreviousIo);
            }
            has(database, 1)
        };
        assert!(reopening.run(fails_at_first).unwrap());
        assert_eq!(failed.get(), 3);
        assert!(!path.with_extension("probe").exists());
        reopening.run(|it| put(it, 2)).unwrap();
        assert!(reopening.run(|it| has(it, 2)).unwrap());
    }

    #[test]
    fn where_nothing_can_be_written_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.redb");
        let reopening = Reopening::open(&path).unwrap();
        reopening.run(|it| put(it, 1)).unwrap();
        // In the way of the trial.
        fs::create_dir(path.with_extension("probe")).unwrap();
        let failed = reopening.run(|_| Err::<(), _>(Error::PreviousIo));
        assert!(matches!(failed, Err(Error::Io(_))), "{failed:?}");
        assert!(reopening.run(|it| has(it, 1)).unwrap());
    }
}
