//! The unverified bytes of a fill: its file, and the hash of its prefix.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::measures::Measures;
use crate::oci::{Digest, Verified, Verifier};
use crate::store::{Partial, Progress, Source, StoreError, StoreErrorKind};

/// A fill's file and the hash of its prefix.
pub(super) struct Work {
    partial: Box<dyn Partial>,
    /// The hash, while nobody carries it on.
    home: Mutex<Option<Verifier>>,
    /// Bytes written since the last note, and since the last that was synced.
    unnoted: AtomicU64,
    unsynced: AtomicU64,
    /// A sync of these bytes has failed: the next one may say yes though some of them are lost.
    unsafe_to_keep: AtomicBool,
}

impl Work {
    pub(super) fn new(partial: Box<dyn Partial>, digest: &Digest) -> Result<Self, StoreError> {
        let verifier = Verifier::of(digest).ok_or_else(|| {
            let reason = "unknown algorithm";
            StoreError::new(StoreErrorKind::Misuse, "verify", digest.to_string(), reason)
        })?;
        Ok(Self {
            partial,
            home: Mutex::new(Some(verifier)),
            unnoted: AtomicU64::new(0),
            unsynced: AtomicU64::new(0),
            unsafe_to_keep: AtomicBool::new(false),
        })
    }

    pub(super) fn partial(&self) -> &dyn Partial {
        &*self.partial
    }

    /// What followers read from.
    pub(super) fn source(&self) -> Source {
        self.partial.source()
    }

    /// Takes the hash along, if it is at home and `wanted` where it stands (its offset in bytes).
    pub(super) fn carry(&self, wanted: impl FnOnce(u64) -> bool) -> Option<Verifier> {
        let mut home = self.home.lock();
        home.take_if(|verifier| wanted(verifier.hashed()))
    }

    /// Brings the hash home.
    pub(super) fn bring_home(&self, verifier: Verifier) {
        *self.home.lock() = Some(verifier);
    }

    /// A copy of the hash, if it is at home.
    pub(super) fn hash_so_far(&self) -> Option<Verifier> {
        self.home.lock().clone()
    }

    /// Counts bytes that were written to a fill of `size`; tells whether that is worth a note, and whether one that
    /// outlives a power cut.
    pub(super) fn written(&self, bytes: u64, size: u64, measures: &Measures) -> Option<Durable> {
        let unsynced = self.unsynced.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let unnoted = self.unnoted.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unnoted
            < (size / measures.noted_part).clamp(measures.noted_at_least, measures.noted_at_most)
        {
            return None;
        }
        self.unnoted.store(0, Ordering::Relaxed);
        let durable = unsynced >= measures.synced_every;
        if durable {
            self.unsynced.store(0, Ordering::Relaxed);
        }
        Some(Durable(durable))
    }

    /// Notes what is present, so that another process can take the fill up. A note that fails costs bytes, later
    /// and perhaps: the fill itself goes on.
    pub(super) fn note(&self, progress: &Progress, durable: Durable) {
        self.unnoted.store(0, Ordering::Relaxed);
        if let Err(error) = self.partial.checkpoint(progress, durable.0) {
            tracing::warn!(%error, "progress of a download not noted");
            if durable.0 {
                self.unsafe_to_keep.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether nothing was written since the last note.
    pub(super) fn is_noted(&self) -> bool {
        self.unnoted.load(Ordering::Relaxed) == 0
    }

    /// Whether the bytes may be taken up by a later fill.
    pub(super) fn may_be_kept(&self) -> bool {
        !self.unsafe_to_keep.load(Ordering::Relaxed)
    }

    /// Makes the bytes content. When that fails nothing of them is kept: a sync that failed is not made good by
    /// another one.
    pub(super) fn commit(&self, verified: &Verified) -> Result<(), StoreError> {
        let committed = if self.may_be_kept() {
            self.partial.commit(verified).map(drop)
        } else {
            let digest = verified.digest().to_string();
            let reason = "an earlier sync of its bytes failed";
            let kind = StoreErrorKind::Io;
            Err(StoreError::new(kind, "commit", digest, reason))
        };
        if committed.is_err() {
            self.discard();
        }
        committed
    }

    /// Leaves nothing behind.
    pub(super) fn discard(&self) {
        if let Err(error) = self.partial.discard() {
            tracing::warn!(%error, "an unfinished download cannot be removed");
        }
    }
}

/// Whether a note outlives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Durable(pub(super) bool);

/// Shared by the fill and its fetches.
pub(super) type SharedWork = Arc<Work>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::testkit::origin;
    use crate::oci::{ByteRange, RangeSet};
    use crate::store::faulty::{Fault, Faulty};
    use crate::store::{Contents, MemoryStore, Role};

    #[test]
    fn what_a_sync_has_failed_for_is_not_kept() {
        let bytes = b"synced or not";
        let digest = Digest::sha256_of(bytes);
        let progress = Progress {
            link: crate::mirror::link(&origin("a"), &digest, Role::Blob),
            size: bytes.len() as u64,
            present: RangeSet::from_iter([ByteRange::new(0, bytes.len() as u64)]),
            wanted: true,
        };
        // Begin and write are the first two operations, the note is the third.
        for (fault, durable, keeps) in [
            (Fault::None, true, true),
            (Fault::FailsAt(3), false, true),
            (Fault::FailsAt(3), true, false),
        ] {
            let store = Faulty::new(MemoryStore::default(), fault);
            let partial = store.begin(&digest).unwrap().partial;
            let work = Work::new(partial, &digest).unwrap();
            work.partial().write_at(0, bytes).unwrap();
            work.note(&progress, Durable(durable));
            assert_eq!(work.may_be_kept(), keeps);
            let verified = Verifier::verify(&digest, bytes).unwrap().unwrap();
            assert_eq!(work.commit(&verified).is_ok(), keeps);
            drop(work);
            assert_eq!(store.open(&digest).unwrap().is_some(), keeps);
            assert!(store.unfinished().unwrap().is_empty());
        }
    }
}
