//! What can go wrong between us and an upstream.
//!
//! One error type for the whole room. It is cheap to clone, because one failed fetch is told to
//! every client that waits for it, and it is safe to print: it never holds a credential, a token
//! or the query of a URL (which is where signed URLs keep their signature).
//!
//! Deliberately absent: what to do about an error. The kind says what was seen; whether to serve
//! a stale answer or to try again is decided by those who call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The part of an exchange in which a time-out ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Resolving the name, connecting, and the TLS handshake.
    Connect,
    /// From sending the request until the response headers are complete.
    Header,
    /// Between two pieces of a response body.
    Idle,
}

/// What was seen, without its circumstances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The upstream said 404. This is an answer, never an outage.
    NotFound {
        /// The first error code of the body (`MANIFEST_UNKNOWN`, `NAME_UNKNOWN`), if there was one.
        code: Option<String>,
    },
    /// The upstream said 401 and nothing we may send changes that.
    Unauthorized,
    /// The upstream said 403.
    Denied,
    /// The upstream said 429.
    TooManyRequests {
        /// How long it asks us to stay away (RFC 9110 section 10.2.3), at most one hour.
        retry_after: Option<Duration>,
    },
    /// The upstream said 416, and rightly: no byte of the content lies in the range asked for. This is an
    /// answer too.
    Unsatisfiable {
        /// The size of the content in bytes.
        size: u64,
    },
    /// Another status than the request allows, 5xx among them.
    Status(u16),
    /// The name has no address, or no name server answered.
    Resolve,
    /// No connection: refused, unreachable, reset.
    Connect,
    /// The TLS handshake failed: most often a certificate that is not trusted.
    Tls,
    /// A time-out ran out.
    Timeout(Phase),
    /// The connection ended before the response did.
    Cut,
    /// The answer makes no sense for a registry: HTML for a manifest, a redirect to nowhere, a
    /// body beyond its limit.
    Protocol,
    /// Our own policy forbids the next step: a token realm or a redirect that is not allowed.
    Refused,
    /// The mirror's own account cannot be shown: the helper that knows it failed.
    Credentials,
    /// It failed again and again just now, and was not asked this time.
    AssumedOffline {
        /// When it is asked again.
        retry_after: Duration,
    },
    /// The mirror works offline; no upstream was asked.
    Offline,
}

impl ErrorKind {
    /// One word for logs and metrics, from a closed set.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Unauthorized => "unauthorized",
            Self::Denied => "denied",
            Self::TooManyRequests { .. } => "too-many-requests",
            Self::Unsatisfiable { .. } => "unsatisfiable",
            Self::Status(_) => "status",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout(Phase::Connect) => "timeout-connect",
            Self::Timeout(Phase::Header) => "timeout-header",
            Self::Timeout(Phase::Idle) => "timeout-idle",
            Self::Cut => "cut",
            Self::Protocol => "protocol",
            Self::Refused => "refused",
            Self::Credentials => "credentials",
            Self::AssumedOffline { .. } => "assumed-offline",
            Self::Offline => "offline",
        }
    }

    /// Whether the upstream is out of reach or out of order, so that a stale answer is better
    /// than none. 401, 403, 404 and a right 416 are answers and not outages; a refusal by our own
    /// policy is neither. Nonsense counts as an outage: it is what a captive portal or a broken gateway
    /// says in the upstream's place.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::Unauthorized
            | Self::Denied
            | Self::Unsatisfiable { .. }
            | Self::Refused => false,
            // 408 is a time-out of the upstream's own (RFC 9110 section 15.5.9).
            Self::Status(status) => *status >= 500 || *status == 408,
            Self::TooManyRequests { .. }
            | Self::Resolve
            | Self::Connect
            | Self::Tls
            | Self::Timeout(_)
            | Self::Cut
            | Self::Protocol
            | Self::Credentials
            | Self::AssumedOffline { .. }
            | Self::Offline => true,
        }
    }

    /// Whether the same request may well succeed a moment later (after
    /// [`retry_after`](ErrorKind::TooManyRequests), where there is one).
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TooManyRequests { .. }
            | Self::AssumedOffline { .. }
            | Self::Credentials
            | Self::Resolve
            | Self::Connect
            | Self::Timeout(_)
            | Self::Cut => true,
            Self::Status(status) => matches!(status, 408 | 500 | 502 | 503 | 504),
            Self::NotFound { .. }
            | Self::Unauthorized
            | Self::Denied
            | Self::Unsatisfiable { .. }
            | Self::Tls
            | Self::Protocol
            | Self::Refused
            | Self::Offline => false,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { code: Some(code) } => write!(f, "not found ({code})"),
            Self::NotFound { code: None } => f.write_str("not found"),
            Self::Unauthorized => f.write_str("not authorized"),
            Self::Denied => f.write_str("access denied"),
            Self::TooManyRequests { retry_after: None } => f.write_str("too many requests"),
            Self::TooManyRequests {
                retry_after: Some(wait),
            } => write!(f, "too many requests (retry after {} s)", wait.as_secs()),
            Self::Unsatisfiable { size } => {
                write!(
                    f,
                    "no byte in the range asked for (the content has {size} bytes)"
                )
            }
            Self::Status(status) => write!(f, "unexpected status {status}"),
            Self::Resolve => f.write_str("name not resolved"),
            Self::Connect => f.write_str("connection failed"),
            Self::Tls => f.write_str("TLS handshake failed"),
            Self::Timeout(Phase::Connect) => f.write_str("time-out while connecting"),
            Self::Timeout(Phase::Header) => f.write_str("time-out waiting for response headers"),
            Self::Timeout(Phase::Idle) => f.write_str("time-out within a response body"),
            Self::Cut => f.write_str("connection ended before the response did"),
            Self::Protocol => f.write_str("not an answer of a registry"),
            Self::Refused => f.write_str("refused by the mirror's own policy"),
            Self::Credentials => f.write_str("the mirror's own account cannot be shown"),
            Self::AssumedOffline { retry_after } => write!(
                f,
                "assumed to be out after its last failures (asked again in {} s)",
                retry_after.as_secs() + 1
            ),
            Self::Offline => f.write_str("the mirror is offline"),
        }
    }
}

