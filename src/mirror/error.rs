//! Why the engine has no answer. Typed here, turned into a response in one table at the edge.

use std::sync::Arc;
use std::time::Duration;

use super::{FillError, Outcome, Who};
use crate::oci::{Digest, ManifestError, Repository};
use crate::store::StoreError;
use crate::upstream::{ErrorKind, UpstreamError};

/// Why the engine has no answer. Clonable: it reaches everyone who waits.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MirrorError {
    /// No upstream of this name is declared.
    #[error("no upstream named {0} is declared")]
    UnknownUpstream(Arc<str>),
    /// The operator does not let this repository of this upstream be pulled.
    #[error("{0}: {1} may not be pulled through this mirror")]
    Forbidden(Arc<str>, Repository),
    /// The digest's algorithm is not one we can verify.
    #[error("{0}: digests of this algorithm cannot be verified")]
    Unverifiable(Digest),
    /// What upstream serves as a manifest is none.
    #[error("{0} is not a manifest: {1}")]
    NotAManifest(Digest, Arc<ManifestError>),
    /// What upstream serves as a manifest has too many bytes: their number.
    #[error("{0} is not a manifest: it has {1} bytes")]
    TooLarge(Digest, u64),
    /// Upstream sent wrong bytes for it again and again; it will not be asked for this long.
    #[error("upstream sent wrong bytes for {0} again and again; it is asked anew in {seconds} s", seconds = .1.as_secs() + 1)]
    Quarantined(Digest, Duration),
    /// The fill ended without content.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// The question to upstream was dropped.
    #[error("the question to upstream was abandoned")]
    Abandoned,
}

impl From<UpstreamError> for MirrorError {
    fn from(error: UpstreamError) -> Self {
        Self::Fill(FillError::Upstream(error))
    }
}

impl From<StoreError> for MirrorError {
    fn from(error: StoreError) -> Self {
        Self::Fill(FillError::Store(error))
    }
}

impl MirrorError {
    /// Upstream's own error, where that is the reason.
    pub fn upstream(&self) -> Option<&UpstreamError> {
        match self {
            Self::Fill(FillError::Upstream(error)) => Some(error),
            _ => None,
        }
    }

    /// The word for an outage, if it is one: upstream cannot be asked, or what answers in its place makes no sense.
    /// An outage says nothing about what upstream has.
    pub fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Fill(FillError::Upstream(error)) => error.is_outage().then(|| error.word()),
            Self::Fill(
                FillError::Mismatch(_) | FillError::Length { .. } | FillError::SizeChanged { .. },
            )
            | Self::NotAManifest(..)
            | Self::Quarantined(..)
            | Self::TooLarge(..) => Some("nonsense"),
            Self::Fill(FillError::Store(_) | FillError::Abandoned)
            | Self::UnknownUpstream(_)
            | Self::Forbidden(..)
            | Self::Unverifiable(_)
            | Self::Abandoned => None,
        }
    }

    /// The outcome of a request that ends in this error.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::UnknownUpstream(_) | Self::Unverifiable(_) => Outcome::Error(Who::Client),
            Self::Forbidden(..) => Outcome::Denied,
            Self::Abandoned => Outcome::Error(Who::Mirror),
            Self::NotAManifest(..) | Self::TooLarge(..) | Self::Quarantined(..) => {
                Outcome::Error(Who::Upstream)
            }
            Self::Fill(FillError::Upstream(error)) => match error.kind() {
                ErrorKind::NotFound { .. }
                | ErrorKind::Unsatisfiable { .. }
                | ErrorKind::Offline => Outcome::Negative,
                ErrorKind::Unauthorized | ErrorKind::Denied => Outcome::Denied,
                _ => Outcome::Error(Who::Upstream),
            },
            Self::Fill(error) => Outcome::Error(error.blame()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_upstream_says_does_not_exist_is_negative_and_no_outage() {
        for kind in [
            ErrorKind::NotFound { code: None },
            ErrorKind::Unsatisfiable { size: 4 },
        ] {
            let error = MirrorError::from(UpstreamError::new(kind, "u"));
            assert_eq!(error.outcome(), Outcome::Negative, "{error}");
            assert_eq!(error.outage(), None, "{error}");
        }
    }
}
