//! The unverified bytes of a fill: written and hashed in one step, published in another.

use std::sync::Arc;

use tokio::sync::watch;

use super::state::{FillError, State};
use crate::oci::{ByteRange, Digest, Mismatch, Verified, Verifier};
use crate::store::{Partial, Source, Store, StoreError, StoreErrorKind};

/// A fill's file and the hash of its prefix: with the fetch while one runs, with the fill in between.
pub(super) struct Work {
    partial: Arc<dyn Partial>,
    verifier: Verifier,
    /// Bytes written and hashed: the whole prefix.
    cursor: u64,
    /// Bytes the followers know of.
    published: u64,
}

impl Work {
    /// A new file for `digest`; what an earlier fill left of it is dropped.
    pub(super) fn begin(store: &dyn Store, digest: &Digest) -> Result<Self, StoreError> {
        let verifier = Verifier::of(digest).ok_or_else(|| {
            let reason = "unknown algorithm";
            StoreError::new(StoreErrorKind::Misuse, "verify", digest.to_string(), reason)
        })?;
        let mut begun = store.begin(digest)?;
        if begun.progress.is_some() {
            begun.partial.discard()?;
            begun = store.begin(digest)?;
        }
        let partial = Arc::from(begun.partial);
        Ok(Self {
            partial,
            verifier,
            cursor: 0,
            published: 0,
        })
    }

    /// Where the next byte goes.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Bytes the followers do not know of yet.
    pub(super) fn unpublished(&self) -> u64 {
        self.cursor - self.published
    }

    /// What followers read from.
    pub(super) fn source(&self) -> Source {
        self.partial.source()
    }

    /// The file, for the commit.
    pub(super) fn partial(&self) -> Arc<dyn Partial> {
        Arc::clone(&self.partial)
    }

    /// Writes and hashes the next bytes of the prefix. What exceeds the announced size is an error at once.
    pub(super) fn take(&mut self, bytes: &[u8], announced: Option<u64>) -> Result<(), FillError> {
        let end = self.cursor + bytes.len() as u64;
        if let Some(announced) = announced.filter(|&size| end > size) {
            return Err(FillError::Length {
                announced,
                sent: end,
            });
        }
        self.partial.write_at(self.cursor, bytes)?;
        self.verifier.update(bytes);
        self.cursor = end;
        Ok(())
    }

    /// Tells the followers of all bytes written so far.
    pub(super) fn publish(&mut self, state: &watch::Sender<State>) {
        if self.unpublished() > 0 {
            let new = ByteRange::new(self.published, self.cursor);
            state.send_modify(|state| state.present.insert(new));
            self.published = self.cursor;
        }
    }

    /// The proof that all bytes so far are the digest's.
    pub(super) fn verified(&self) -> Result<Verified, Mismatch> {
        self.verifier.clone().finish()
    }
}
