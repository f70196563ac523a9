//! From a response to bytes: framing, the head, the body, and what is left of the connection.

use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::v1::server::HttpSession;
use tokio::time::timeout;

use super::send::{self, Broken};
use super::wire::Wire;
use crate::server::Body;

/// The connection after a whole answer.
pub(super) enum After {
    /// It can serve another request, of which these bytes are here already.
    Open(Stream, BytesMut),
    /// That was its last answer, and the answer said so.
    Closing(Stream),
}

/// Sends the answer to a request with `method`. The bytes of its body are counted in `written` as they go.
///
/// On an error nothing more may be sent: the client recognises a body cut short by its length.
pub(super) async fn send(
    mut session: HttpSession,
    method: &Method,
    response: Response<Body>,
    stall: Duration,
    written: &mut u64,
) -> Result<After, Broken> {
    let (mut parts, body) = response.into_parts();
    let body = frame(method, parts.status, &mut parts.headers, body).ok_or(Broken::Response)?;
    parts.version = Version::HTTP_11;
    let length = body.len().or_else(|| declared(&parts.headers));
    let length = length.ok_or(Broken::Response)?;

    let head = Box::new(ResponseHeader::from(parts));
    match timeout(stall, session.write_response_header(head)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Broken::Client(std::io::Error::other(error))),
        Err(_) => return Err(Broken::Client(std::io::ErrorKind::TimedOut.into())),
    }

    // From here on the session is not needed: it knows whether the connection may live on, and gives it
    // back. The body is written past it, where progress can be watched.
    let mut after = if session.will_keepalive() {
        let reusable = session.reuse().await.ok().flatten();
        let (stream, ahead) = reusable.ok_or(Broken::Response)?.into_parts();
        After::Open(stream, ahead.unwrap_or_default())
    } else {
        After::Closing(session.into_inner())
    };
    let (After::Open(stream, _) | After::Closing(stream)) = &mut after;
    let mut wire = Wire::new(stream, length, stall, written);
    send::send(body, &mut wire).await?;
    Ok(after)
}

/// Makes `headers` say how long `body` is, and gives back what of it is to be sent: RFC 9110 sections 6.4.1,
/// 8.6 and 9.3.2. `None` when a length is needed and nobody knows it.
fn frame(method: &Method, status: StatusCode, headers: &mut HeaderMap, body: Body) -> Option<Body> {
    // The connection is the door's: what a handler copied from elsewhere must not speak for it.
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
        return Some(Body::Empty);
    }
    let bodiless = method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
    match body.len() {
        // What is said here is the length a GET would get, which only the handler knows.
        Some(0) | None if bodiless => {}
        Some(length) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            declared(headers)?;
        }
    }
    Some(if bodiless { Body::Empty } else { body })
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::*;
    use crate::server::testkit;

    /// The length stated and the length sent; `None` when it cannot be sent.
    fn framed(
        method: &Method,
        status: u16,
        stated: Option<&str>,
        body: Body,
    ) -> Option<(Option<String>, bool)> {
        let mut headers = HeaderMap::new();
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        if let Some(stated) = stated {
            headers.insert(CONTENT_LENGTH, stated.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let sent = !frame(method, status, &mut headers, body)?.is_empty();
        assert!(!headers.contains_key(TRANSFER_ENCODING));
        let stated = headers.get(CONTENT_LENGTH);
        Some((stated.map(|value| value.to_str().unwrap().to_owned()), sent))
    }

    fn bytes() -> Body {
        Body::Bytes(Bytes::from_static(b"abc"))
    }

    #[test]
    fn every_body_is_framed_by_its_length() {
        let say = |length: &str| Some(length.to_owned());
        let follow = || Body::Follow(testkit::follower(mpsc::channel(1).1));
        let (get, head) = (&Method::GET, &Method::HEAD);
        assert_eq!(framed(get, 200, None, bytes()), Some((say("3"), true)));
        assert_eq!(framed(get, 200, Some("9"), bytes()), Some((say("3"), true)));
        assert_eq!(framed(get, 200, None, Body::Empty), Some((say("0"), false)));
        assert_eq!(
            framed(get, 200, Some("7"), follow()),
            Some((say("7"), true))
        );
        assert_eq!(framed(get, 200, None, follow()), None);
        assert_eq!(
            framed(head, 200, Some("9"), Body::Empty),
            Some((say("9"), false))
        );
        assert_eq!(framed(head, 200, None, Body::Empty), Some((None, false)));
        assert_eq!(framed(head, 200, None, bytes()), Some((say("3"), false)));
        assert_eq!(
            framed(head, 200, Some("7"), follow()),
            Some((say("7"), false))
        );
        assert_eq!(framed(get, 304, None, Body::Empty), Some((None, false)));
        assert_eq!(framed(get, 204, Some("3"), bytes()), Some((None, false)));
    }
}
