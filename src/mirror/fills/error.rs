//! Why a fill ends without content.

use crate::mirror::Who;
use crate::oci::Mismatch;
use crate::store::StoreError;
use crate::upstream::UpstreamError;

/// Why a fill ended without content. Clonable: it reaches every follower.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FillError {
    /// Upstream could not give the bytes.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Upstream's bytes do not have the digest they were asked by.
    #[error("upstream sent wrong bytes: {0}")]
    Mismatch(#[from] Mismatch),
    /// Our disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Upstream sent more or fewer bytes than it announced.
    #[error("upstream announced {announced} bytes and sent {sent}")]
    Length {
        /// The size announced, in bytes.
        announced: u64,
        /// What came, in bytes.
        sent: u64,
    },
    /// Upstream tells another size than before: what is here is of something else.
    #[error("upstream announced {before} bytes before, and now {now}")]
    SizeChanged {
        /// The size announced first, in bytes.
        before: u64,
        /// The size announced now, in bytes.
        now: u64,
    },
    /// The fetch was dropped again and again.
    #[error("the download was abandoned")]
    Abandoned,
}

impl FillError {
    /// Who is to blame.
    pub fn blame(&self) -> Who {
        match self {
            Self::Upstream(_)
            | Self::Mismatch(_)
            | Self::Length { .. }
            | Self::SizeChanged { .. } => Who::Upstream,
            Self::Store(_) => Who::Store,
            Self::Abandoned => Who::Mirror,
        }
    }

    /// Whether the bytes that came so far are worth nothing: they, or the size, are wrong.
    pub(super) fn spoils(&self) -> bool {
        matches!(
            self,
            Self::Mismatch(_) | Self::Length { .. } | Self::SizeChanged { .. }
        )
    }
}
