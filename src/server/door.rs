//! One listener's way in: who gets a seat, how long anything may take, how large anything may be.
//!
//! Taken from pingora: accepted connections, the parser with its hygiene (RFC 9112 sections 3.2 and 6.3),
//! the framing of request bodies, the head of the answer. Kept here: everything with a bound. pingora's
//! limit on a head is 1 MiB, its time-outs are one per read and one per call to write, and it has none at
//! all between requests.

mod answer;
mod connection;
mod delivery;
mod encrypted;
mod gather;
mod head;
mod http2;
mod linger;
mod outlet;
mod pace;
mod request;
mod send;
mod socket;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Request;
use http::uri::Scheme;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use tokio::sync::watch;
use tokio::time::timeout;

use self::encrypted::Encrypted;
use super::{Entry, Handler, Peer};

/// The bounds of a door. Every wait of a connection ends by one of them, or by the handler's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorLimits {
    /// The time a request has, from the first byte of its head to the last, however it trickles in; also
    /// the time a new connection has for its first byte, and a request body for being discarded.
    pub header_deadline: Duration,
    /// The time a connection is kept for its next request.
    pub idle: Duration,
    /// The time a client may take none of the bytes waiting for it.
    pub write_stall: Duration,
    /// Bytes per second that a client must take of a body, on an average over at least 30 s of waiting for it; 0 when
    /// any pace will do. Time in which the client waits for us does not count.
    pub min_send_rate: u64,
    /// Connections at once. One more is answered [`Refusal::Crowded`](super::Refusal) and closed.
    pub connections: usize,
    /// Connections at once from one client's address. One more is answered [`Refusal::CrowdedByOne`](super::Refusal).
    pub connections_per_client: usize,
    /// Bytes of a request line.
    pub max_request_line: usize,
    /// Bytes of a request head, its request line included.
    pub max_head: usize,
}

impl Default for DoorLimits {
    /// For clients in a data centre that pull images. RFC 9112 section 3 asks for request lines of at
    /// least 8000 bytes.
    fn default() -> Self {
        Self {
            header_deadline: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            write_stall: Duration::from_mins(1),
            min_send_rate: 0,
            connections: 4096,
            connections_per_client: 1024,
            max_request_line: 8 * 1024,
            max_head: 64 * 1024,
        }
    }
}

/// Serves connections with one [`Handler`]: HTTP/1.x, and over TLS HTTP/2 as well.
pub struct Door<H> {
    handler: Arc<H>,
    limits: DoorLimits,
    entry: Entry,
    /// Turns true when connections still at work must end at once. Every connection holds the door, and
    /// with it this receiver.
    cut: watch::Receiver<bool>,
}

impl<H: Handler> Door<H> {
    /// A door to `handler`; its connections are dropped, whatever they do, when `cut` turns true or its
    /// sender goes.
    pub fn new(handler: Arc<H>, limits: DoorLimits, cut: watch::Receiver<bool>) -> Self {
        Self {
            handler,
            limits,
            entry: Entry::open(&limits),
            cut,
        }
    }

    /// The same door, with this way in.
    #[must_use]
    pub fn behind(self, entry: Entry) -> Self {
        Self { entry, ..self }
    }

    /// Says of a request what its own bytes do not: from where it comes, and by which scheme.
    fn introduce(&self, request: &mut Request<()>, peer: Option<Peer>) {
        let is_encrypted = self.entry.tls.is_some();
        let scheme = if is_encrypted {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        request.extensions_mut().insert(scheme);
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
    }

    async fn serve(&self, stream: Stream, stopping: ShutdownWatch) {
        let peer = connection::peer(&stream);
        let seat = self.entry.admit(peer.map(|peer| peer.0.ip()));
        match (&self.entry.tls, seat) {
            (None, Ok(_seat)) => connection::serve(self, stream, stopping).await,
            (None, Err(refusal)) => connection::turn_away(self, stream, refusal).await,
            (Some(terms), Ok(_seat)) => self.encrypt(stream, terms.current(), stopping).await,
            // A handshake is work that is done for those only who are let in. What would have been said is told to
            // the log.
            (Some(_), Err(refusal)) => drop(self.handler.refuse(refusal, peer)),
        }
    }

    /// Serves over TLS, if there is a handshake in time.
    async fn encrypt(
        &self,
        stream: Stream,
        terms: Arc<rustls::ServerConfig>,
        mut stopping: ShutdownWatch,
    ) {
        let peer = connection::peer(&stream);
        let handshake = timeout(
            self.limits.header_deadline,
            Encrypted::accept(stream, terms),
        );
        let stream = tokio::select! {
            biased;
            accepted = handshake => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match stream {
            Ok(Ok(stream)) if stream.is_http2() => {
                http2::serve(self, stream, peer, stopping).await;
            }
            Ok(Ok(stream)) => connection::serve(self, Box::new(stream), stopping).await,
            Ok(Err(error)) => {
                let client = peer.map(|peer| tracing::field::display(peer.0));
                tracing::debug!(client, %error, "no TLS handshake");
            }
            Err(_) => {}
        }
    }
}

/// Tells the handler of a connection as long as it lives.
struct Open<'a, H: Handler>(&'a H);

impl<'a, H: Handler> Open<'a, H> {
    fn new(handler: &'a H) -> Self {
        handler.opened();
        Self(handler)
    }
}

impl<H: Handler> Drop for Open<'_, H> {
    fn drop(&mut self) {
        self.0.closed();
    }
}

#[async_trait]
impl<H: Handler> ServerApp for Door<H> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let mut cut = self.cut.clone();
        let _open = Open::new(&*self.handler);
        tokio::select! {
            () = self.serve(stream, shutdown.clone()) => {}
            _ = cut.wait_for(|cut| *cut) => {}
        }
        None
    }
}
