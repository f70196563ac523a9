//! A fill's file on disk, and the commit protocol.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout::{make_parent, sync_parent};
use crate::oci::{Digest, Verified};
use crate::store::partial::check_proof;
use crate::store::{Content, Partial, Source, StoreError};

/// `fills/.../<digest>.part` until it is committed to `content/.../<digest>`.
pub(super) struct DiskPartial {
    digest: Digest,
    /// One open file for the writer and for every follower: it outlives the rename.
    file: Arc<File>,
    part: PathBuf,
    content: PathBuf,
    /// Set once the file has left `part`; then drop has nothing to remove.
    committed: AtomicBool,
}

impl DiskPartial {
    pub(super) fn create(
        digest: Digest,
        part: PathBuf,
        content: PathBuf,
    ) -> Result<Self, StoreError> {
        make_parent(&part)?;
        // Never truncate: a reader of a dropped fill may still hold the old file open.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", part.display(), &error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&part)
            .map_err(|error| StoreError::io("create", part.display(), &error))?;
        Ok(Self {
            digest,
            file: Arc::new(file),
            part,
            content,
            committed: AtomicBool::new(false),
        })
    }

    fn failed(&self, operation: &'static str, error: &io::Error) -> StoreError {
        StoreError::io(operation, self.part.display(), error)
    }
}

impl Partial for DiskPartial {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| self.failed("write", &error))
    }

    fn source(&self) -> Source {
        Source::file(Arc::clone(&self.file))
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        let size = self
            .file
            .metadata()
            .map_err(|error| self.failed("stat", &error))?
            .len();
        check_proof(verified, &self.digest, size)?;
        self.file
            .sync_data()
            .map_err(|error| self.failed("sync", &error))?;
        make_parent(&self.content)?;
        fs::rename(&self.part, &self.content).map_err(|error| self.failed("rename", &error))?;
        // From here the content is visible; a failed sync of the folder costs at most a later miss.
        self.committed.store(true, Ordering::Release);
        sync_parent(&self.content)?;
        Ok(Content::new(self.source(), size))
    }
}

impl Drop for DiskPartial {
    fn drop(&mut self) {
        if !self.committed.load(Ordering::Acquire) {
            // Nobody is left to tell; what stays is dropped by the next start.
            let _ = fs::remove_file(&self.part);
        }
    }
}
