//! A response together with how it came about.

use http::{Response, StatusCode};

use crate::mirror::{Outcome, Strayed, Who};
use crate::oci::ErrorCode;
use crate::server::Body;
use crate::server::errors;

/// A response and how it came about.
pub(super) struct Answered {
    pub(super) response: Response<Body>,
    pub(super) outcome: Outcome,
    /// Why there is no better answer: for the log, which the operator reads, as for the client.
    pub(super) error: Option<String>,
    /// Tells, when the answer has gone, whether its bytes went past the store.
    pub(super) strayed: Strayed,
}

impl Answered {
    pub(super) fn well(response: Response<Body>, outcome: Outcome) -> Self {
        Self {
            response,
            outcome,
            error: None,
            strayed: Strayed::default(),
        }
    }

    /// A refusal of ours, with the reason in words.
    pub(super) fn refused(code: ErrorCode, outcome: Outcome, reason: &str) -> Self {
        Self {
            response: errors::coded(code, reason),
            outcome,
            error: Some(reason.to_owned()),
            strayed: Strayed::default(),
        }
    }

    /// A refusal of what the client sent, whatever it asks for.
    pub(super) fn bad_request(reason: &str) -> Self {
        Self {
            response: errors::error(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, reason),
            ..Self::refused(ErrorCode::Unsupported, Outcome::Error(Who::Client), reason)
        }
    }

    /// The answer to who shows nothing that would do.
    pub(super) fn unauthorized(reason: &str) -> Self {
        Self::refused(ErrorCode::Unauthorized, Outcome::Denied, reason)
    }

    /// The answer to a method that is not served.
    pub(super) fn read_only() -> Self {
        Self {
            response: errors::read_only(),
            outcome: Outcome::Denied,
            error: Some(errors::READ_ONLY.to_owned()),
            strayed: Strayed::default(),
        }
    }

    /// The answer to more ranges than are served at once.
    pub(super) fn too_many_ranges() -> Self {
        Self {
            response: errors::too_many_ranges(),
            outcome: Outcome::Error(Who::Client),
            error: Some(errors::TOO_MANY_RANGES.to_owned()),
            strayed: Strayed::default(),
        }
    }

    /// The answer when the engine has none in time: what it does goes on for those who still wait.
    pub(super) fn too_late() -> Self {
        Self {
            response: errors::too_late(),
            outcome: Outcome::Error(Who::Upstream),
            error: Some(errors::TOO_LATE.to_owned()),
            strayed: Strayed::default(),
        }
    }
}
