//! Unverified bytes: their own type, and the proof that makes them content.

use super::{Content, Source, StoreError, StoreErrorKind};
use crate::oci::{Digest, Verified};

/// The sparse file of one fill: unverified bytes under another name than content.
///
/// Dropped without [`Partial::commit`], it leaves nothing behind.
pub trait Partial: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// The bytes written so far. Stays readable after commit and after drop.
    fn source(&self) -> Source;

    /// Makes the bytes visible as content, in the order verify (done: `verified`), sync, rename,
    /// sync of the folder. A crash at any step leaves content or nothing.
    ///
    /// Fails when `verified` speaks of another digest or another size than this file's.
    fn commit(&self, verified: &Verified) -> Result<Content, StoreError>;
}

/// The check every commit begins with: the proof is of this digest and of all the bytes.
pub(super) fn check_proof(
    verified: &Verified,
    digest: &Digest,
    size: u64,
) -> Result<(), StoreError> {
    if verified.digest() == digest && verified.size() == size {
        return Ok(());
    }
    let reason = format!(
        "the proof is of {} with {} bytes, the file has {size}",
        verified.digest(),
        verified.size()
    );
    Err(StoreError::new(
        StoreErrorKind::Misuse,
        "commit",
        digest.to_string(),
        reason,
    ))
}
