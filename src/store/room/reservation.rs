//! The account of one fill, as its file holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::clearing::{Ground, reserve};
use super::fills::{Account, Left, Token};
use super::{Lease, SharedRoom};
use crate::oci::Digest;
use crate::store::StoreError;

/// The bytes that a fill has, or may have. Dropped, it gives them back.
pub(in crate::store) struct Reservation {
    room: SharedRoom,
    digest: Digest,
    token: Token,
    account: Arc<Account>,
    is_closed: AtomicBool,
}

impl Reservation {
    /// For a fill of `digest` that begins with `bytes` of an earlier one.
    pub(in crate::store) fn open(room: &SharedRoom, digest: &Digest, bytes: u64) -> Self {
        let (token, account) = room.lock().open_fill(digest, bytes);
        Self {
            room: Arc::clone(room),
            digest: digest.clone(),
            token,
            account,
            is_closed: AtomicBool::new(false),
        }
    }

    /// Sees to it that the fill may have `whole` bytes in all.
    pub(in crate::store) fn reserve(
        &self,
        ground: &impl Ground,
        whole: u64,
    ) -> Result<(), StoreError> {
        reserve(ground, &self.room, self.token, whole, &self.digest)
    }

    /// Counts `bytes` that are about to be written: within what is promised, or else with a promise of as much more.
    pub(in crate::store) fn write(
        &self,
        ground: &impl Ground,
        bytes: u64,
    ) -> Result<(), StoreError> {
        match self.account.write(bytes) {
            None => Ok(()),
            // Who comes too late writes into a file that is nobody's.
            Some(_) if self.is_closed.load(Ordering::SeqCst) => Ok(()),
            Some(whole) => self
                .reserve(ground, whole)
                .inspect_err(|_| self.account.unwrite(bytes)),
        }
    }

    /// The bytes were not written after all.
    pub(in crate::store) fn unwrite(&self, bytes: u64) {
        self.account.unwrite(bytes);
    }

    /// The fill is over; `touched` (Unix seconds) when its bytes stay for another one.
    pub(in crate::store) fn close(&self, touched: Option<u64>) {
        if self.is_closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let bytes = self.account.written();
        let left = touched.map(|touched| (&self.digest, Left { bytes, touched }));
        self.room.lock().close_fill(self.token, left);
    }

    /// The fill is content of `size` bytes since `now` (Unix seconds), which references these digests, and has a first
    /// reader.
    pub(in crate::store) fn admit(&self, size: u64, now: u64, refs: &[Digest]) -> Option<Lease> {
        self.is_closed.store(true, Ordering::SeqCst);
        let mut room = self.room.lock();
        room.admit(self.token, &self.digest, size, now, refs);
        let id = room.index.read(&self.digest)?;
        Some(Lease::of(&self.room, id))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.close(None);
    }
}
