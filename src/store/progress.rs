//! How far a fill got: what is kept beside its bytes, so that it can be taken up again.

use super::{Link, Partial, StoreError, StoreErrorKind};
use crate::oci::{ByteRange, Digest, RangeSet};

/// How far a fill got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is filled, and under whose right it was asked for.
    pub link: Link,
    /// The size of the whole in bytes.
    pub size: u64,
    /// The bytes that are here. Unverified: only the digest of all of them tells whether they are right.
    pub present: RangeSet,
    /// Whether somebody wanted all of it.
    pub wanted: bool,
}

/// The file of a fill, as [`Contents::begin`](super::Contents::begin) gives it.
pub struct Begun {
    /// The file: empty, or with the bytes of `progress`.
    pub partial: Box<dyn Partial>,
    /// What an earlier fill of the digest left in it.
    pub progress: Option<Progress>,
}

/// A fill that stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// How far it got.
    pub progress: Progress,
    /// How many bytes of it are here.
    pub bytes: u64,
    /// When it was last remembered: seconds since the Unix epoch.
    pub touched: u64,
}

impl Unfinished {
    pub(super) fn new(progress: Progress, touched: u64) -> Self {
        Self {
            bytes: progress.present.len(),
            progress,
            touched,
        }
    }
}

/// What of `present` can be in a file of `length` bytes.
pub(super) fn clipped(present: &RangeSet, length: u64) -> RangeSet {
    present
        .iter()
        .map(|run| ByteRange::new(run.start, run.end.min(length)))
        .collect()
}

/// The check every checkpoint begins with: the progress is of this digest, and within its own size.
pub(super) fn check_progress(progress: &Progress, digest: &Digest) -> Result<(), StoreError> {
    let end = progress.present.iter().last().map_or(0, |run| run.end);
    let reason = if progress.link.digest != *digest {
        format!("the progress is of {}", progress.link.digest)
    } else if end > progress.size {
        format!("byte {end} is present of {}", progress.size)
    } else {
        return Ok(());
    };
    Err(StoreError::new(
        StoreErrorKind::Misuse,
        "remember",
        digest.to_string(),
        reason,
    ))
}