/// A failed call to an upstream: what was seen, where, and why as far as known.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct UpstreamError(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    place: String,
    cause: Option<String>,
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl UpstreamError {
    /// An error of `kind`. `place` says where it happened (`docker.io: GET
    /// registry-1.docker.io/v2/library/alpine/manifests/3`) and must hold no secret: no
    /// credential, no token, no query of a URL.
    pub fn new(kind: ErrorKind, place: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            place: place.into(),
            cause: None,
        }))
    }

    /// The same with a cause in words. The rule about secrets holds here too.
    pub(super) fn because(kind: ErrorKind, place: &str, cause: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            place: place.to_owned(),
            cause: Some(cause.into()),
        }))
    }

    /// What was seen.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// See [`ErrorKind::is_outage`].
    pub fn is_outage(&self) -> bool {
        self.kind().is_outage()
    }

    /// See [`ErrorKind::is_retryable`].
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    /// See [`ErrorKind::word`].
    pub fn word(&self) -> &'static str {
        self.kind().word()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_not_outages() {
        for kind in [
            ErrorKind::NotFound { code: None },
            ErrorKind::Unauthorized,
            ErrorKind::Denied,
            ErrorKind::Unsatisfiable { size: 4 },
            ErrorKind::Refused,
            ErrorKind::Status(400),
            ErrorKind::Status(416),
        ] {
            assert!(!kind.is_outage(), "{kind}");
            assert!(!kind.is_retryable(), "{kind}");
        }
    }

    #[test]
    fn outages_are_outages() {
        let retry_after = Duration::from_secs(1);
        for kind in [
            ErrorKind::AssumedOffline { retry_after },
            ErrorKind::TooManyRequests { retry_after: None },
            ErrorKind::Status(500),
            ErrorKind::Status(503),
            ErrorKind::Status(408),
            ErrorKind::Resolve,
            ErrorKind::Connect,
            ErrorKind::Tls,
            ErrorKind::Timeout(Phase::Header),
            ErrorKind::Cut,
            ErrorKind::Protocol,
            ErrorKind::Credentials,
            ErrorKind::Offline,
        ] {
            assert!(kind.is_outage(), "{kind}");
        }
    }

    #[test]
    fn an_error_tells_its_circumstances_and_kind() {
        let error = UpstreamError::new(ErrorKind::Cut, "ghcr.io: GET ghcr.io/v2/a/blobs/b");
        assert_eq!(
            error.to_string(),
            "ghcr.io: GET ghcr.io/v2/a/blobs/b: connection ended before the response did"
        );
        assert_eq!(error.clone().word(), "cut");
        let error = UpstreamError::because(ErrorKind::Connect, "a: GET b/", "refused");
        assert_eq!(error.to_string(), "a: GET b/: connection failed (refused)");
    }
}
