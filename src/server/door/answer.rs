//! From a response to bytes: framing, the head, the body, and what is left of the connection.

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::v1::server::HttpSession;
use tokio::time::timeout;

use super::DoorLimits;
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
    limits: &DoorLimits,
    written: &mut u64,
) -> Result<After, Broken> {
    let (mut parts, body) = response.into_parts();
    let length = frame(method, parts.status, &mut parts.headers, body.len());
    let length = length.ok_or(Broken::Response)?;
    parts.version = Version::HTTP_11;
    let head = Box::new(ResponseHeader::from(parts));
    match timeout(limits.write_stall, session.write_response_header(head)).await {
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
    let mut unwanted = BytesMut::new();
    let (stream, ahead) = match &mut after {
        After::Open(stream, ahead) => (stream, ahead),
        After::Closing(stream) => (stream, &mut unwanted),
    };
    if length > 0 {
        let mut wire = Wire::new(stream, ahead, length, limits, written);
        send::send(body, &mut wire).await?;
    }
    Ok(after)
}

/// Makes `headers` say how long a body of `length` bytes is, and returns how many of them are to be sent: RFC
/// 9110 sections 6.4.1, 8.6 and 9.3.2. `None` when a length is needed and nobody knows it.
pub(super) fn frame(
    method: &Method,
    status: StatusCode,
    headers: &mut HeaderMap,
    length: Option<u64>,
) -> Option<u64> {
    // The connection is the door's: what a handler copied from elsewhere must not speak for it.
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
        return Some(0);
    }
    let bodiless = method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
    if bodiless && length.unwrap_or(0) == 0 {
        // What is stated here is the length a GET would get, which only the handler knows.
        return Some(0);
    }
    let length = length.or_else(|| stated(headers))?;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Some(if bodiless { 0 } else { length })
}

fn stated(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The length stated in the end, and the length sent.
    fn framed(
        method: &Method,
        status: u16,
        said: &str,
        length: Option<u64>,
    ) -> Option<(String, u64)> {
        let mut headers = HeaderMap::new();
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        if !said.is_empty() {
            headers.insert(CONTENT_LENGTH, said.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let sent = frame(method, status, &mut headers, length)?;
        assert!(!headers.contains_key(TRANSFER_ENCODING));
        let stated = headers.get(CONTENT_LENGTH);
        let stated = stated.map_or("", |value| value.to_str().unwrap());
        Some((stated.to_owned(), sent))
    }

    #[test]
    fn every_body_is_framed_by_its_length() {
        let (get, head) = (&Method::GET, &Method::HEAD);
        for (method, status, said, length, stated, sent) in [
            (get, 200, "", Some(3), "3", 3),
            (get, 200, "9", Some(3), "3", 3),
            (get, 200, "", Some(0), "0", 0),
            (get, 206, "7", None, "7", 7),
            (head, 200, "9", Some(0), "9", 0),
            (head, 200, "", Some(0), "", 0),
            (head, 200, "", Some(3), "3", 0),
            (head, 200, "7", None, "7", 0),
            (get, 304, "", Some(0), "", 0),
            (get, 204, "3", Some(3), "", 0),
        ] {
            let framed = framed(method, status, said, length);
            assert_eq!(
                framed,
                Some((stated.to_owned(), sent)),
                "{method} {status} {said}"
            );
        }
    }

    #[test]
    fn a_body_of_unknown_length_is_not_framed() {
        for said in ["", "many", "-1"] {
            assert_eq!(framed(&Method::GET, 200, said, None), None);
        }
    }
}
