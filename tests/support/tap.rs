//! A tap on the wire between the mirror and an upstream: counts what crosses, and breaks it on demand.
//!
//! It listens on a port of its own and forwards to the upstream, following requests and answers one after another on
//! each connection. Bodies pass piece by piece, never gathered. What is counted is what was sent on to the mirror.

mod fault;

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::wire::{Head, Incoming};
use fault::{Fault, Rule, RuleBuilder, Trigger};

/// One request that crossed the tap.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: String,
    /// The request target: path and query.
    pub(crate) path: String,
    /// The `Range` field, if there was one.
    pub(crate) range: Option<String>,
    /// The status of the answer, once there was one.
    pub(crate) status: Option<u16>,
    /// Bytes of the answer's body that were sent on.
    pub(crate) bytes: u64,
}

impl Request {
    /// Whether this is a GET of a blob that was answered with its bytes.
    pub(crate) fn brought_blob(&self) -> bool {
        self.method == "GET"
            && self.path.contains("/blobs/")
            && matches!(self.status, Some(200 | 206))
    }
}

/// What crossed for one blob.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Crossing {
    /// GETs answered with bytes of it.
    pub(crate) gets: usize,
    /// Bytes of it that were sent on.
    pub(crate) bytes: u64,
}

/// The tap. Dropping it closes the port and every connection.
#[derive(Debug)]
pub(crate) struct Tap {
    address: SocketAddr,
    watched: Arc<Watched>,
    listening: JoinHandle<()>,
}

type Noted = Arc<Mutex<Request>>;

/// What the connections of one tap share.
#[derive(Debug)]
struct Watched {
    target: SocketAddr,
    /// Each request is also held by the connection that it is on, which goes on counting.
    requests: Mutex<Vec<Noted>>,
    rules: Mutex<Vec<Rule>>,
}

