//! The life of one connection: request, answer, and again.

use bytes::BytesMut;
use http::Method;
use pingora::protocols::Stream;
use pingora::protocols::http::v1::server::HttpSession;
use pingora::server::ShutdownWatch;
use tokio::time::timeout;
use tracing::debug;

use super::answer::{self, After};
use super::delivery::Delivery;
use super::head::{self, Head};
use super::send::Broken;
use super::{Door, linger, request};
use crate::mirror::Who;
use crate::server::{End, Fault, Handler, Peer, Refusal, RequestBody};

/// Serves requests one after the other until either side wants no more.
pub(super) async fn serve<H: Handler>(
    door: &Door<H>,
    mut stream: Stream,
    mut stopping: ShutdownWatch,
) {
    let peer = peer(&stream);
    let limits = &door.limits;
    let mut silence = limits.header_deadline;
    let mut ahead = BytesMut::new();
    loop {
        let head = match head::read(&mut stream, ahead, silence, limits, &mut stopping).await {
            Head::Read(head) => head,
            Head::Quiet => return,
            Head::Refused(refusal) => return turn_away(door, stream, refusal).await,
        };
        match exchange(door, stream, head, peer, &stopping).await {
            Some(kept) => (stream, ahead) = kept,
            None => return,
        }
        silence = limits.idle;
    }
}

/// Answers a connection that gets no request through, and closes it.
pub(super) async fn turn_away<H: Handler>(door: &Door<H>, stream: Stream, refusal: Refusal) {
    let peer = peer(&stream);
    refuse(door, HttpSession::new(stream), refusal, peer).await;
}

/// Serves the request that begins with `head`. Gives the connection back if there may be another.
async fn exchange<H: Handler>(
    door: &Door<H>,
    stream: Stream,
    head: BytesMut,
    peer: Option<Peer>,
    stopping: &ShutdownWatch,
) -> Option<(Stream, BytesMut)> {
    let bound = door.limits.header_deadline;
    let mut session = HttpSession::new(stream);
    session.set_read_timeout(None);
    session.set_pipelining_enabled(true);
    session.set_pipelined_prefix(head);

    let parsed = timeout(bound, request::parse(&mut session)).await;
    let mut request = match parsed.unwrap_or(Err(Refusal::HeadTooSlow)) {
        Ok(request) => request,
        Err(refusal) => {
            refuse(door, session, refusal, peer).await;
            return None;
        }
    };
    door.introduce(&mut request, peer);
    if door.handler.wants_body(&request) {
        let body = request::take_body(&mut session, bound).await;
        if let Some(body) = body {
            request.extensions_mut().insert(RequestBody(body));
        }
    } else {
        request::discard_body(&mut session, bound).await;
    }

    let method = request.method().clone();
    let (response, ticket) = door.handler.handle(request).await;
    let mut delivery = Delivery::new(&*door.handler, ticket, response.status());
    if *stopping.borrow() {
        session.set_server_keepalive(None);
    }
    let limits = &door.limits;
    match answer::send(session, &method, response, limits, delivery.bytes()).await {
        Ok(After::Open(stream, ahead)) => {
            delivery.end(End::Whole);
            Some((stream, ahead))
        }
        Ok(After::Closing(stream)) => {
            delivery.end(End::Whole);
            linger::close(stream).await;
            None
        }
        Err(broken) => {
            delivery.end(end_of(broken));
            None
        }
    }
}

async fn refuse<H: Handler>(
    door: &Door<H>,
    mut session: HttpSession,
    refusal: Refusal,
    peer: Option<Peer>,
) {
    session.set_server_keepalive(None);
    let response = door.handler.refuse(refusal, peer);
    // The method is not known for certain. A body too many does no harm: nothing follows it.
    let sent = answer::send(session, &Method::GET, response, &door.limits, &mut 0).await;
    if let Ok(After::Open(stream, _) | After::Closing(stream)) = sent {
        linger::close(stream).await;
    }
}

/// What the handler is told; what it tells is the handler's matter.
pub(super) fn end_of(broken: Broken) -> End {
    let (who, reason) = match broken {
        Broken::Client(error) => {
            debug!(%error, "the client did not take the whole answer");
            return End::Left;
        }
        Broken::Content(error) => (Who::Store, format!("content could not be read: {error}")),
        Broken::Fill(error) => (error.blame(), error.to_string()),
        Broken::Response => (
            Who::Mirror,
            "a response has no length, or not its body's".to_owned(),
        ),
    };
    End::Broken(Fault { who, reason })
}

pub(super) fn peer(stream: &Stream) -> Option<Peer> {
    let digest = stream.get_socket_digest()?;
    digest.peer_addr()?.as_inet().copied().map(Peer)
}
