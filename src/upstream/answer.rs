//! An answer whose headers are there and whose body is still to be read, piece by piece, with a
//! bound on each wait and on the whole where a whole is kept.

use std::str::FromStr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::HeaderName;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use prometheus::IntCounter;
use tokio::time::timeout;
use url::Url;

use super::fault;
use super::{ErrorKind, Phase, UpstreamError};

/// One answer of the wire.
#[derive(Debug)]
pub(super) struct Answer {
    response: reqwest::Response,
    place: String,
    idle: Duration,
    received: IntCounter,
}

impl Answer {
    pub(super) fn new(
        response: reqwest::Response,
        place: String,
        idle: Duration,
        received: IntCounter,
    ) -> Self {
        Self {
            response,
            place,
            idle,
            received,
        }
    }

    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Where it came from, with the query: not for printing.
    pub(super) fn url(&self) -> &Url {
        self.response.url()
    }

    /// Where it came from, for people.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The first value of a header, if it is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Every value of a header that is text.
    pub(super) fn headers(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        let values = self.response.headers().get_all(name).iter();
        values.filter_map(|value| value.to_str().ok())
    }

    /// The first value of a header, if it is there and well formed.
    pub(super) fn parsed<T: FromStr>(&self, name: &HeaderName) -> Option<T> {
        self.header(name)?.trim().parse().ok()
    }

    /// The length announced for the body, for a HEAD the length that a GET would have.
    pub(super) fn length(&self) -> Option<u64> {
        self.parsed(&CONTENT_LENGTH)
    }

    /// Whether a page for people came: a captive portal, a gateway, the wrong host.
    pub(super) fn is_html(&self) -> bool {
        self.header(&CONTENT_TYPE).is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("text/html")
        })
    }

    /// Whether the body is a coding of the content, and not its own bytes (RFC 9110 section 8.4).
    pub(super) fn is_encoded(&self) -> bool {
        let values = self.response.headers().get_all(CONTENT_ENCODING);
        let is_plain = |coding: &[u8]| {
            let coding = coding.trim_ascii();
            coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
        };
        !(values.iter())
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .all(is_plain)
    }

    /// An error that happened here.
    pub(super) fn error(&self, kind: ErrorKind, cause: impl Into<String>) -> UpstreamError {
        UpstreamError::because(kind, &self.place, cause)
    }

    /// The whole body, if it has at most `limit` bytes.
    pub(super) async fn bytes(mut self, limit: usize) -> Result<Bytes, UpstreamError> {
        let announced = self.length().unwrap_or_default();
        let mut whole = BytesMut::new();
        if announced <= limit as u64 {
            while let Some(piece) = self.chunk().await? {
                if piece.len() > limit - whole.len() {
                    return Err(self.too_large(limit));
                }
                whole.extend_from_slice(&piece);
            }
            Ok(whole.freeze())
        } else {
            Err(self.too_large(limit))
        }
    }

    /// The whole of a short body that says something about the exchange, such as a token or an error: all of it
    /// within one idle time-out, for whoever waits for it waits for a first byte.
    pub(super) async fn note(self, limit: usize) -> Result<Bytes, UpstreamError> {
        let late = UpstreamError::new(ErrorKind::Timeout(Phase::Idle), &*self.place);
        timeout(self.idle, self.bytes(limit))
            .await
            .unwrap_or(Err(late))
    }

    /// The body as it comes, held to its `length` in bytes where one is known. It ends after an error; no byte
    /// beyond the length is given out.
    pub(super) fn stream(
        self,
        length: Option<u64>,
    ) -> BoxStream<'static, Result<Bytes, UpstreamError>> {
        stream::try_unfold((self, length), |(mut answer, left)| async move {
            let Some(piece) = answer.chunk().await? else {
                return match left {
                    Some(left @ 1..) => {
                        Err(answer.error(ErrorKind::Cut, format!("{left} bytes short")))
                    }
                    _ => Ok(None),
                };
            };
            let left = match left.map(|left| left.checked_sub(piece.len() as u64)) {
                Some(None) => {
                    let cause = "the body has more bytes than announced";
                    return Err(answer.error(ErrorKind::Protocol, cause));
                }
                left => left.flatten(),
            };
            Ok(Some((piece, (answer, left))))
        })
        .boxed()
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        match timeout(self.idle, self.response.chunk()).await {
            Ok(Ok(piece)) => {
                let length = piece.as_ref().map_or(0, Bytes::len);
                self.received.inc_by(length as u64);
                Ok(piece)
            }
            Ok(Err(error)) => Err(self.error(ErrorKind::Cut, fault::cause(&error))),
            Err(_) => Err(UpstreamError::new(
                ErrorKind::Timeout(Phase::Idle),
                &*self.place,
            )),
        }
    }

    fn too_large(&self, limit: usize) -> UpstreamError {
        let cause = format!("the body has more than {limit} bytes");
        self.error(ErrorKind::Protocol, cause)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;

    use tokio::time::{Instant, sleep};

    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    /// A body of one byte in each 29 seconds, for ever.
    fn trickle() -> Answer {
        let bytes = stream::unfold((), |()| async {
            sleep(Duration::from_secs(29)).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"x")), ()))
        });
        let response = http::Response::new(reqwest::Body::wrap_stream(bytes));
        let received = IntCounter::new("received", "Bytes.").unwrap();
        Answer::new(response.into(), "here".to_owned(), IDLE, received)
    }

    #[tokio::test(start_paused = true)]
    async fn a_note_that_trickles_in_is_given_up() {
        let began = Instant::now();
        let error = trickle().note(1000).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Timeout(Phase::Idle));
        assert_eq!(began.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_in_is_taken() {
        let mut pieces = trickle().stream(None);
        for _ in 0..10 {
            assert_eq!(pieces.next().await.unwrap().unwrap(), "x");
        }
    }
}
