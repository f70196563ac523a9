//! A connection while an answer goes out over it: progress is watched, and no byte beyond the promised
//! length leaves.

use std::future::{Future, pending};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use bytes::BytesMut;
use pingora::protocols::Stream;
use rustix::fs::sendfile;
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::outlet::Outlet;
use super::pace::Pace;
use super::{DoorLimits, socket};

/// Room for a request sent ahead.
const ROOM: usize = 1024;
/// Bytes sent ahead that are taken in while an answer waits. What is more stays in the kernel.
const MOST_AHEAD: usize = 8 * 1024;

/// Writes one body of a known length.
pub(super) struct Wire<'a> {
    stream: &'a mut Stream,
    stall: Duration,
    pace: Pace,
    /// What the client has sent behind its request: its next one.
    ahead: &'a mut BytesMut,
    /// Whether the client may still send.
    hears: bool,
    /// Where room for bytes that go straight is waited for, from the first wait on.
    room: Option<AsyncFd<OwnedFd>>,
    /// Bytes promised and not yet written.
    left: u64,
    /// Bytes written. Lives outside, so that it is right also when this writer is dropped half-way.
    written: &'a mut u64,
}

impl<'a> Wire<'a> {
    /// Promises `length` bytes, and gives up when the client takes them too slowly for `limits`. What it sends
    /// meanwhile goes to `ahead`.
    pub(super) fn new(
        stream: &'a mut Stream,
        ahead: &'a mut BytesMut,
        length: u64,
        limits: &DoorLimits,
        written: &'a mut u64,
    ) -> Self {
        Self {
            stream,
            stall: limits.write_stall,
            pace: Pace::new(limits.min_send_rate, limits.write_stall),
            ahead,
            hears: true,
            room: None,
            left: length,
            written,
        }
    }

    /// Counts `bytes` that were taken after a wait of `waited`.
    fn took(&mut self, bytes: u64, waited: Duration) -> io::Result<()> {
        self.left -= bytes;
        *self.written += bytes;
        if self.pace.took(bytes, waited) {
            Ok(())
        } else {
            let reason = "the client takes too few bytes per second";
            Err(io::Error::new(io::ErrorKind::TimedOut, reason))
        }
    }
}

impl Outlet for Wire<'_> {
    /// Bytes still to come.
    fn left(&self) -> u64 {
        self.left
    }

    /// Hands all of `bytes` to the connection, which may keep some of them until [`Wire::flush`].
    ///
    /// The stall allowed is for each step of progress, however small; the pace asked for is that of many steps.
    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.left {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        while !bytes.is_empty() {
            let began = Instant::now();
            let taken = within(self.stall, self.stream.write(bytes)).await?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[taken..];
            self.took(taken as u64, began.elapsed())?;
        }
        Ok(())
    }

    /// Sends up to `most` bytes of `file` from `at` on without copying them, as many as the connection has room for
    /// when it has some; how many. Behind what was written before. `None` where it cannot be done: not over this
    /// connection, not with this file, not any more.
    async fn send_file(
        &mut self,
        file: BorrowedFd<'_>,
        mut at: u64,
        most: u64,
    ) -> io::Result<Option<u64>> {
        let most = most.min(self.left);
        if socket::under(self.stream).is_none() {
            return Ok(None);
        }
        self.flush().await?;
        let Some(socket) = socket::under(self.stream) else {
            return Ok(None);
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        // Room that is there already is no wait.
        let mut waited = Duration::ZERO;
        let taken = loop {
            match sendfile(socket, file, Some(&mut at), most) {
                Ok(taken) => break taken as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let Ok(twin) = twin(&mut self.room, socket) else {
                        // No number left for it: the stream can wait by itself.
                        return Ok(None);
                    };
                    let began = Instant::now();
                    within(self.stall, room(twin)).await?;
                    waited += began.elapsed();
                }
                Err(_) => return Ok(None),
            }
        };
        self.took(taken, waited)?;
        // A file that has no more bytes is found out by reading it.
        Ok((taken > 0).then_some(taken))
    }

    /// Lets nothing wait in a buffer.
    async fn flush(&mut self) -> io::Result<()> {
        let began = Instant::now();
        within(self.stall, self.stream.flush()).await?;
        self.took(0, began.elapsed())
    }

    /// Ends when the client resets the connection, with the error that says so; otherwise never. For times in which
    /// there is nothing to write.
    ///
    /// A client that only ends its own side may well want the rest of its answer (RFC 9112 section 9.6): that one is
    /// found out by the next bytes sent to it, and so is one that has sent too much ahead.
    async fn reset(&mut self) -> io::Error {
        while self.hears && self.ahead.len() < MOST_AHEAD {
            self.ahead.reserve(ROOM);
            match self.stream.read_buf(self.ahead).await {
                Ok(read) => self.hears = read > 0,
                Err(error) => return error,
            }
        }
        pending().await
    }
}

/// The twin of `full`, a socket, made with the first wait. The stream has a registration of its own, and lends it only
/// to who writes through the stream; so this is another one, of the same socket under another number.
fn twin<'a>(
    twin: &'a mut Option<AsyncFd<OwnedFd>>,
    full: BorrowedFd<'_>,
) -> io::Result<&'a AsyncFd<OwnedFd>> {
    match twin {
        Some(twin) => Ok(twin),
        None => Ok(twin.insert(socket::twin(full)?)),
    }
}

/// Waits until a socket has had room since it was last found full.
async fn room(twin: &AsyncFd<OwnedFd>) -> io::Result<()> {
    // The next try uses it up; room that comes after this moment is told again.
    twin.writable().await?.clear_ready();
    Ok(())
}

/// Waits for a step of a connection at most as long as `bound`.
pub(super) async fn within<T>(
    bound: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    timeout(bound, step)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
