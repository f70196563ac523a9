//! Pieces that have come and are not written yet: small ones are written together.

use bytes::Bytes;

/// Bytes that follow each other, in pieces as they came.
#[derive(Default)]
pub(super) struct Batch {
    pieces: Vec<Bytes>,
    length: u64,
}

impl Batch {
    pub(super) fn push(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        self.pieces.push(piece);
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Gives the pieces out, and is empty then.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.length = 0;
        std::mem::take(&mut self.pieces)
    }
}
