//! The seam between the doors and everything behind them, in plain `http` types.

use std::fmt;
use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::Body;
use crate::mirror::Who;

/// Answers requests. One value serves all connections of its listeners at once.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// What the handler wants to have back when the answer has gone: what to log, what to count.
    type Ticket: Send;

    /// Answers one request. Never fails: an error is an answer too.
    ///
    /// The request target is in the form the client sent, percent-encoded bytes and dot segments
    /// untouched; of an absolute form only the path and the query are left, and its authority is equal to
    /// `Host`. The client's address is the [`Peer`] in the extensions, and whether its connection is encrypted
    /// says the [`Scheme`](http::uri::Scheme) there. The request body, if there was one, is gone, or is the
    /// [`RequestBody`] in the extensions where it was [wanted](Handler::wants_body).
    ///
    /// The response states the `Content-Length` of a [`Body::Follow`], and of what a HEAD asked for; for
    /// other bodies the door adds it. `Date` and `Connection` are the door's.
    async fn handle(&self, request: Request<()>) -> (Response<Body>, Self::Ticket);

    /// Whether the body of this request is wanted. Of others it is thrown away. One that is too long or does not come
    /// in time is not there, and its connection ends with the answer.
    fn wants_body(&self, _: &Request<()>) -> bool {
        false
    }

    /// Tells what became of an answer: called exactly once for each [`Handler::handle`] that returned,
    /// also when the client left or the connection was cut. Called on the connection's task: must not block.
    fn sent(&self, ticket: Self::Ticket, sent: Sent);

    /// The answer to a connection or a request that never reaches [`Handler::handle`]. Mostly the connection is
    /// closed after it.
    fn refuse(&self, refusal: Refusal, peer: Option<Peer>) -> Response<Body>;

    /// Tells that a connection has come; [`Handler::closed`] tells of its end, exactly once. Must not block.
    fn opened(&self) {}

    /// Tells that a connection has gone. Must not block.
    fn closed(&self) {}
}

/// How far an answer got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The status of the answer.
    pub status: StatusCode,
    /// Bytes of the body handed to the connection; 0 for a HEAD.
    pub bytes: u64,
    /// How it ended.
    pub end: End,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The whole answer was handed to the connection. The client may still have left before reading it: no
    /// server can know that.
    Whole,
    /// The client left or took nothing for too long, or the connection was cut when the process ended.
    Left,
    /// The body broke on our side: the fill failed, or content could not be read.
    Broken(Fault),
}

/// Whose fault it is that a body broke, and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Who is to blame.
    pub who: Who,
    /// In words, for the operator.
    pub reason: String,
}

impl End {
    /// One word for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Left => "left",
            Self::Broken(_) => "broken",
        }
    }
}

/// Why a door turns a client away before there is a request to handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not HTTP, or HTTP whose framing or authority is ambiguous (RFC 9112 sections 3.2 and 6.3).
    Malformed,
    /// A TLS handshake: the client takes this plain port for an encrypted one.
    Tls,
    /// The head was not complete in time.
    HeadTooSlow,
    /// The request line is longer than the door accepts.
    TargetTooLong,
    /// The head has more bytes or more fields than the door accepts.
    HeadTooLarge,
    /// The head has more bytes than the door accepts, and most of them ask for ranges.
    TooManyRanges,
    /// All seats are taken.
    Crowded,
    /// All seats are taken that one client may have.
    CrowdedByOne,
    /// The client is in no network that is served.
    NotAllowed,
    /// The client is no user of the mirror, or has not said which one. This one leaves the connection open.
    Unauthorized,
}

impl Refusal {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Tls,
        Self::HeadTooSlow,
        Self::TargetTooLong,
        Self::HeadTooLarge,
        Self::TooManyRanges,
        Self::Crowded,
        Self::CrowdedByOne,
        Self::NotAllowed,
        Self::Unauthorized,
    ];

    /// The word used as a metric's label: a closed set.
    pub fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Tls => "tls",
            Self::HeadTooSlow => "head-too-slow",
            Self::TargetTooLong => "target-too-long",
            Self::HeadTooLarge => "head-too-large",
            Self::TooManyRanges => "too-many-ranges",
            Self::Crowded => "crowded",
            Self::CrowdedByOne => "crowded-by-one",
            Self::NotAllowed => "not-allowed",
            Self::Unauthorized => "unauthorized",
        }
    }

    /// Why, in words for the client and for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "not a request in HTTP/1.1",
            Self::Tls => {
                "TLS on a port that speaks plain HTTP: tell the client so (http://, or insecure)"
            }
            Self::HeadTooSlow => "the request's head took too long",
            Self::TargetTooLong => "the request's target is too long",
            Self::HeadTooLarge => "the request's head is too large",
            Self::TooManyRanges => "more ranges than fit into the head of a request",
            Self::Crowded => "too many connections at once",
            Self::CrowdedByOne => "too many connections at once from your address",
            Self::NotAllowed => "this mirror does not serve your network",
            Self::Unauthorized => {
                "this mirror serves its users only: name and password are missing or wrong"
            }
        }
    }

    /// The status that says so (RFC 9110 section 15, RFC 6585 section 5).
    pub fn status(self) -> StatusCode {
        match self {
            // Too many ranges: on this status clients ask for fewer, on any other they give up.
            Self::Malformed | Self::Tls | Self::TooManyRanges => StatusCode::BAD_REQUEST,
            Self::HeadTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Self::CrowdedByOne => StatusCode::TOO_MANY_REQUESTS,
            Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
        }
    }
}

/// The whole body of a request, in its extensions; at most 64 KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestBody(pub Bytes);

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may be a form with a password.
        write!(f, "RequestBody({} bytes)", self.0.len())
    }
}

/// The client's address, in a request's extensions. Absent when the connection has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);
