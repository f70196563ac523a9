//! Errors as responses: typed below, turned into a status and a body here and nowhere else.
//!
//! The rule (decided by what clients do next): 404 only when upstream said so, or when there is no upstream to
//! ask; an outage is 502, 503 or 504; 401, 403 and 416 as upstream said.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::Body;
use super::answers::insert;
use crate::mirror::{FillError, MirrorError};
use crate::oci::{ContentRange, ErrorCode};
use crate::upstream::{ErrorKind, UpstreamError};

/// Why a write is refused.
pub(super) const READ_ONLY: &str = "this mirror is read-only: GET and HEAD only";
/// Why ranges are refused.
pub(super) const TOO_MANY_RANGES: &str = "more ranges than are served in one request";
/// Why there is no answer.
pub(super) const TOO_LATE: &str = "upstream has not answered in time";

/// What clients are told when upstream says that there were too many requests, and nothing is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimited {
    /// 503: it sends clients to their next endpoint at once, where they have one.
    Unavailable,
    /// 429, for clients that have none: they wait. Some repeat it at once instead.
    TooManyRequests,
}

/// What kind of object was asked for: its 404 has a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Manifest,
    Blob,
    Listing,
    Referrers,
}

impl Asked {
    fn unknown(self) -> ErrorCode {
        match self {
            Self::Manifest | Self::Referrers => ErrorCode::ManifestUnknown,
            Self::Blob => ErrorCode::BlobUnknown,
            Self::Listing => ErrorCode::NameUnknown,
        }
    }

    /// The code of upstream's 404, which may have told one of its own.
    ///
    /// Of referrers never that the name is unknown: with any other code clients look for the fallback tag instead.
    fn absent(self, told: Option<&str>) -> ErrorCode {
        let unknown_name = told == Some(ErrorCode::NameUnknown.as_str());
        match self {
            Self::Manifest | Self::Blob if unknown_name => ErrorCode::NameUnknown,
            _ => self.unknown(),
        }
    }
}

/// A response with the protocol's error document (OCI distribution spec, "Error Codes").
pub(super) fn error(status: StatusCode, code: ErrorCode, message: &str) -> Response<Body> {
    let bytes = Bytes::from(code.body(message));
    let length = bytes.len().into();
    let mut response = Response::new(Body::Bytes(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length);
    response
}

/// The error document under the code's own status.
pub(super) fn coded(code: ErrorCode, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    error(status, code, message)
}

/// The answer to a method that is not served.
pub(super) fn read_only() -> Response<Body> {
    let mut response = coded(ErrorCode::Unsupported, READ_ONLY);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// The answer when more ranges are asked for than are served at once: not 416 or 431, which clients take for final,
/// while on 400 they ask for fewer.
pub(super) fn too_many_ranges() -> Response<Body> {
    error(
        StatusCode::BAD_REQUEST,
        ErrorCode::RangeInvalid,
        TOO_MANY_RANGES,
    )
}

/// The answer when no byte of the blob lies in the ranges asked for (RFC 9110 section 15.5.17).
pub(super) fn unsatisfiable(size: u64) -> Response<Body> {
    let message = format!("of the {size} bytes, none lies in the range");
    let mut response = coded(ErrorCode::RangeInvalid, &message);
    let told = HeaderValue::from_str(&ContentRange::unsatisfied(size));
    if let Ok(told) = told {
        response.headers_mut().insert(CONTENT_RANGE, told);
    }
    response
}

/// The answer when the engine has none in time.
pub(super) fn too_late() -> Response<Body> {
    error(
        StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Unavailable,
        TOO_LATE,
    )
}

/// The answer when the engine has none.
pub(super) fn of_mirror(
    why: &MirrorError,
    asked: Asked,
    rate_limited: RateLimited,
) -> Response<Body> {
    let message = why.to_string();
    match why {
        MirrorError::UnknownUpstream(_) => coded(ErrorCode::NameUnknown, &message),
        MirrorError::Forbidden(..) => coded(ErrorCode::Denied, &message),
        MirrorError::Unverifiable(_) => coded(ErrorCode::DigestInvalid, &message),
        MirrorError::Fill(FillError::Upstream(error)) => of_upstream(error, asked, rate_limited),
        MirrorError::NotAManifest(..)
        | MirrorError::TooLarge(..)
        | MirrorError::Fill(
            FillError::Mismatch(_) | FillError::Length { .. } | FillError::SizeChanged { .. },
        ) => error(StatusCode::BAD_GATEWAY, ErrorCode::Unavailable, &message),
        MirrorError::Quarantined(_, wait) => {
            let mut response = error(StatusCode::BAD_GATEWAY, ErrorCode::Unavailable, &message);
            let seconds = wait.as_secs() + 1;
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            response
        }
        // The log has the details: where things lie on our disk is nothing to tell clients.
        MirrorError::Fill(FillError::Store(_)) => {
            coded(ErrorCode::Unavailable, "the mirror's store failed")
        }
        MirrorError::Fill(FillError::Abandoned) | MirrorError::Abandoned => {
            coded(ErrorCode::Unavailable, &message)
        }
    }
}

fn of_upstream(why: &UpstreamError, asked: Asked, rate_limited: RateLimited) -> Response<Body> {
    let message = why.to_string();
    let unavailable = |status| error(status, ErrorCode::Unavailable, &message);
    match why.kind() {
        ErrorKind::NotFound { code } => coded(asked.absent(code.as_deref()), &message),
        ErrorKind::AssumedOffline { retry_after } => {
            let mut response = unavailable(StatusCode::SERVICE_UNAVAILABLE);
            let seconds = retry_after.as_secs() + 1;
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            response
        }
        ErrorKind::Offline => {
            let message = "it is not here, or nothing here shows that this repository has it, and the mirror is offline";
            coded(asked.unknown(), message)
        }
        ErrorKind::Unauthorized => coded(ErrorCode::Unauthorized, &message),
        ErrorKind::Denied => coded(ErrorCode::Denied, &message),
        ErrorKind::Unsatisfiable { size } => {
            let mut response = coded(ErrorCode::RangeInvalid, &message);
            let whole = ContentRange::unsatisfied(*size);
            insert(response.headers_mut(), CONTENT_RANGE, &whole);
            response
        }
        ErrorKind::TooManyRequests { retry_after } => {
            let mut response = match rate_limited {
                RateLimited::Unavailable => unavailable(StatusCode::SERVICE_UNAVAILABLE),
                RateLimited::TooManyRequests => coded(ErrorCode::TooManyRequests, &message),
            };
            let whole = |wait: Duration| wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let seconds = retry_after.map_or(60, whole);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            response
        }
        ErrorKind::Timeout(_) => unavailable(StatusCode::GATEWAY_TIMEOUT),
        ErrorKind::Status(_)
        | ErrorKind::Resolve
        | ErrorKind::Connect
        | ErrorKind::Tls
        | ErrorKind::Cut
        | ErrorKind::Protocol
        | ErrorKind::Credentials
        | ErrorKind::Refused => unavailable(StatusCode::BAD_GATEWAY),
    }
}

#[cfg(test)]
mod tests;
