//! A handler that does what the test says and remembers what it was told, and a client of few words.
#![allow(clippy::unwrap_used)]

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Plain;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::oci::{ByteRange, Digest, Verifier};
use crate::server::{Body, Door, DoorLimits, Handler, Peer, Refusal, Sent};
use crate::store::{Content, Contents, DiskStore, Limits, MemoryStore};

/// A response whose body is a range of `bytes`, as content.
pub(crate) fn content_response(bytes: &[u8], start: u64, end: u64) -> Response<Body> {
    let content = content_in(&MemoryStore::default(), bytes);
    Response::new(Body::Content(content, ByteRange { start, end }))
}

/// `bytes` as content in a folder of their own.
pub(crate) fn content_on_disk(bytes: &[u8]) -> (TempDir, Content) {
    let folder = TempDir::new().unwrap();
    let content = content_in(
        &DiskStore::open(folder.path(), Limits::of(1 << 30)).unwrap(),
        bytes,
    );
    (folder, content)
}

fn content_in(store: &impl Contents, bytes: &[u8]) -> Content {
    let digest = Digest::sha256_of(bytes);
    let partial = store.begin(&digest).unwrap().partial;
    partial.write_at(0, bytes).unwrap();
    let verified = Verifier::verify(&digest, bytes).unwrap().unwrap();
    partial.commit(&verified).unwrap()
}

/// A connection over a real socket, both of its ends; with `buffers` bytes for each end's own, or the kernel's choice.
pub(crate) async fn connection(buffers: Option<u32>) -> (TcpStream, Stream) {
    let (here, there) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap());
    if let Some(buffers) = buffers {
        // An accepted socket has them from the one that listens.
        here.set_send_buffer_size(buffers).unwrap();
        there.set_recv_buffer_size(buffers).unwrap();
    }
    here.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = here.listen(1).unwrap();
    let client = there.connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    let stream = Plain::from(accepted.unwrap().0);
    (client.unwrap(), Box::new(stream))
}

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Answers as told; reports each answer's end together with its path.
pub(crate) struct Script {
    answer: Box<dyn Fn(Request<()>) -> Answering + Send + Sync>,
    sent: mpsc::UnboundedSender<(String, Sent)>,
}

/// Where a [`Script`] reports to.
pub(crate) type Reports = mpsc::UnboundedReceiver<(String, Sent)>;

impl Script {
    pub(crate) fn new<F, A>(answer: F) -> (Arc<Self>, Reports)
    where
        F: Fn(Request<()>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let (sent, reports) = mpsc::unbounded_channel();
        let answer = Box::new(move |request| -> Answering { Box::pin(answer(request)) });
        (Arc::new(Self { answer, sent }), reports)
    }

    /// Answers with the request: `METHOD target host`.
    pub(crate) fn echo() -> (Arc<Self>, Reports) {
        Self::new(|request| async move {
            let host = request.headers().get("host");
            let host = host.map_or("-", |host| host.to_str().unwrap());
            let text = format!("{} {} {host}", request.method(), request.uri());
            Response::new(text.into_bytes().into())
        })
    }

    /// Gives the same response to every request.
    pub(crate) fn always(
        response: impl Fn() -> Response<Body> + Send + Sync + 'static,
    ) -> (Arc<Self>, Reports) {
        Self::new(move |_| std::future::ready(response()))
    }
}

#[async_trait]
impl Handler for Script {
    type Ticket = String;

    async fn handle(&self, request: Request<()>) -> (Response<Body>, String) {
        let path = request.uri().path().to_owned();
        ((self.answer)(request).await, path)
    }

    fn sent(&self, path: String, sent: Sent) {
        // A test that does not look at the reports has dropped their other end.
        let _ = self.sent.send((path, sent));
    }

    fn refuse(&self, refusal: Refusal, _: Option<Peer>) -> Response<Body> {
        let mut response = Response::new(format!("refused: {refusal:?}").into_bytes().into());
        *response.status_mut() = refusal.status();
        response
    }
}

/// One client on a connection.
pub(crate) struct Client<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a GET that keeps the connection.
    pub(crate) async fn get(&mut self, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
    }

    /// The next head, without the empty line.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// The next answer with a body of the length its head states.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = field(&head, "content-length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// The next `length` bytes.
    pub(crate) async fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// All that still comes, until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.unwrap();
        String::from_utf8(rest).unwrap()
    }
}

/// A field of a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    Some(value)
}

/// The parts of a multipart body, found as clients find them: each one's `Content-Range`, and its bytes.
pub(crate) fn parts(content_type: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=");
    let delimiter = format!("--{}", boundary.unwrap());
    let mut rest = body.strip_prefix(delimiter.as_bytes()).unwrap();
    let mut parts = Vec::new();
    while rest != b"--\r\n" {
        let (head, behind) = split(rest, b"\r\n\r\n");
        let head = std::str::from_utf8(head).unwrap();
        assert_eq!(
            field(head, "content-type"),
            Some("application/octet-stream")
        );
        let (bytes, behind) = split(behind, format!("\r\n{delimiter}").as_bytes());
        parts.push((
            field(head, "content-range").unwrap().to_owned(),
            bytes.to_vec(),
        ));
        rest = behind;
    }
    parts
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> (&'a [u8], &'a [u8]) {
    let found = bytes.windows(at.len()).position(|window| window == at);
    let found = found.unwrap();
    (&bytes[..found], &bytes[found + at.len()..])
}

/// A connection in memory to a door of its own.
pub(crate) struct Visit {
    pub(crate) client: Client<DuplexStream>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) cut: watch::Sender<bool>,
    pub(crate) served: JoinHandle<()>,
}

impl Visit {
    pub(crate) fn new<H: Handler>(handler: &Arc<H>) -> Self {
        Self::with(handler, DoorLimits::default(), 64 * 1024)
    }

    /// A visit with as many bytes in flight as `room`.
    pub(crate) fn with<H: Handler>(handler: &Arc<H>, limits: DoorLimits, room: usize) -> Self {
        let (client, stream) = duplex(room);
        let (stop, stopping) = watch::channel(false);
        let (cut, cutting) = watch::channel(false);
        let door = Arc::new(Door::new(Arc::clone(handler), limits, cutting));
        let served = tokio::spawn(async move {
            assert!(
                door.process_new(Box::new(stream), &stopping)
                    .await
                    .is_none()
            );
        });
        Self {
            client: Client(client),
            stop,
            cut,
            served,
        }
    }

    /// All that a client gets that sends `bytes` and waits.
    pub(crate) async fn talk(handler: &Arc<Script>, bytes: impl AsRef<[u8]>) -> String {
        let mut visit = Self::new(handler);
        visit.client.send(bytes).await;
        visit.client.rest().await
    }
}
