//! The life of one connection in HTTP/2 (RFC 9113): many requests at once, each answered as a stream of its own.
//!
//! One task serves them all, as one task serves a connection in HTTP/1.1. What a client does not take is held back by
//! the flow control of its stream: it fills no memory, and stands in the way of no other stream.

use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::{DATE, HOST, HeaderValue};
use http::{Method, Request, Response, Uri, Version};
use pingora::server::ShutdownWatch;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::end_of;
use super::delivery::Delivery;
use super::encrypted::Encrypted;
use super::outlet::{FRAME, Outlet};
use super::pace::Pace;
use super::send::{self, Broken};
use super::wire::within;
use super::{Door, answer};
use crate::server::{Body, End, Handler, Peer, Refusal};

/// Requests of one connection at once: what clients open at most, and some more.
const STREAMS: u32 = 100;
/// Bytes that a stream keeps ahead of its connection.
const AHEAD: usize = 128 * 1024;

/// Serves requests until either side wants no more.
pub(super) async fn serve<H: Handler>(
    door: &Door<H>,
    stream: Encrypted,
    peer: Option<Peer>,
    mut stopping: ShutdownWatch,
) {
    let limits = &door.limits;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.max_head).unwrap_or(u32::MAX))
        .max_send_buffer_size(AHEAD);
    let greeting = timeout(
        limits.header_deadline,
        builder.handshake::<_, Bytes>(stream.gathered()),
    );
    let Ok(Ok(mut connection)) = greeting.await else {
        return;
    };
    let mut answers = FuturesUnordered::new();
    let mut is_leaving = false;
    let mut quiet_until = Instant::now() + limits.header_deadline;
    loop {
        tokio::select! {
            asked = connection.accept() => match asked {
                Some(Ok((request, respond))) => {
                    answers.push(exchange(door, request, respond, peer));
                }
                Some(Err(_)) | None => break,
            },
            Some(()) = answers.next() => quiet_until = Instant::now() + limits.idle,
            Ok(_) = stopping.wait_for(|stopping| *stopping), if !is_leaving => {
                is_leaving = true;
                connection.graceful_shutdown();
            }
            () = sleep_until(quiet_until), if answers.is_empty() => {
                // The first time it is told so (GOAWAY); the second time it has not listened.
                if is_leaving {
                    break;
                }
                is_leaving = true;
                quiet_until += limits.write_stall;
                connection.graceful_shutdown();
            }
        }
    }
}

/// Serves one request.
async fn exchange<H: Handler>(
    door: &Door<H>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    peer: Option<Peer>,
) {
    let limits = &door.limits;
    // A request body is not wanted, and its bytes are given back to the connection.
    let (parts, _) = request.into_parts();
    let method = parts.method.clone();
    let request = match understood(Request::from_parts(parts, ()), limits.max_request_line) {
        Ok(mut request) => {
            door.introduce(&mut request, peer);
            request
        }
        Err(refusal) => {
            let response = door.handler.refuse(refusal, peer);
            let _ = send(&mut respond, &method, response, door, &mut 0).await;
            return;
        }
    };
    let (response, ticket) = door.handler.handle(request).await;
    let mut delivery = Delivery::new(&*door.handler, ticket, response.status());
    let sent = send(&mut respond, &method, response, door, delivery.bytes()).await;
    delivery.end(sent.map_or_else(end_of, |()| End::Whole));
}

/// The request as handlers know requests: of the target only path and query, the authority in `Host`.
fn understood(request: Request<()>, max_target: usize) -> Result<Request<()>, Refusal> {
    let (mut parts, ()) = request.into_parts();
    let target = parts.uri.path_and_query().ok_or(Refusal::Malformed)?;
    if target.as_str().len() > max_target {
        return Err(Refusal::TargetTooLong);
    }
    let told: Vec<_> = parts.headers.get_all(HOST).iter().collect();
    // RFC 9113 section 8.3.1: a request whose Host differs from its authority is malformed.
    let host = match (parts.uri.authority(), told.as_slice()) {
        (Some(authority), []) => HeaderValue::from_str(authority.as_str()).ok(),
        (Some(authority), [host])
            if host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            None
        }
        (None, [_]) => None,
        _ => return Err(Refusal::Malformed),
    };
    parts.uri = Uri::from(target.clone());
    parts.headers.extend(host.map(|host| (HOST, host)));
    Ok(Request::from_parts(parts, ()))
}

/// Sends the answer. The bytes of its body are counted in `written` as they go.
async fn send<H: Handler>(
    respond: &mut SendResponse<Bytes>,
    method: &Method,
    response: Response<Body>,
    door: &Door<H>,
    written: &mut u64,
) -> Result<(), Broken> {
    let (mut parts, body) = response.into_parts();
    let length = answer::frame(method, parts.status, &mut parts.headers, body.len());
    let Some(length) = length else {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Err(Broken::Response);
    };
    parts.version = Version::HTTP_2;
    let now = httpdate::fmt_http_date(SystemTime::now());
    parts
        .headers
        .extend(HeaderValue::from_str(&now).ok().map(|now| (DATE, now)));
    let stream = respond
        .send_response(Response::from_parts(parts, ()), length == 0)
        .map_err(|error| Broken::Client(io::Error::other(error)))?;
    if length == 0 {
        return Ok(());
    }
    let mut outlet = StreamOutlet {
        stream,
        stall: door.limits.write_stall,
        pace: Pace::new(door.limits.min_send_rate, door.limits.write_stall),
        left: length,
        written,
    };
    let sent = send::send(body, &mut outlet).await;
    if sent.is_err() {
        // Cut short: never an end that looks like one.
        outlet.stream.send_reset(Reason::INTERNAL_ERROR);
    }
    sent
}

/// One stream while an answer goes out over it.
struct StreamOutlet<'a> {
    stream: SendStream<Bytes>,
    stall: Duration,
    pace: Pace,
    left: u64,
    written: &'a mut u64,
}

impl Outlet for StreamOutlet<'_> {
    fn left(&self) -> u64 {
        self.left
    }

    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.left {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        while !bytes.is_empty() {
            let began = Instant::now();
            self.stream.reserve_capacity(bytes.len());
            let room = async {
                let room = poll_fn(|cx| self.stream.poll_capacity(cx)).await;
                room.unwrap_or(Ok(0)).map_err(io::Error::other)
            };
            let room = within(self.stall, room).await?.min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let (now, later) = bytes.split_at(room);
            bytes = later;
            for frame in now.chunks(FRAME) {
                let length = frame.len() as u64;
                self.stream
                    .send_data(Bytes::copy_from_slice(frame), length == self.left)
                    .map_err(io::Error::other)?;
                self.left -= length;
                *self.written += length;
            }
            if !self.pace.took(now.len() as u64, began.elapsed()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    async fn send_file(&mut self, _: BorrowedFd<'_>, _: u64, _: u64) -> io::Result<Option<u64>> {
        Ok(None)
    }

    async fn flush(&mut self) -> io::Result<()> {
        // The connection sends what there is whenever it can.
        Ok(())
    }

    async fn reset(&mut self) -> io::Error {
        match poll_fn(|cx| self.stream.poll_reset(cx)).await {
            Ok(reason) => io::Error::other(h2::Error::from(reason)),
            Err(error) => io::Error::other(error),
        }
    }
}
