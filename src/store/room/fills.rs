//! The bytes of fills: those that are written, those that are promised, and those that were left behind.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::oci::Digest;

/// The number of a fill's account.
pub(in crate::store) type Token = u64;

/// The bytes of one fill in use. What is written is never more than what is promised.
#[derive(Debug, Default)]
pub(in crate::store) struct Account {
    promised: AtomicU64,
    written: AtomicU64,
}

impl Account {
    /// Counts `bytes` as written; the whole so far where that is more than was promised.
    pub(super) fn write(&self, bytes: u64) -> Option<u64> {
        let written = self.written.fetch_add(bytes, Ordering::SeqCst) + bytes;
        (written > self.promised.load(Ordering::SeqCst)).then_some(written)
    }

    /// Counts `bytes` as not written after all.
    pub(super) fn unwrite(&self, bytes: u64) {
        self.written.fetch_sub(bytes, Ordering::SeqCst);
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    fn promised(&self) -> u64 {
        self.promised.load(Ordering::SeqCst)
    }
}

/// What a fill that nobody uses takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Left {
    /// Bytes on the disk.
    pub(in crate::store) bytes: u64,
    /// When it was last remembered, in Unix seconds.
    pub(in crate::store) touched: u64,
}

/// All fills, in use and left behind.
#[derive(Default)]
pub(super) struct Fills {
    open: HashMap<Token, Arc<Account>>,
    left: BTreeMap<Digest, Left>,
    next: Token,
    /// The sum of what is promised.
    promised: u64,
    /// The sum of what was left behind.
    left_bytes: u64,
}

impl Fills {
    /// A fill of `digest` begins with `bytes` that were left behind; all else that was left is gone.
    pub(super) fn open(&mut self, digest: &Digest, bytes: u64) -> (Token, Arc<Account>) {
        self.forget_left(digest);
        let account = Arc::new(Account {
            promised: AtomicU64::new(bytes),
            written: AtomicU64::new(bytes),
        });
        self.next += 1;
        self.promised += bytes;
        self.open.insert(self.next, Arc::clone(&account));
        (self.next, account)
    }

    /// The fill is over, and its bytes are no fill's any more.
    pub(super) fn close(&mut self, token: Token) {
        if let Some(account) = self.open.remove(&token) {
            self.promised -= account.promised();
        }
    }

    /// How much more `token` takes when it is to have `whole` bytes.
    pub(super) fn lacking(&self, token: Token, whole: u64) -> u64 {
        let account = self.open.get(&token);
        account.map_or(whole, |account| whole.saturating_sub(account.promised()))
    }

    /// Promises `token` that it may have `whole` bytes. Never takes a promise back.
    pub(super) fn promise(&mut self, token: Token, whole: u64) {
        let more = self.lacking(token, whole);
        if let Some(account) = self.open.get(&token) {
            account.promised.fetch_add(more, Ordering::SeqCst);
            self.promised += more;
        }
    }

    /// A fill of `digest` was left behind.
    pub(super) fn leave(&mut self, digest: &Digest, left: Left) {
        self.forget_left(digest);
        self.left_bytes += left.bytes;
        self.left.insert(digest.clone(), left);
    }

    /// Nothing is left behind of `digest`; the bytes that were.
    pub(super) fn forget_left(&mut self, digest: &Digest) -> u64 {
        let bytes = self.left.remove(digest).map_or(0, |left| left.bytes);
        self.left_bytes -= bytes;
        bytes
    }

    pub(super) fn is_left(&self, digest: &Digest) -> bool {
        self.left.contains_key(digest)
    }

    /// What was left behind, to make `need` bytes free: the oldest first, and what that frees.
    pub(super) fn oldest(&self, need: u64) -> (Vec<Digest>, u64) {
        let mut left: Vec<_> = self.left.iter().collect();
        left.sort_by_key(|(_, it)| it.touched);
        let (mut found, mut freed) = (Vec::new(), 0);
        for (digest, it) in left {
            if freed >= need {
                break;
            }
            freed += it.bytes;
            found.push(digest.clone());
        }
        (found, freed)
    }

    /// Bytes of all fills on the disk.
    pub(super) fn on_disk(&self) -> u64 {
        self.left_bytes + self.promised - self.outstanding()
    }

    /// Bytes that are promised and not written yet.
    pub(super) fn outstanding(&self) -> u64 {
        let open = self.open.values();
        open.map(|it| it.promised().saturating_sub(it.written()))
            .sum()
    }

    /// Bytes that fills take or may take.
    pub(super) fn total(&self) -> u64 {
        self.left_bytes + self.promised
    }
}
