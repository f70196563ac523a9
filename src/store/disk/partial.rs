//! A fill's file on disk, its checkpoints, and the commit protocol.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::fill_files::FillFiles;
use super::layout::{make_parent, sync_parent};
use crate::oci::Verified;
use crate::store::partial::{Stage, check_proof};
use crate::store::progress::check_progress;
use crate::store::{Begun, Content, Partial, Progress, Source, StoreError};

/// `fills/.../<digest>.part` until it is committed to `content/.../<digest>`.
pub(super) struct DiskPartial {
    files: FillFiles,
    /// One open file for the writer and for every follower: it outlives the rename.
    file: Arc<File>,
    content: PathBuf,
    boot: Arc<str>,
    /// Held while files are renamed or removed, so that a late checkpoint leaves no note behind.
    stage: Mutex<Stage>,
}

impl DiskPartial {
    /// Takes up what is left in `files`, or begins anew. `boot` is the one we are in.
    pub(super) fn begin(
        files: FillFiles,
        content: PathBuf,
        boot: Arc<str>,
    ) -> Result<Begun, StoreError> {
        let (file, stage, progress) = match files.left(&boot) {
            Some((file, progress)) => (file, Stage::Remembered, Some(progress)),
            None => (files.create()?, Stage::New, None),
        };
        let partial = Self {
            files,
            file: Arc::new(file),
            content,
            boot,
            stage: Mutex::new(stage),
        };
        Ok(Begun {
            partial: Box::new(partial),
            progress,
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file
            .sync_data()
            .map_err(|error| self.failed("sync", &error))
    }

    fn failed(&self, operation: &'static str, error: &io::Error) -> StoreError {
        StoreError::io(operation, self.files.part().display(), error)
    }
}

impl Partial for DiskPartial {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| self.failed("write", &error))
    }

    fn write_pieces_at(&self, offset: u64, pieces: &[Bytes]) -> Result<(), StoreError> {
        match pieces {
            [only] => self.write_at(offset, only),
            // One large write: the page cache keeps it in large folios, which all later readers are faster on.
            several => self.write_at(offset, &several.concat()),
        }
    }

    fn has_room_for(&self, bytes: u64) -> Result<(), StoreError> {
        let told = rustix::fs::fstatvfs(&self.file);
        let told = told.map_err(|error| self.failed("stat", &error.into()))?;
        if told.f_bavail.saturating_mul(told.f_frsize) >= bytes {
            return Ok(());
        }
        Err(self.failed("make room in", &io::ErrorKind::StorageFull.into()))
    }

    fn source(&self) -> Source {
        Source::file(Arc::clone(&self.file))
    }

    fn checkpoint(&self, progress: &Progress, durable: bool) -> Result<(), StoreError> {
        check_progress(progress, self.files.digest())?;
        let mut stage = self.stage.lock();
        if *stage == Stage::Gone {
            return Ok(());
        }
        self.files.note_written(progress, &self.boot)?;
        *stage = Stage::Remembered;
        if durable {
            // The bytes before the note that vouches for them.
            self.sync()?;
            self.files.note_synced(progress)?;
        }
        Ok(())
    }

    fn discard(&self) -> Result<(), StoreError> {
        let mut stage = self.stage.lock();
        if *stage != Stage::Gone {
            self.files.remove()?;
            *stage = Stage::Gone;
        }
        Ok(())
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        let mut stage = self.stage.lock();
        let metadata = self.file.metadata();
        let size = metadata.map_err(|error| self.failed("stat", &error))?.len();
        check_proof(verified, self.files.digest(), size, *stage)?;
        self.sync()?;
        make_parent(&self.content)?;
        fs::rename(self.files.part(), &self.content)
            .map_err(|error| self.failed("rename", &error))?;
        // From here the content is visible; a failed sync of the folder costs at most a later miss.
        if *stage == Stage::Remembered {
            // A note without bytes tells nobody anything; the next start drops it.
            let _ = self.files.remove_notes();
        }
        *stage = Stage::Gone;
        sync_parent(&self.content)?;
        Ok(Content::new(self.source(), size))
    }
}

impl Drop for DiskPartial {
    fn drop(&mut self) {
        if *self.stage.get_mut() == Stage::New {
            // Nobody is left to tell; what stays is dropped by the next start.
            let _ = self.files.remove();
        }
    }
}
