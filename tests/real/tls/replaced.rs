//! A certificate is replaced while clients pull on old connections and on new ones: none of them notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use h2::client::SendRequest;
use http::Request;
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Encrypted;
use crate::support::bound::{until, within};
use crate::support::process::{Part, run, said};
use crate::support::wire::Head;
use crate::support::{free_address, noise};

const OPENSSL: Part = Part {
    program: "openssl",
    package: "openssl",
};
/// More than the time within which the mirror looks at its files unasked.
const PATIENCE: Duration = Duration::from_secs(40);
/// Answers that each kind of client gets under each certificate, at least.
const ENOUGH: usize = 20;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// What the clients of a load ask for, and what became of it.
struct Load {
    address: SocketAddr,
    path: String,
    bytes: Vec<u8>,
    roots: RootCertStore,
    stop: AtomicBool,
    /// Answers, by kind of client.
    answers: [AtomicUsize; 3],
    /// The certificate that the last new connection was shown.
    shown: Mutex<Option<CertificateDer<'static>>>,
}

const KEPT: usize = 0;
const NEW: usize = 1;
const HTTP2: usize = 2;

impl Load {
    async fn connect(&self, protocol: &[u8]) -> Result<TlsStream<TcpStream>, Trouble> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots.clone());
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let plain = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost")?;
        Ok(TlsConnector::from(Arc::new(config))
            .connect(name, plain)
            .await?)
    }

    /// Counts an answer, if it is right.
    fn got(&self, kind: usize, status: u16, body: &[u8]) -> Result<(), Trouble> {
        if status != 200 || body != self.bytes {
            return Err(format!("{status}, {} bytes", body.len()).into());
        }
        self.answers[kind].fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// One GET in HTTP/1.1.
    async fn ask(
        &self,
        kind: usize,
        stream: &mut BufReader<TlsStream<TcpStream>>,
    ) -> Result<(), Trouble> {
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.path);
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let head = Head::read(stream).await?.ok_or("closed")?;
        let mut body = vec![0; usize::try_from(head.length().ok_or("no length")?)?];
        stream.read_exact(&mut body).await?;
        self.got(kind, head.status().unwrap_or_default(), &body)
    }

    /// All on one connection.
    async fn on_one_connection(&self) -> Result<(), Trouble> {
        let mut stream = BufReader::new(self.connect(b"http/1.1").await?);
        while self.goes_on() {
            self.ask(KEPT, &mut stream).await?;
        }
        Ok(())
    }

    /// Each on a connection of its own.
    async fn on_new_connections(&self) -> Result<(), Trouble> {
        while self.goes_on() {
            let stream = self.connect(b"http/1.1").await?;
            let shown = stream.get_ref().1.peer_certificates();
            let shown = shown.and_then(<[_]>::first).cloned();
            self.ask(NEW, &mut BufReader::new(stream)).await?;
            *self.shown.lock() = shown;
        }
        Ok(())
    }

    /// All on one connection in HTTP/2.
    async fn in_http2(&self) -> Result<(), Trouble> {
        let stream = self.connect(b"h2").await?;
        let (client, connection) = h2::client::handshake(stream).await?;
        let driven = tokio::spawn(connection);
        while self.goes_on() {
            let (status, body) = self.ask_in_http2(client.clone()).await?;
            self.got(HTTP2, status, &body)?;
        }
        drop(client);
        driven.await??;
        Ok(())
    }

    async fn ask_in_http2(
        &self,
        client: SendRequest<bytes::Bytes>,
    ) -> Result<(u16, Vec<u8>), Trouble> {
        let url = format!("https://localhost{}", self.path);
        let request = Request::builder().uri(url).body(())?;
        let (response, _) = client.ready().await?.send_request(request, true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            bytes.extend_from_slice(&piece);
        }
        Ok((head.status.as_u16(), bytes))
    }

    /// Waits until each kind of client got so many answers more.
    async fn some_more(&self) {
        let before = self.counts();
        until("answers of each kind", PATIENCE, async || {
            let now = self.counts();
            before
                .iter()
                .zip(now)
                .all(|(before, now)| now >= before + ENOUGH)
        })
        .await;
    }

    fn counts(&self) -> [usize; 3] {
        [KEPT, NEW, HTTP2].map(|kind| self.answers[kind].load(Ordering::SeqCst))
    }
}

/// The serial number of the certificate that openssl is shown, which it must believe.
async fn serial(harbour: &Encrypted, address: SocketAddr) -> String {
    let mut client = OPENSSL.command();
    client.args([
        "s_client",
        "-servername",
        "localhost",
        "-verify_return_error",
    ]);
    client.args(["-connect", &address.to_string(), "-CAfile"]);
    client.arg(harbour.folder.path().join("ca/ca.crt"));
    let output = run(client, PATIENCE).await;
    let said = said(&output);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    let file = harbour.folder.path().join("shown.pem");
    std::fs::write(&file, &output.stdout).unwrap();
    let mut read = OPENSSL.command();
    read.args(["x509", "-noout", "-serial", "-in"]).arg(file);
    String::from_utf8(run(read, PATIENCE).await.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_load_and_nobody_notices() {
    let address = free_address();
    let mut harbour = Encrypted::start(&[address]).await;
    let bytes = noise(33, 100_000);
    let blob = harbour
        .upstream
        .registry
        .push_blob("library/ship", &bytes)
        .await;
    let path = format!("/v2/library/ship/blobs/{blob}");
    assert_eq!(harbour.mirror.get(&path).await.status(), 200);
    let mut roots = RootCertStore::empty();
    roots.add(harbour.authority.root()).unwrap();
    let load = Arc::new(Load {
        address,
        path,
        bytes,
        roots,
        stop: AtomicBool::new(false),
        answers: Default::default(),
        shown: Mutex::default(),
    });
    let (kept, new, http2) = (Arc::clone(&load), Arc::clone(&load), Arc::clone(&load));
    let clients = [
        tokio::spawn(async move { kept.on_one_connection().await }),
        tokio::spawn(async move { new.on_new_connections().await }),
        tokio::spawn(async move { http2.in_http2().await }),
    ];
    load.some_more().await;
    let mut serials = vec![serial(&harbour, address).await];
    // Asked to look, twice; and once not asked.
    for asked in [true, true, false] {
        let signed = harbour.authority.sign(harbour.folder.path());
        if asked {
            harbour.mirror.ask_to_look_again();
        }
        until(
            "the new certificate on new connections",
            PATIENCE,
            async || *load.shown.lock() == Some(signed.clone()),
        )
        .await;
        load.some_more().await;
        assert_eq!(*load.shown.lock(), Some(signed), "an older one came back");
        serials.push(serial(&harbour, address).await);
    }
    load.stop.store(true, Ordering::SeqCst);
    for client in clients {
        let ended = within("a client that ends", PATIENCE, client)
            .await
            .unwrap();
        assert!(ended.is_ok(), "a request failed: {ended:?}");
    }
    println!(
        "answers on one connection, on new ones, in HTTP/2: {:?}",
        load.counts()
    );
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 4, "{serials:?}");
    assert_eq!(harbour.upstream.tap.blobs()[&blob].gets, 1);
}
