//! A range of a file, on the wire: straight from the page cache where that can be, else through a buffer.

use std::io;
use std::os::fd::BorrowedFd;

use tokio::task::{spawn_blocking, yield_now};

use super::{Broken, write};
use crate::oci::ByteRange;
use crate::server::door::outlet::{FRAME, Outlet};
use crate::store::Source;

/// Bytes on their way at once through a buffer. Larger buffers cost more than they bring: this one stays in the
/// processor's cache between the read and the write. Over TLS and in HTTP/2 it is a whole number of records and frames.
const CHUNK: usize = 4 * FRAME;

/// Bytes sent straight with one call, and looked for beforehand. A socket takes as much at once: fewer bytes a call wake
/// its reader, and us, more often for the same.
pub(super) const STRETCH: u64 = 4 * 1024 * 1024;

/// Bytes sent straight before others have their turn on this thread: some milliseconds of work for a client that takes
/// whatever comes. Giving way wakes another thread, so it costs a tenth where it is done behind each call.
const TURN: u64 = 4 * STRETCH;

/// How much of its turn a body has used up; one for all its ranges.
#[derive(Debug, Default)]
pub(super) struct Turn(u64);

impl Turn {
    /// Takes note of bytes that went straight; gives way behind those of a whole turn.
    async fn used(&mut self, sent: u64) {
        self.0 += sent;
        if self.0 >= TURN {
            self.0 = 0;
            yield_now().await;
        }
    }
}

/// Less than this goes through the buffer: copying it costs less than another call, and a small body leaves together
/// with its head.
const LITTLE: u64 = 16 * 1024;

/// What content is read from: [`Source`], which has twins in the tests whose pages are never in memory.
pub(super) trait Pages: Clone + Send + Sync + 'static {
    /// Reads without waiting for the disk, or fails with [`io::ErrorKind::WouldBlock`].
    fn try_read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Reads, and may wait.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// The file, where it is one.
    fn file(&self) -> Option<BorrowedFd<'_>>;
}

impl Pages for Source {
    fn try_read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Self::try_read_at(self, offset, buffer)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read_at(self, offset, buffer)
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor()
    }
}

/// Sends all of `range`. Whatever keeps bytes from going straight (a stream that is more than a socket, bytes that
/// are not in memory, trouble of any kind), the next ones go through the buffer: that way can wait for the disk, and tells
/// trouble by whose it is.
pub(super) async fn send_range(
    pages: &impl Pages,
    range: ByteRange,
    turn: &mut Turn,
    wire: &mut impl Outlet,
) -> Result<(), Broken> {
    let mut buffer = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let went = straight(pages, ByteRange::new(at, range.end), wire);
        if let Some(sent) = went.await.map_err(Broken::Client)? {
            at += sent;
            turn.used(sent).await;
            continue;
        }
        let length = usize::try_from(range.end - at).map_or(CHUNK, |left| left.min(CHUNK));
        let read = read_at(pages, at, length, &mut buffer);
        let read = read.await.map_err(Broken::Content)?;
        write(&buffer[..read], wire).await?;
        at += read as u64;
    }
    Ok(())
}

/// Sends of `left` what can go straight. How many bytes went; `None` when the next ones are to go through the buffer.
async fn straight(
    pages: &impl Pages,
    left: ByteRange,
    wire: &mut impl Outlet,
) -> io::Result<Option<u64>> {
    let most = left.len().min(STRETCH);
    let Some(file) = pages.file().filter(|_| most >= LITTLE) else {
        return Ok(None);
    };
    if !is_near(pages, ByteRange::new(left.start, left.start + most)) {
        return Ok(None);
    }
    wire.send_file(file, left.start, most).await
}

/// Whether `range` seems to be in memory: its first byte and its last are. sendfile(2) has no way to be told not to
/// wait for the disk; what lies between is read ahead with the one and kept with the other.
fn is_near(pages: &impl Pages, range: ByteRange) -> bool {
    let is_here = |offset| matches!(pages.try_read_at(offset, &mut [0]), Ok(1));
    is_here(range.start) && is_here(range.end - 1)
}

/// Reads up to `want` bytes, at least one, to the buffer's start. What is in the page cache is read on the spot; only
/// what the disk has to bring goes to a thread that may block.
async fn read_at(
    pages: &impl Pages,
    offset: u64,
    want: usize,
    buffer: &mut Vec<u8>,
) -> io::Result<usize> {
    if buffer.len() < want {
        buffer.resize(want, 0);
    }
    let read = match pages.try_read_at(offset, &mut buffer[..want]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let pages = pages.clone();
            let mut lent = std::mem::take(buffer);
            let (read, returned) = spawn_blocking(move || {
                let read = pages.read_at(offset, &mut lent[..want]);
                (read, lent)
            })
            .await?;
            *buffer = returned;
            read
        }
        read => read,
    }?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
