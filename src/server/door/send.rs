//! The bytes of each kind of body, from where they are to the wire.

use std::io;

use tokio::task::spawn_blocking;

use super::wire::Wire;
use crate::mirror::Follower;
use crate::oci::ByteRange;
use crate::server::Body;
use crate::store::{Content, Source};

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
    /// The fill ended badly, or gave fewer or more bytes than the response promised.
    Fill,
    /// The response cannot be sent as it is: a defect of the handler.
    Response,
}

/// Sends all of `body`, which has exactly as many bytes as the wire expects, or fails.
pub(super) async fn send(body: Body, wire: &mut Wire<'_>) -> Result<(), Broken> {
    match body {
        Body::Empty => {}
        Body::Bytes(bytes) => wire.write(&bytes).await.map_err(Broken::Client)?,
        Body::Content(content, range) => send_content(&content, range, wire).await?,
        Body::Follow(follower) => follow(follower, wire).await?,
    }
    wire.flush().await.map_err(Broken::Client)
}

async fn send_content(
    content: &Content,
    range: ByteRange,
    wire: &mut Wire<'_>,
) -> Result<(), Broken> {
    let mut buffer = vec![0; chunk(range.len())];
    let mut at = range.start;
    while at < range.end {
        let want = chunk(range.end - at);
        let read = read_at(content.source(), at, want, &mut buffer)
            .await
            .map_err(Broken::Content)?;
        wire.write(&buffer[..read]).await.map_err(Broken::Client)?;
        at += read as u64;
    }
    Ok(())
}

/// Reads up to `want` bytes, at least one. What is in the page cache is read on the spot; only what the disk
/// has to bring goes to a thread that may block.
async fn read_at(
    source: &Source,
    offset: u64,
    want: usize,
    buffer: &mut Vec<u8>,
) -> io::Result<usize> {
    let read = match source.try_read_at(offset, &mut buffer[..want]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let source = source.clone();
            let mut lent = std::mem::take(buffer);
            let (read, returned) = spawn_blocking(move || {
                let read = source.read_at(offset, &mut lent[..want]);
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

async fn follow(mut follower: Follower, wire: &mut Wire<'_>) -> Result<(), Broken> {
    loop {
        // What the client can have, it gets before the wait: the head with the first turn.
        wire.flush().await.map_err(Broken::Client)?;
        match follower.next(CHUNK).await {
            Ok(Some(bytes)) if bytes.len() as u64 <= wire.left() => {
                wire.write(&bytes).await.map_err(Broken::Client)?;
            }
            Ok(None) if wire.left() == 0 => return Ok(()),
            Ok(_) | Err(_) => return Err(Broken::Fill),
        }
    }
}

fn chunk(length: u64) -> usize {
    usize::try_from(length).map_or(CHUNK, |length| length.min(CHUNK))
}
