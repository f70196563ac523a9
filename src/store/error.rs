//! One error for the room: which operation, on what, and what kind of trouble.

use std::fmt;
use std::io;
use std::sync::Arc;

/// What a failure of the store means to those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No space or no quota left, or no more room within the capacity: not now.
    Full,
    /// Larger than the capacity: never.
    TooLarge,
    /// It is not known yet what is here.
    Unready,
    /// The file system does not take writes.
    ReadOnly,
    /// Another process holds this data folder.
    Locked,
    /// The data folder is of a layout this program does not know.
    Version,
    /// The caller broke a rule of the seam (for example a commit with another file's proof).
    Misuse,
    /// Everything else the disk may say.
    Io,
}

/// A failed operation of the store. Clonable, so that one failure reaches every follower.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {operation} {target}: {reason}")]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    target: Arc<str>,
    reason: Arc<str>,
}

impl StoreError {
    /// An error with a reason in words.
    pub fn new(
        kind: StoreErrorKind,
        operation: &'static str,
        target: impl AsRef<str>,
        reason: impl AsRef<str>,
    ) -> Self {
        Self {
            kind,
            operation,
            target: Arc::from(target.as_ref()),
            reason: Arc::from(reason.as_ref()),
        }
    }

    /// An error of the operating system. `operation` is a verb ("rename"), `target` what it was done to.
    pub fn io(operation: &'static str, target: impl fmt::Display, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
            io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
            _ => StoreErrorKind::Io,
        };
        Self::new(kind, operation, target.to_string(), error.to_string())
    }

    /// What the failure means.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}
