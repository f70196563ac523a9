//! Frames on their way into TLS: several leave the process together.
//!
//! HTTP/2 asks for a flush behind each frame of data, and a frame is one TLS record: each would be a call of its own and
//! would wake the client for itself. Here the session keeps records until it holds as many as it may, or until nothing
//! more has come behind them.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// The most bytes of a whole TLS record: head (RFC 8446 section 5.1), content, its type and the tag.
const RECORD: usize = 5 + 16 * 1024 + 1 + 16;
/// Records that leave together: as many bytes as HTTP/1.1 hands over at once.
const RECORDS: usize = 4;

/// A connection whose handshake is done, with records gathered.
#[derive(Debug)]
pub(super) struct Gather {
    stream: TlsStream<Stream>,
    /// Whether something was written since a flush was last asked for.
    is_fresh: bool,
    /// Whether the client has spoken. Before that a flush is not sure to be asked for again.
    has_heard: bool,
}

impl Gather {
    pub(super) fn new(mut stream: TlsStream<Stream>) -> Self {
        stream.get_mut().1.set_buffer_limit(Some(RECORDS * RECORD));
        Self {
            stream,
            is_fresh: false,
            has_heard: false,
        }
    }
}

impl AsyncRead for Gather {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.has_heard |= buffer.filled().len() > before;
        read
    }
}

impl AsyncWrite for Gather {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    /// HTTP/2 gives the head of a frame and its bytes together: apart, each head would be a record of its own.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        loop {
            let taken = self.stream.get_mut().1.writer().write_vectored(slices)?;
            if taken > 0 {
                self.is_fresh = true;
                return Poll::Ready(Ok(taken));
            }
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The first time behind something written it only asks to be polled again: what is written until then goes with it.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.is_fresh) && self.has_heard {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::IoSlice;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use futures_util::FutureExt;
    use rcgen::generate_simple_self_signed;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_rustls::{TlsAcceptor, TlsConnector, client};

    use super::super::outlet::FRAME;
    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn pair() -> (Gather, client::TlsStream<DuplexStream>) {
        let signed = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let certificate = signed.cert.der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let (here, there) = duplex(1 << 20);
        let name = ServerName::try_from("localhost").unwrap();
        let here: Stream = Box::new(here);
        let (here, there) = tokio::join!(
            TlsAcceptor::from(Arc::new(server)).accept(here),
            TlsConnector::from(Arc::new(client)).connect(name, there),
        );
        (Gather::new(here.unwrap()), there.unwrap())
    }

    /// Writes a frame as HTTP/2 does: its head and its bytes together.
    fn write_frame(gather: &mut Gather, cx: &mut Context<'_>) {
        let slices = [IoSlice::new(&[0; 9]), IoSlice::new(&[1; FRAME])];
        let written = Pin::new(gather).poll_write_vectored(cx, &slices);
        assert!(matches!(written, Poll::Ready(Ok(taken)) if taken == 9 + FRAME));
    }

    fn flush(gather: &mut Gather, cx: &mut Context<'_>) {
        let flushed = Pin::new(gather).poll_flush(cx);
        assert!(matches!(flushed, Poll::Ready(Ok(()))));
    }

    /// The bytes that have come.
    fn come(client: &mut client::TlsStream<DuplexStream>) -> usize {
        let (mut all, mut buffer) = (0, vec![0; 1 << 16]);
        while let Some(Ok(read @ 1..)) = client.read(&mut buffer).now_or_never() {
            all += read;
        }
        all
    }

    /// Has the client say something.
    async fn hear(gather: &mut Gather, client: &mut client::TlsStream<DuplexStream>) {
        client.write_all(b"PRI").await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(gather.read(&mut [0; 8]).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_is_said_first_is_not_held_back() {
        let (mut gather, mut client) = pair().await;
        let mut cx = Context::from_waker(Waker::noop());
        write_frame(&mut gather, &mut cx);
        flush(&mut gather, &mut cx);
        assert_eq!(come(&mut client), 9 + FRAME);
    }

    #[tokio::test]
    async fn frames_that_are_each_flushed_leave_together_at_the_next_poll() {
        let (mut gather, mut client) = pair().await;
        hear(&mut gather, &mut client).await;
        let woken = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        for _ in 0..3 {
            write_frame(&mut gather, &mut cx);
            flush(&mut gather, &mut cx);
        }
        assert_eq!(come(&mut client), 0);
        assert!(woken.0.load(Ordering::SeqCst) > 0, "nobody would ask again");
        flush(&mut gather, &mut cx);
        assert_eq!(come(&mut client), 3 * (9 + FRAME));
    }

    #[tokio::test]
    async fn a_full_session_is_sent_without_being_asked_to() {
        let (mut gather, mut client) = pair().await;
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..=RECORDS {
            write_frame(&mut gather, &mut cx);
        }
        assert_eq!(come(&mut client), RECORDS * (9 + FRAME));
        let shut = Pin::new(&mut gather).poll_shutdown(&mut cx);
        assert!(matches!(shut, Poll::Ready(Ok(()))));
        assert_eq!(come(&mut client), 9 + FRAME);
    }
}
