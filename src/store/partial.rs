//! Unverified bytes: their own type, and the proof that makes them content.

use bytes::Bytes;

use super::{Content, Progress, Source, StoreError, StoreErrorKind};
use crate::oci::{Digest, Verified};

/// The sparse file of one fill: unverified bytes under another name than content.
///
/// Dropped without [`Partial::commit`] or [`Partial::discard`], one that was remembered, by a checkpoint of its
/// own or of the fill that it was taken over from, stays for a later [`begin`](super::Contents::begin); one that
/// never was leaves nothing behind.
///
/// All may be called by several threads at once.
pub trait Partial: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Writes all of `pieces`, one after the other, from `offset` on.
    fn write_pieces_at(&self, mut offset: u64, pieces: &[Bytes]) -> Result<(), StoreError> {
        for piece in pieces {
            self.write_at(offset, piece)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Reserves room for the whole of `size` bytes before they are asked for, so that what cannot be kept is not begun:
    /// evicts what must go for that. What is written without it is reserved as it is written, as far as there is room.
    ///
    /// The reservation holds until commit, discard or drop. Fails with [`StoreErrorKind::TooLarge`] when there can never
    /// be as much room, and with [`StoreErrorKind::Full`] when not enough may go now.
    fn reserve(&self, size: u64) -> Result<(), StoreError>;

    /// The bytes written so far. Stays readable after commit, discard and drop.
    fn source(&self) -> Source;

    /// Remembers `progress` in place of what was remembered before. The bytes it names, written before the call,
    /// survive the end of the process; with `durable` they are synced and survive a power cut, too, and go on
    /// doing so whatever later checkpoints without it bring.
    ///
    /// After commit or discard there is nothing to remember: the call does nothing. Fails when `progress` is of another
    /// digest, or names bytes behind its own size; what was remembered before stays.
    fn checkpoint(&self, progress: &Progress, durable: bool) -> Result<(), StoreError>;

    /// Removes the bytes and what was remembered. Readers keep their [`Source`].
    fn discard(&self) -> Result<(), StoreError>;

    /// Makes the bytes visible as content, in the order verify (done: `verified`), sync, rename,
    /// sync of the folder; then what was remembered is forgotten. A crash at any step leaves content, or what the
    /// last checkpoint remembered, or nothing.
    ///
    /// Fails when `verified` speaks of another digest or another size than this file's, and after commit or discard.
    fn commit(&self, verified: &Verified) -> Result<Content, StoreError>;
}

/// Where the bytes of a partial are: what its drop has to do, and what is too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was remembered: the bytes go with their owner.
    New,
    /// A later fill can take the bytes up.
    Remembered,
    /// Committed or discarded.
    Gone,
}

/// The check every commit begins with: the bytes are still here, and the proof is of this digest and of all of them.
pub(super) fn check_proof(
    verified: &Verified,
    digest: &Digest,
    size: u64,
    stage: Stage,
) -> Result<(), StoreError> {
    let reason = if stage == Stage::Gone {
        "it was committed or discarded before".to_owned()
    } else if verified.digest() == digest && verified.size() == size {
        return Ok(());
    } else {
        format!(
            "the proof is of {} with {} bytes, the file has {size}",
            verified.digest(),
            verified.size()
        )
    };
    Err(StoreError::new(
        StoreErrorKind::Misuse,
        "commit",
        digest.to_string(),
        reason,
    ))
}
