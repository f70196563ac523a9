//! Where the bytes of a body go: the seam between what is sent and the protocol that carries it.

use std::io;
use std::os::fd::BorrowedFd;

/// Bytes of a body that fill one TLS record (RFC 8446 section 5.1) together with the head of their frame of HTTP/2 (RFC 9113
/// section 4.1).
pub(super) const FRAME: usize = 16 * 1024 - 9;

/// One body's way to its client. It has as many bytes as were promised, and no more leave.
pub(super) trait Outlet {
    /// Bytes still to come.
    fn left(&self) -> u64;

    /// Hands all of `bytes` to the connection, which may keep some of them until [`Outlet::flush`].
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Sends up to `most` bytes of `file` from `at` on without copying them, as many as there is room for
    /// when there is some; how many. Behind what was written before. `None` where it cannot be done.
    async fn send_file(
        &mut self,
        file: BorrowedFd<'_>,
        at: u64,
        most: u64,
    ) -> io::Result<Option<u64>>;

    /// Lets nothing wait in a buffer.
    async fn flush(&mut self) -> io::Result<()>;

    /// Ends when the client wants no more, with the error that says so; otherwise never. For times in which there is
    /// nothing to write.
    async fn reset(&mut self) -> io::Error;
}
