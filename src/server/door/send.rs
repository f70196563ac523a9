//! The bytes of each kind of body, from where they are to the wire.

use std::io;
use std::pin::pin;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::task::spawn_blocking;

use super::wire::Wire;
use crate::mirror::{FillError, Follower};
use crate::oci::ByteRange;
use crate::server::{Body, Multipart, Pieces};
use crate::store::Source;

/// Bytes on their way at once, for each body. Larger buffers cost more than they bring: this one stays in
/// the processor's cache between the read and the write.
const CHUNK: usize = 64 * 1024;

/// Why a body ended before its end. The connection is worth nothing any more.
#[derive(Debug)]
pub(super) enum Broken {
    /// The client left, or took nothing for too long.
    Client(io::Error),
    /// Content could not be read, or has fewer bytes than its range.
    Content(io::Error),
    /// The fill ended badly.
    Fill(FillError),
    /// The response states no length, or another than its body's: a defect of the handler.
    Response,
}

/// Sends all of `body`, which has exactly as many bytes as the wire expects, or fails.
pub(super) async fn send(body: Body, wire: &mut Wire<'_>) -> Result<(), Broken> {
    match body {
        Body::Empty => {}
        Body::Bytes(bytes) => write(&bytes, wire).await?,
        Body::Content(content, range) => send_range(content.source(), range, wire).await?,
        Body::Follow(mut follower) => {
            let length = wire.left();
            follow(&mut follower, length, wire).await?;
            ended(&mut follower).await?;
        }
        Body::Parts(frame, Pieces::Content(content)) => {
            send_parts(&frame, content.source(), wire).await?;
        }
        Body::Parts(frame, Pieces::Follow(mut follower)) => {
            follow_parts(&frame, &mut follower, wire).await?;
        }
    }
    wire.flush().await.map_err(Broken::Client)
}

/// What content is read from: [`Source`], which has a twin in the tests whose pages are never in memory.
trait Pages: Clone + Send + 'static {
    /// Reads without waiting for the disk, or fails with [`io::ErrorKind::WouldBlock`].
    fn try_read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Reads, and may wait.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Pages for Source {
    fn try_read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Self::try_read_at(self, offset, buffer)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read_at(self, offset, buffer)
    }
}

async fn send_range(
    pages: &impl Pages,
    range: ByteRange,
    wire: &mut Wire<'_>,
) -> Result<(), Broken> {
    let mut buffer = vec![0; chunk(range.len())];
    let mut at = range.start;
    while at < range.end {
        let want = chunk(range.end - at);
        let read = read_at(pages, at, want, &mut buffer)
            .await
            .map_err(Broken::Content)?;
        write(&buffer[..read], wire).await?;
        at += read as u64;
    }
    Ok(())
}

/// Sends each part behind its head, which is made when it is its turn.
async fn send_parts(
    frame: &Multipart,
    pages: &impl Pages,
    wire: &mut Wire<'_>,
) -> Result<(), Broken> {
    for (head, range) in frame.parts() {
        write(head.as_bytes(), wire).await?;
        send_range(pages, range, wire).await?;
    }
    write(frame.end().as_bytes(), wire).await
}

/// Reads up to `want` bytes, at least one. What is in the page cache is read on the spot; only what the disk
/// has to bring goes to a thread that may block.
async fn read_at(
    pages: &impl Pages,
    offset: u64,
    want: usize,
    buffer: &mut Vec<u8>,
) -> io::Result<usize> {
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

/// What a fill is read through: [`Follower`], which has a twin in the tests that gives what it is told to.
trait Chunks {
    /// The next bytes, at most `most`; `None` after the last.
    async fn next(&mut self, most: usize) -> Result<Option<Bytes>, FillError>;
}

impl Chunks for Follower {
    async fn next(&mut self, most: usize) -> Result<Option<Bytes>, FillError> {
        Self::next(self, most).await
    }
}

/// Sends the next `length` bytes of a fill as they come.
async fn follow(chunks: &mut impl Chunks, length: u64, wire: &mut Wire<'_>) -> Result<(), Broken> {
    let mut left = length;
    while left > 0 {
        match next(chunks, wire).await? {
            Some(bytes) if bytes.len() as u64 <= left => {
                left -= bytes.len() as u64;
                write(&bytes, wire).await?;
            }
            _ => return Err(Broken::Response),
        }
    }
    Ok(())
}

/// The next bytes of a fill. While they are waited for, nothing that the client can have stays here (the head goes
/// with the first turn), and a client that leaves is noticed, so that its follower is let go of.
async fn next(chunks: &mut impl Chunks, wire: &mut Wire<'_>) -> Result<Option<Bytes>, Broken> {
    let mut next = pin!(chunks.next(CHUNK));
    if let Some(chunk) = next.as_mut().now_or_never() {
        return chunk.map_err(Broken::Fill);
    }
    wire.flush().await.map_err(Broken::Client)?;
    tokio::select! {
        chunk = next => chunk.map_err(Broken::Fill),
        error = wire.reset() => Err(Broken::Client(error)),
    }
}

/// Sends each part behind its head, which the client gets before the wait for the part.
async fn follow_parts(
    frame: &Multipart,
    chunks: &mut impl Chunks,
    wire: &mut Wire<'_>,
) -> Result<(), Broken> {
    for (head, range) in frame.parts() {
        write(head.as_bytes(), wire).await?;
        follow(chunks, range.len(), wire).await?;
    }
    ended(chunks).await?;
    write(frame.end().as_bytes(), wire).await
}

/// Makes sure that a fill was read to the end of what was asked of it.
async fn ended(chunks: &mut impl Chunks) -> Result<(), Broken> {
    match chunks.next(CHUNK).await.map_err(Broken::Fill)? {
        None => Ok(()),
        Some(_) => Err(Broken::Response),
    }
}

async fn write(bytes: &[u8], wire: &mut Wire<'_>) -> Result<(), Broken> {
    wire.write(bytes).await.map_err(Broken::Client)
}

fn chunk(length: u64) -> usize {
    usize::try_from(length).map_or(CHUNK, |length| length.min(CHUNK))
}

#[cfg(test)]
mod tests;
