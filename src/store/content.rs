//! Open bytes: what a follower reads from, on disk or in memory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::room::Lease;

/// Readable bytes without a promise about them: the file of content, or of a fill.
///
/// Cheap to clone; the bytes stay readable as long as one clone lives, also after an unlink.
#[derive(Clone)]
pub struct Source(Kind);

#[derive(Clone)]
enum Kind {
    File(Arc<File>),
    Memory(Arc<RwLock<Vec<u8>>>),
}

impl Source {
    pub(super) fn file(file: Arc<File>) -> Self {
        Self(Kind::File(file))
    }

    pub(super) fn memory(bytes: Arc<RwLock<Vec<u8>>>) -> Self {
        Self(Kind::Memory(bytes))
    }

    /// Reads at `offset` without ever waiting for the disk: [`io::ErrorKind::WouldBlock`] says that the
    /// bytes are not in the page cache and [`Source::read_at`] must be called where blocking is allowed.
    ///
    /// May read less than asked; 0 means the end of the bytes.
    pub fn try_read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Memory(_) => self.read_at(offset, buffer),
            Kind::File(file) => {
                let mut slices = [io::IoSliceMut::new(buffer)];
                match preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
                    Ok(read) => Ok(read),
                    // Some file systems do not know NOWAIT: to us that is the same answer.
                    Err(Errno::AGAIN | Errno::OPNOTSUPP) => Err(io::ErrorKind::WouldBlock.into()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Reads at `offset`, waiting for the disk where needed. May read less than asked; 0 means the end.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::File(file) => file.read_at(buffer, offset),
            Kind::Memory(bytes) => {
                let bytes = bytes.read();
                let from = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let read = buffer.len().min(bytes.len() - from);
                buffer[..read].copy_from_slice(&bytes[from..from + read]);
                Ok(read)
            }
        }
    }

    /// The open file, where it is one: for calls that pass bytes on without reading them.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Kind::File(file) => Some(file.as_fd()),
            Kind::Memory(_) => None,
        }
    }

    /// Reads exactly `size` bytes from the start. For content small enough to be held whole.
    pub fn read_all(&self, size: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        let mut filled = 0;
        while filled < size {
            match self.read_at(filled as u64, &mut bytes[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(bytes)
    }
}

/// Verified bytes, open for reading: complete, never rewritten (invariant 1). While it lives, in any clone, its file is
/// not evicted (invariant 12).
#[derive(Clone)]
pub struct Content {
    source: Source,
    size: u64,
    /// Absent for content that is not the store's any more.
    _lease: Option<Arc<Lease>>,
}

impl Content {
    pub(super) fn new(source: Source, size: u64, lease: Option<Lease>) -> Self {
        Self {
            source,
            size,
            _lease: lease.map(Arc::new),
        }
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where to read the bytes.
    pub fn source(&self) -> &Source {
        &self.source
    }
}
