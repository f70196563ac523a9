//! The socket under a connection that is a socket and nothing more. The one place of the crate with `unsafe`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Plain;
use rustix::io::fcntl_dupfd_cloexec;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The socket that `stream`'s bytes go to as they are, for as long as `stream` is borrowed; `None` where something
/// stands between (TLS), or there is no socket.
///
/// What is sent over it overtakes what waits in `stream`'s own buffer: flush that first.
pub(super) fn under(stream: &Stream) -> Option<BorrowedFd<'_>> {
    let plain = stream.as_any().downcast_ref::<Plain>()?;
    let number = plain.as_raw_fd();
    // A virtual stream has no socket, and says -1.
    if number < 0 {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "pingora tells the number of its socket and lends nothing that would prove that it stays open"
    )]
    // SAFETY: the number is not -1, and it is an open descriptor for as long as the result lives: `plain` owns the
    // socket (tokio's TcpStream or UnixStream) and closes it only when it is dropped, or taken apart by a `&mut`
    // method. The result borrows `stream`, which owns `plain`, so neither can happen before its end.
    Some(unsafe { BorrowedFd::borrow_raw(number) })
}

/// The same socket under another number, to wait for room on it beside its stream.
pub(super) fn twin(socket: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    let twin = fcntl_dupfd_cloexec(socket, 0)?;
    #[expect(
        unsafe_code,
        reason = "tokio cannot know of every type that its descriptor stays the same and open"
    )]
    // SAFETY: an `OwnedFd` always gives the same number, and closes it only when it is dropped: here by the `AsyncFd`
    // that owns it, after that has taken its registration back. Nothing takes it out before.
    let registered = unsafe { AsyncFd::register_with_interest(twin, Interest::WRITABLE) };
    Ok(registered?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::duplex;
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn a_plain_stream_has_a_socket_and_no_other_has() {
        let (here, _there) = UnixStream::pair().unwrap();
        let number = here.as_raw_fd();
        let stream: Stream = Box::new(Plain::from(here));
        assert_eq!(under(&stream).unwrap().as_raw_fd(), number);
        let (here, _there) = duplex(1);
        let stream: Stream = Box::new(here);
        assert!(under(&stream).is_none());
    }
}