impl Tap {
    /// A tap before the upstream at `target`.
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port for the tap");
        let address = listener.local_addr().expect("the tap's address");
        let watched = Arc::new(Watched {
            target,
            requests: Mutex::default(),
            rules: Mutex::default(),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&watched)));
        Self {
            address,
            watched,
            listening,
        }
    }

    /// Where the mirror is to connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that crossed since the start, or since [`Tap::forget`].
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.watched
            .requests
            .lock()
            .iter()
            .map(|request| request.lock().clone())
            .collect()
    }

    /// How many requests of this kind crossed.
    pub(crate) fn count(&self, kind: impl Fn(&Request) -> bool) -> usize {
        self.requests()
            .iter()
            .filter(|request| kind(request))
            .count()
    }

    /// What crossed of each blob, by digest.
    pub(crate) fn blobs(&self) -> BTreeMap<String, Crossing> {
        let mut blobs = BTreeMap::<_, Crossing>::new();
        for request in self
            .requests()
            .iter()
            .filter(|request| request.brought_blob())
        {
            let path = request.path.split('?').next().unwrap_or_default();
            let digest = path
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .replace("%3A", ":");
            let crossing = blobs.entry(digest).or_default();
            crossing.gets += 1;
            crossing.bytes += request.bytes;
        }
        blobs
    }

    /// Bytes of blobs that crossed, all together.
    pub(crate) fn blob_bytes(&self) -> u64 {
        self.blobs().values().map(|crossing| crossing.bytes).sum()
    }

    /// Starts counting anew; answers still under way count into what is forgotten.
    pub(crate) fn forget(&self) {
        self.watched.requests.lock().clear();
    }

    /// Begins a rule for the requests whose path contains `path`: `tap.on("/blobs/").cut_at(1000)`.
    ///
    /// It holds for every such request until [`Tap::heal`], unless `.once()` is said.
    pub(crate) fn on(&self, path: &str) -> RuleBuilder<'_> {
        RuleBuilder::new(&self.watched.rules, path)
    }

    /// Ends all rules; gates that are held are the test's to release.
    pub(crate) fn heal(&self) {
        self.watched.rules.lock().clear();
    }

    /// Cuts the upstream off: from now on connections are refused, and those that exist are gone.
    pub(crate) async fn close(&mut self) {
        self.listening.abort();
        let end = (&mut self.listening).await;
        assert!(end.is_err(), "the tap listens until it is closed");
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, watched: Arc<Watched>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("a connection to the tap");
                let watched = Arc::clone(&watched);
                // An error ends the connection on both sides, and that is all that either side would see of it.
                connections.spawn(async move { Connection::open(client, watched).await?.follow().await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection from the mirror, with its own to the upstream.
struct Connection {
    watched: Arc<Watched>,
    client: BufReader<OwnedReadHalf>,
    to_client: OwnedWriteHalf,
    upstream: BufReader<OwnedReadHalf>,
    to_upstream: OwnedWriteHalf,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(client: TcpStream, watched: Arc<Watched>) -> Result<Self> {
        let upstream = TcpStream::connect(watched.target).await?;
        for stream in [&client, &upstream] {
            stream.set_nodelay(true)?;
        }
        let (client, to_client) = client.into_split();
        let (upstream, to_upstream) = upstream.into_split();
        let [client, upstream] =
            [client, upstream].map(|half| BufReader::with_capacity(64 * 1024, half));
        Ok(Self {
            watched,
            client,
            to_client,
            upstream,
            to_upstream,
            buffer: vec![0; 64 * 1024],
        })
    }

    async fn follow(mut self) -> Result<()> {
        while let Some(request) = Head::read(&mut self.client).await? {
            let noted = self.note(&request);
            let triggers = self.watched.triggers(request.word(1));
            if let Some(status) = triggers.iter().find_map(Trigger::answer) {
                noted.lock().status = Some(status);
                let answer = format!(
                    "HTTP/1.1 {status} By The Tap\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                return self.to_client.write_all(answer.as_bytes()).await;
            }
            self.forward_request(&request).await?;
            if !self.forward_answer(&request, &noted, triggers).await? {
                break;
            }
        }
        Ok(())
    }

    fn note(&self, request: &Head) -> Noted {
        let noted = Arc::new(Mutex::new(Request {
            method: request.word(0).to_owned(),
            path: request.word(1).to_owned(),
            range: request.field("range").map(str::to_owned),
            status: None,
            bytes: 0,
        }));
        self.watched.requests.lock().push(Arc::clone(&noted));
        noted
    }

    async fn forward_request(&mut self, head: &Head) -> Result<()> {
        self.to_upstream.write_all(&head.bytes()).await?;
        let mut body = Incoming::of_request(head);
        let chunked = body.is_chunked();
        loop {
            let size = body.read(&mut self.client, &mut self.buffer).await?;
            write_piece(&mut self.to_upstream, chunked, &self.buffer[..size]).await?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Returns whether the connection is good for another request.
    async fn forward_answer(
        &mut self,
        request: &Head,
        noted: &Noted,
        triggers: Vec<Trigger>,
    ) -> Result<bool> {
        let closed = || {
            Error::new(
                ErrorKind::UnexpectedEof,
                "the upstream closed before it answered",
            )
        };
        let head = Head::read(&mut self.upstream).await?.ok_or_else(closed)?;
        noted.lock().status = head.status();
        self.to_client.write_all(&head.bytes()).await?;

        let mut body = Incoming::of_response(&head, request.word(0));
        let chunked = body.is_chunked();
        let mut triggers = fault::in_order(triggers, head.first_byte());
        let mut position = head.first_byte();
        loop {
            let size = body.read(&mut self.upstream, &mut self.buffer).await?;
            if size == 0 {
                write_piece(&mut self.to_client, chunked, &[]).await?;
                return Ok(!matches!(body, Incoming::UntilClose));
            }
            let mut sent = 0;
            while let Some(trigger) =
                triggers.next_if(|trigger| trigger.at < position + (size - sent) as u64)
            {
                let before = usize::try_from(trigger.at.saturating_sub(position)).unwrap_or(0);
                self.pass(noted, chunked, sent..sent + before).await?;
                sent += before;
                position += before as u64;
                self.suffer(&trigger.fault, sent).await?;
            }
            self.pass(noted, chunked, sent..size).await?;
            position += (size - sent) as u64;
        }
    }

    /// Sends a part of the buffer on and counts it.
    async fn pass(
        &mut self,
        noted: &Noted,
        chunked: bool,
        part: std::ops::Range<usize>,
    ) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let size = part.len() as u64;
        write_piece(&mut self.to_client, chunked, &self.buffer[part]).await?;
        noted.lock().bytes += size;
        Ok(())
    }

    /// Does to the answer what a rule says, just before the byte at `next` of the buffer goes out.
    async fn suffer(&mut self, fault: &Fault, next: usize) -> Result<()> {
        match fault {
            Fault::Answer(_) => Ok(()),
            Fault::Cut => Err(Error::new(ErrorKind::ConnectionAborted, "cut by a rule")),
            Fault::Flip => {
                self.buffer[next] ^= 1;
                Ok(())
            }
            Fault::Stall => self.client_leaves().await,
            Fault::Hold(gate) => tokio::select! {
                () = gate.pass() => Ok(()),
                left = self.client_leaves() => left,
            },
        }
    }

    /// Waits until the mirror closes its side; then there is nobody to hold the answer for.
    async fn client_leaves(&mut self) -> Result<()> {
        if !self.client.fill_buf().await?.is_empty() {
            // The mirror sent something before it had its answer: it still waits for it.
            std::future::pending::<()>().await;
        }
        Err(Error::new(ErrorKind::ConnectionReset, "the mirror left"))
    }
}

impl Watched {
    /// What is to happen to a request of this path; rules for one request only are used up.
    fn triggers(&self, path: &str) -> Vec<Trigger> {
        let mut triggers = Vec::new();
        self.rules.lock().retain(|rule| {
            let hit = path.contains(&rule.path);
            if hit {
                triggers.push(rule.trigger.clone());
            }
            !(hit && rule.once)
        });
        triggers
    }
}

/// Writes a piece of a body in its framing; an empty piece is the end.
async fn write_piece(to: &mut OwnedWriteHalf, chunked: bool, piece: &[u8]) -> Result<()> {
    if !chunked {
        return to.write_all(piece).await;
    }
    to.write_all(format!("{:x}\r\n", piece.len()).as_bytes())
        .await?;
    to.write_all(piece).await?;
    to.write_all(b"\r\n").await
}
