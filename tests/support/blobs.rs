//! Several blobs of one size in the upstream.

use std::sync::Arc;

use super::noise;
use super::registry::Registry;

/// A blob in the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    /// Its digest.
    pub(crate) digest: String,
    /// Its path, at the mirror and upstream.
    pub(crate) path: String,
    /// Its bytes.
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// Puts `many` blobs of `size` bytes (8 at least) into `registry`; they differ in their first bytes.
pub(crate) async fn blobs(registry: &Registry, many: u64, size: usize) -> Vec<Blob> {
    let mut bytes = noise(size as u64, size);
    let mut blobs = Vec::new();
    for number in 0..many {
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let digest = registry.push_blob("library/cold", &bytes).await;
        blobs.push(Blob {
            path: format!("/v2/library/cold/blobs/{digest}"),
            digest,
            bytes: Arc::new(bytes.clone()),
        });
    }
    blobs
}
