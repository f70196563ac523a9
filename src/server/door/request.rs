//! From a head to a request, and the end of a request body nobody asked for.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{Method, Request, Version};
use pingora::protocols::http::v1::server::HttpSession;
use tokio::time::timeout;

use crate::server::Refusal;

/// Bytes of a request body read at most, whether it is wanted or thrown away. A longer one costs its connection.
const MAX_BODY: usize = 64 * 1024;

/// Reads and checks the request.
///
/// pingora refuses what is not HTTP, a second `Host`, an authority that differs from `Host`, and lengths that
/// differ. It lets pass, and this does not: a request without `Host`, a length beside a transfer coding
/// (RFC 9112 sections 3.2 and 6.3), a request for a tunnel, and a target that is not text. What is illegal in a target but
/// harmless, pingora percent-encodes.
pub(super) async fn parse(session: &mut HttpSession) -> Result<Request<()>, Refusal> {
    if !matches!(session.read_request().await, Ok(Some(_))) {
        return Err(Refusal::Malformed);
    }
    let head = session.req_header();
    let nameless = head.version != Version::HTTP_10 && !head.headers.contains_key(HOST);
    let two_lengths = head.headers.contains_key(TRANSFER_ENCODING)
        && names_field(&session.get_headers_raw_bytes(), CONTENT_LENGTH.as_str());
    // To a client that asks for a tunnel, any answer of 200 would be one.
    let tunnel = head.method == Method::CONNECT;
    if nameless || two_lengths || tunnel || !head.raw_path_is_utf8() {
        return Err(Refusal::Malformed);
    }
    Ok(Request::from_parts(head.as_owned_parts(), ()))
}

/// Throws the request body away, if it is short and comes soon. If not, the connection ends with the answer,
/// and the answer says so; so it does where the client waits to be told to send its body (RFC 9110 section
/// 10.1.1), which it never is.
pub(super) async fn discard_body(session: &mut HttpSession, bound: Duration) {
    if session.is_body_done() {
        return;
    }
    let awaited = session.req_header().headers.contains_key(EXPECT);
    if awaited || !matches!(timeout(bound, read_out(session)).await, Ok(Some(()))) {
        session.set_server_keepalive(None);
    }
}

/// Takes the request body, if it is short and comes soon; else the connection ends with the answer.
pub(super) async fn take_body(session: &mut HttpSession, bound: Duration) -> Option<Bytes> {
    let awaited = session.req_header().headers.contains_key(EXPECT);
    let body = if awaited {
        None
    } else {
        timeout(bound, read_whole(session)).await.ok().flatten()
    };
    if body.is_none() {
        session.set_server_keepalive(None);
    }
    body
}

/// Reads the whole body; `None` when it is too long or its end cannot be found.
async fn read_whole(session: &mut HttpSession) -> Option<Bytes> {
    let mut body = BytesMut::new();
    while let Some(bytes) = session.read_body_bytes().await.ok()? {
        if bytes.len() > MAX_BODY - body.len() {
            return None;
        }
        body.extend_from_slice(&bytes);
    }
    Some(body.freeze())
}

/// Reads the body to its end; `None` when that is too far or cannot be found.
async fn read_out(session: &mut HttpSession) -> Option<()> {
    let mut discarded = 0;
    while let Some(bytes) = session.read_body_bytes().await.ok()? {
        discarded += bytes.len();
        if discarded > MAX_BODY {
            return None;
        }
    }
    Some(())
}

/// Whether a raw head has a field of that name: the parser drops the length where it finds a coding too.
fn names_field(head: &[u8], name: &str) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        line.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
            && line.get(name.len()) == Some(&b':')
    })
}
