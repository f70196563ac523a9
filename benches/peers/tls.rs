//! Clients over TLS that ask again and again, in HTTP/1.1 or HTTP/2.
//!
//! They offer AES-128-GCM first and have windows of 4 MiB a stream, as those written in Go do: dockerd, containerd,
//! podman.

use std::future::poll_fn;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::load::{Tally, Window, Work, get, read_head};

const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// The protocol inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Who is asked for what, and how.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    to: SocketAddr,
    path: String,
    protocol: Protocol,
    config: Arc<ClientConfig>,
}

impl Wish {
    /// Of a server with a certificate that signs itself.
    pub(crate) fn of(to: SocketAddr, certificate: &Path, path: &str, protocol: Protocol) -> Self {
        let mut provider = ring::default_provider();
        provider
            .cipher_suites
            .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        roots.add(certificate).expect("a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("a provider of both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Self {
            to,
            path: path.to_owned(),
            protocol,
            config: Arc::new(config),
        }
    }

    /// So many clients ask again and again; `processor` tells what the server has used so far.
    pub(crate) async fn work(
        &self,
        clients: usize,
        window: Window,
        processor: impl Fn() -> Duration,
    ) -> Result<Work> {
        let come = Arc::new(AtomicU64::new(0));
        let mut asking = JoinSet::new();
        for _ in 0..clients {
            asking.spawn(self.clone().ask(Arc::clone(&come)));
        }
        go_on(&mut asking, window.warm_up).await?;
        let (before, spent, began) = (come.load(Ordering::Relaxed), processor(), Instant::now());
        loop {
            go_on(&mut asking, window.measured).await?;
            let (clock, processor) = (began.elapsed(), processor().saturating_sub(spent));
            if window.is_enough(clock, processor) {
                let tally = Tally {
                    bytes: come.load(Ordering::Relaxed) - before,
                    ..Tally::default()
                };
                return Ok(Work {
                    tally,
                    processor,
                    clock,
                });
            }
        }
    }

    /// One client. It ends with an error only.
    async fn ask(self, come: Arc<AtomicU64>) -> Error {
        let asking = async {
            let stream = self.connect().await?;
            match self.protocol {
                Protocol::Http1 => self.ask_http1(stream, &come).await,
                Protocol::Http2 => self.ask_http2(stream, &come).await.map_err(Error::other),
            }
        };
        let error: Result<()> = asking.await;
        error.expect_err("clients never have enough")
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.to).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.to.ip().into());
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, stream).await?;
        let suite = stream.get_ref().1.negotiated_cipher_suite();
        match suite.map(|suite| suite.suite()) {
            Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => Ok(stream),
            other => Err(Error::other(format!("{}: {other:?}", self.to))),
        }
    }

    async fn ask_http1(&self, mut stream: TlsStream<TcpStream>, come: &AtomicU64) -> Result<()> {
        let (request, mut buffer) = (get(self.to, &self.path), vec![0; 256 * 1024]);
        loop {
            stream.write_all(&request).await?;
            let mut head = Vec::new();
            let (status, length, size) = loop {
                let read = read_some(&mut stream, &mut buffer).await?;
                head.extend_from_slice(&buffer[..read]);
                if let Some(read) = read_head(&head) {
                    break read;
                }
            };
            if status != 200 {
                return Err(Error::other(format!("{}{}: {status}", self.to, self.path)));
            }
            let mut here = (head.len() - size) as u64;
            come.fetch_add(here, Ordering::Relaxed);
            while here < length {
                let read = read_some(&mut stream, &mut buffer).await? as u64;
                come.fetch_add(read, Ordering::Relaxed);
                here += read;
            }
        }
    }

    async fn ask_http2(
        &self,
        stream: TlsStream<TcpStream>,
        come: &AtomicU64,
    ) -> std::result::Result<(), h2::Error> {
        let (mut asking, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(16 << 10)
            .handshake::<_, bytes::Bytes>(stream)
            .await?;
        // Dropped with this client: the connection goes when nobody asks over it any more.
        let mut driven = JoinSet::new();
        driven.spawn(connection);
        let uri = format!("https://{}{}", self.to, self.path);
        loop {
            poll_fn(|context| asking.poll_ready(context)).await?;
            let request = http::Request::get(&uri).body(()).expect("a plain request");
            let (answer, _) = asking.send_request(request, true)?;
            let answer = answer.await?;
            assert_eq!(answer.status(), 200, "{uri}");
            let mut body = answer.into_body();
            while let Some(piece) = body.data().await {
                let size = piece?.len();
                body.flow_control().release_capacity(size)?;
                come.fetch_add(size as u64, Ordering::Relaxed);
            }
        }
    }
}

async fn read_some(stream: &mut TlsStream<TcpStream>, buffer: &mut [u8]) -> Result<usize> {
    match stream.read(buffer).await? {
        0 => Err(Error::other("closed within an answer")),
        read => Ok(read),
    }
}

/// Lets the clients ask for so long. The first to end ends it with its error.
async fn go_on(asking: &mut JoinSet<Error>, long: Duration) -> Result<()> {
    match timeout(long, asking.join_next()).await {
        Err(_) => Ok(()),
        Ok(Some(Ok(error))) => Err(error),
        Ok(other) => Err(Error::other(format!("clients ended: {other:?}"))),
    }
}
