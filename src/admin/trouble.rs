//! Why a request has no better answer: a status and a sentence.

use http::StatusCode;

use super::guard::TurnedAway;
use crate::mirror::{KeepingError, MirrorError, Outcome, Who};
use crate::store::StoreErrorKind;

/// Why a request has no better answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    pub(super) reason: String,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { status, reason }
    }

    /// The request says something that has no meaning.
    pub(super) fn wrong(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// A thread was lost on the way: a fault of this program.
    pub(super) fn lost() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer was lost")
    }
}

impl From<TurnedAway> for Trouble {
    fn from(why: TurnedAway) -> Self {
        let status = match why {
            TurnedAway::NoToken | TurnedAway::WrongToken => StatusCode::UNAUTHORIZED,
            _ => StatusCode::FORBIDDEN,
        };
        Self::new(status, why.to_string())
    }
}

impl From<KeepingError> for Trouble {
    fn from(error: KeepingError) -> Self {
        let status = match &error {
            KeepingError::Kept(..) => StatusCode::CONFLICT,
            KeepingError::NotHere(_) => StatusCode::NOT_FOUND,
            KeepingError::Store(error) if error.kind() == StoreErrorKind::Unready => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            KeepingError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            KeepingError::Mirror(error) => of_mirror(error),
        };
        Self::new(status, error.to_string())
    }
}

fn of_mirror(error: &MirrorError) -> StatusCode {
    match error.outcome() {
        Outcome::Error(Who::Client) => StatusCode::BAD_REQUEST,
        Outcome::Error(Who::Store | Who::Mirror) => StatusCode::INTERNAL_SERVER_ERROR,
        Outcome::Negative => StatusCode::NOT_FOUND,
        // Upstream's trouble: its refusal of us too, for it says nothing about who asks here.
        _ => StatusCode::BAD_GATEWAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;
    use crate::store::StoreError;
    use crate::upstream::{ErrorKind, UpstreamError};

    #[test]
    fn a_status_tells_whose_trouble_it_is() {
        let upstream = |kind| {
            let error = MirrorError::from(UpstreamError::new(kind, "u"));
            Trouble::from(KeepingError::Mirror(error)).status.as_u16()
        };
        assert_eq!(upstream(ErrorKind::NotFound { code: None }), 404);
        assert_eq!(upstream(ErrorKind::Connect), 502);
        assert_eq!(upstream(ErrorKind::Denied), 502);
        let undeclared = KeepingError::Mirror(MirrorError::UnknownUpstream("x".into()));
        assert_eq!(Trouble::from(undeclared).status.as_u16(), 400);
        let kept = KeepingError::Kept(Digest::sha256_of(b""), "pinned");
        assert_eq!(Trouble::from(kept).status.as_u16(), 409);
        let reason = "not listed yet";
        let unready = StoreError::new(StoreErrorKind::Unready, "collect", "garbage", reason);
        assert_eq!(
            Trouble::from(KeepingError::Store(unready)).status.as_u16(),
            503
        );
        assert_eq!(Trouble::from(TurnedAway::NotHere).status.as_u16(), 403);
        assert_eq!(Trouble::from(TurnedAway::NoToken).status.as_u16(), 401);
    }
}
