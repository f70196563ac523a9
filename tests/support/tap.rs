//! A tap on the wire between the mirror and an upstream: counts what crosses, and breaks it on demand.
//!
//! It listens on a port of its own and forwards to the upstream, following requests and answers one after another on
//! each connection. Bodies pass piece by piece, never gathered. What is counted is what was sent on to the mirror.

mod connection;
mod fault;
mod throttle;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

use connection::Connection;
use fault::{Rule, RuleBuilder, Wish};
use throttle::Throttle;

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
    /// When it came.
    pub(crate) began: Instant,
    /// When the first bytes of the answer's body had been sent on.
    pub(crate) first_byte: Option<Instant>,
    /// When its answer ended, well or not; `None` while it is under way.
    pub(crate) ended: Option<Instant>,
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
    /// Bound and never listening: when the tap is closed nobody else gets its port, and whoever connects is refused.
    _reserved: TcpSocket,
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
    throttle: Throttle,
    /// Bytes per second of every new connection; `None` for as many as there are.
    each: Mutex<Option<u64>>,
}

impl Tap {
    /// A tap before the upstream at `target`.
    pub(crate) fn before(target: SocketAddr) -> Self {
        let reserved = socket((Ipv4Addr::LOCALHOST, 0).into());
        let address = reserved.local_addr().expect("the tap's address");
        let listener = socket(address).listen(1024).expect("a tap that listens");
        let watched = Arc::new(Watched {
            target,
            requests: Mutex::default(),
            rules: Mutex::default(),
            throttle: Throttle::default(),
            each: Mutex::default(),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&watched)));
        Self {
            address,
            _reserved: reserved,
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

    /// The most requests whose path contains `path` that were under way at once.
    pub(crate) fn most_at_once(&self, path: &str) -> usize {
        let requests = self.requests();
        let matching = || {
            requests
                .iter()
                .filter(|request| request.path.contains(path))
        };
        // The number changes only where a request begins, so the most is seen at one of those moments.
        let at = |moment: Instant| {
            matching()
                .filter(|it| it.began <= moment && it.ended.is_none_or(|ended| ended > moment))
                .count()
        };
        matching().map(|it| at(it.began)).max().unwrap_or(0)
    }

    /// From now on no more than so many bytes of bodies a second pass, all connections together; `None` ends that.
    pub(crate) fn throttle(&self, bytes_per_second: Option<u64>) {
        self.watched.throttle.set(bytes_per_second);
    }

    /// The same for each connection by itself, for those that are opened from now on.
    pub(crate) fn throttle_each(&self, bytes_per_second: Option<u64>) {
        *self.watched.each.lock() = bytes_per_second;
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

impl Watched {
    /// What is to happen to a request of this path; rules for one request only are used up.
    fn wishes(&self, path: &str) -> Vec<Wish> {
        let mut wishes = Vec::new();
        self.rules.lock().retain(|rule| {
            let hit = path.contains(&rule.path);
            if hit {
                wishes.push(rule.wish.clone());
            }
            !(hit && rule.once)
        });
        wishes
    }
}

/// A socket at this address, which others may be bound to as well, as long as only one listens.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_reuseaddr(true)
        .and_then(|()| socket.bind(address))
        .expect("a port for the tap");
    socket
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
