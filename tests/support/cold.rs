//! A blob that nobody has asked the mirror for.

use std::sync::Arc;

use super::http::{Download, open};
use super::mirror::Mirror;
use super::noise;
use super::upstream::Upstream;

/// One blob in the upstream, and the mirror that knows nothing of it yet.
#[derive(Debug)]
pub(crate) struct ColdBlob {
    /// Where it is.
    pub(crate) upstream: Upstream,
    /// Who is asked for it.
    pub(crate) mirror: Mirror,
    /// Its digest.
    pub(crate) digest: String,
    /// Its path, at the mirror and upstream.
    pub(crate) path: String,
    /// Its bytes.
    pub(crate) bytes: Arc<Vec<u8>>,
}

impl ColdBlob {
    /// A blob of `size` bytes.
    pub(crate) async fn of(size: usize) -> Self {
        let (upstream, mirror) = Upstream::mirrored().await;
        let bytes = Arc::new(noise(size as u64, size));
        let digest = upstream.registry.push_blob("library/cold", &bytes).await;
        let path = format!("/v2/library/cold/blobs/{digest}");
        Self {
            upstream,
            mirror,
            digest,
            path,
            bytes,
        }
    }

    /// A client that asks the mirror for it and has the head of the answer.
    pub(crate) async fn open(&self) -> Download {
        open(self.mirror.address, &self.path).await
    }
}
