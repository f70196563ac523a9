//! Why a bundle cannot be written or taken in.

use std::io;

use crate::oci::Mismatch;
use crate::store::StoreError;

/// Why a bundle cannot be written or taken in.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// One of its files is at fault.
    #[error("{path}: {why}")]
    Entry {
        /// The file's path in the bundle.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is at fault as a whole.
    #[error("{0}")]
    Whole(String),
    /// What is wanted is not here: one line for each.
    #[error("{}", .0.join("\n"))]
    Missing(Vec<String>),
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Content turned out wrong while it was read.
    #[error("content has gone wrong on disk: {0}")]
    Rotten(#[from] Mismatch),
}

impl BundleError {
    pub(super) fn entry(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Entry {
            path: path.into(),
            why: why.into(),
        }
    }
}
