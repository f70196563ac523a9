//! A connection while an answer goes out over it: progress is watched, and no byte beyond the promised
//! length leaves.

use std::future::Future;
use std::io;
use std::time::Duration;

use pingora::protocols::Stream;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// Writes one body of a known length.
pub(super) struct Wire<'a> {
    stream: &'a mut Stream,
    stall: Duration,
    /// Bytes promised and not yet written.
    left: u64,
    /// Bytes written. Lives outside, so that it is right also when this writer is dropped half-way.
    written: &'a mut u64,
}

impl<'a> Wire<'a> {
    /// Promises `length` bytes, and gives up when the client takes none of them for as long as `stall`.
    pub(super) fn new(
        stream: &'a mut Stream,
        length: u64,
        stall: Duration,
        written: &'a mut u64,
    ) -> Self {
        Self {
            stream,
            stall,
            left: length,
            written,
        }
    }

    /// Bytes still to come.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Hands all of `bytes` to the connection, which may keep some of them until [`Wire::flush`].
    ///
    /// The time allowed is for each step of progress, however small, and not for the whole.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.left {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        while !bytes.is_empty() {
            let taken = within(self.stall, self.stream.write(bytes)).await?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[taken..];
            self.left -= taken as u64;
            *self.written += taken as u64;
        }
        Ok(())
    }

    /// Lets nothing wait in a buffer.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        within(self.stall, self.stream.flush()).await
    }
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
