//! A fill's file on disk, its checkpoints, and the commit protocol.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use parking_lot::Mutex;

use super::fill_files::FillFiles;
use super::layout::{make_parent, sync_parent};
use super::space::Space;
use crate::oci::Verified;
use crate::store::examine::references;
use crate::store::partial::{Stage, check_proof};
use crate::store::progress::check_progress;
use crate::store::room::Reservation;
use crate::store::{Begun, Content, Partial, Progress, Source, StoreError};

/// Pieces that one write takes (`IOV_MAX` of Linux).
const MOST_SLICES: usize = 1024;

/// About what a note or a name takes of the disk, in bytes.
const NOTE: u64 = 4096;

/// `fills/.../<digest>.part` until it is committed to `content/.../<digest>`.
pub(super) struct DiskPartial {
    files: FillFiles,
    /// One open file for the writer and for every follower: it outlives the rename.
    file: Arc<File>,
    content: PathBuf,
    boot: Arc<str>,
    space: Arc<Space>,
    reservation: Reservation,
    /// Held while files are renamed or removed, so that a late checkpoint leaves no note behind.
    stage: Mutex<Stage>,
}

impl DiskPartial {
    /// Takes up what is left in `files`, or begins anew. `boot` is the one we are in. The caller holds the lock on
    /// changes.
    pub(super) fn begin(
        files: FillFiles,
        content: PathBuf,
        boot: Arc<str>,
        space: Arc<Space>,
    ) -> Result<Begun, StoreError> {
        let (file, stage, progress) = match files.left(&boot) {
            Some((file, progress)) => (file, Stage::Remembered, Some(progress)),
            None => (files.create()?, Stage::New, None),
        };
        if stage == Stage::New {
            // The store has no clock, but the file system has.
            space.room.lock().hear(modified(&file));
        }
        let present = progress.as_ref().map_or(0, |it| it.present.len());
        let partial = Self {
            reservation: Reservation::open(&space.room, files.digest(), present),
            files,
            file: Arc::new(file),
            content,
            boot,
            space,
            stage: Mutex::new(stage),
        };
        Ok(Begun {
            partial: Box::new(partial),
            progress,
        })
    }

    /// Writes `length` bytes, which count towards the reservation if they are there afterwards.
    fn charged(&self, length: u64, write: impl Fn() -> io::Result<()>) -> Result<(), StoreError> {
        self.reservation.write(&*self.space, length)?;
        let write = || write().map_err(|error| self.failed("write", &error));
        let written = self.space.with_room(length, write);
        written.inspect_err(|_| self.reservation.unwrite(length))
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
        let length = bytes.len() as u64;
        self.charged(length, || self.file.write_all_at(bytes, offset))
    }

    fn write_pieces_at(&self, offset: u64, pieces: &[Bytes]) -> Result<(), StoreError> {
        if let [only] = pieces {
            return self.write_at(offset, only);
        }
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.charged(length, || write_all_vectored(&self.file, offset, pieces))
    }

    fn reserve(&self, size: u64) -> Result<(), StoreError> {
        self.reservation.reserve(&*self.space, size)
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
        let note = || self.files.note_written(progress, &self.boot);
        self.space.with_room(NOTE, note)?;
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
            self.reservation.close(None);
        }
        Ok(())
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        let mut stage = self.stage.lock();
        let metadata = self.file.metadata();
        let size = metadata.map_err(|error| self.failed("stat", &error))?.len();
        check_proof(verified, self.files.digest(), size, *stage)?;
        self.sync()?;
        // Before it is visible: it may be the first to go.
        let references = references(&self.source(), size);
        let now = modified(&self.file);
        let lease = self.space.with_room(NOTE, || {
            make_parent(&self.content)?;
            let _changes = self.space.changes.lock();
            fs::rename(self.files.part(), &self.content)
                .map_err(|error| self.failed("rename", &error))?;
            Ok(self.reservation.admit(size, now, &references))
        })?;
        // From here the content is visible; a failed sync of the folder costs at most a later miss.
        if *stage == Stage::Remembered {
            // A note without bytes tells nobody anything; the next start drops it.
            let _ = self.files.remove_notes();
        }
        *stage = Stage::Gone;
        sync_parent(&self.content)?;
        Ok(Content::new(self.source(), size, lease))
    }
}

impl Drop for DiskPartial {
    fn drop(&mut self) {
        match *self.stage.get_mut() {
            Stage::New => {
                // Nobody is left to tell; what stays is dropped by the next start.
                let _ = self.files.remove();
            }
            Stage::Remembered => {
                let _changes = self.space.changes.lock();
                // Without notes it was dropped already.
                self.reservation.close(self.files.touched());
            }
            Stage::Gone => {}
        }
    }
}

/// Writes pieces that follow each other, in as few and as large writes as can be: the page cache keeps what came in
/// one write in large folios, which all later readers are faster on.
fn write_all_vectored(file: &File, mut offset: u64, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = &mut slices[..];
    // Of empty pieces nothing would be written, and that is not a disk that takes no more.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let most = left.len().min(MOST_SLICES);
        match rustix::io::pwritev(file, &left[..most], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// When the file was last written, in Unix seconds; 0 when that cannot be told.
fn modified(file: &File) -> u64 {
    let stamp = file.metadata().and_then(|it| it.modified()).ok();
    let since = stamp.and_then(|stamp| stamp.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs())
}
