//! Signed schema 1 manifests: their digest is that of their payload, so their bytes can be proved, and never be content.
//!
//! They are held in memory only, and brought again when they are needed again: what is left of them in the world is
//! asked for by clients that are as old.

use std::sync::Arc;

use super::access::Right;
use super::fills::FillError;
use super::{HeldManifest, Mirror, MirrorError};
use crate::oci::{Accepts, Digest, MediaType, Reference, Verifier, schema1};
use crate::store::Link;

/// Why such a manifest goes past the store.
pub(super) const SCHEMA1: &str = "schema1";

impl Mirror {
    /// Asks whether what failed its digest is a signed manifest, which has it in another way; gives `wrong` when not.
    pub(super) async fn signed_in_place(
        self: &Arc<Self>,
        right: &Right,
        link: &Link,
        wrong: MirrorError,
    ) -> Result<HeldManifest, MirrorError> {
        if !matches!(
            wrong,
            MirrorError::Fill(FillError::Mismatch(_)) | MirrorError::Quarantined(..)
        ) {
            return Err(wrong);
        }
        let (registry, link) = (Arc::clone(&right.registry), link.clone());
        // On the fetch runtime, like all that talks to upstream.
        let ask = self.fetch_runtime.spawn(async move {
            let reference = Reference::Digest(link.digest.clone());
            let repository = &link.origin.repository;
            let body = registry.get_manifest(repository, &reference, Accepts::EVERYTHING);
            let bytes = body.await.ok()?.bytes;
            has_digest(&link.digest, &bytes).then_some(HeldManifest {
                digest: link.digest,
                media_type: MediaType::DOCKER_SCHEMA1_SIGNED,
                bytes,
            })
        });
        ask.await.ok().flatten().ok_or(wrong)
    }
}

/// Whether `bytes` are a signed manifest whose payload has the digest.
fn has_digest(digest: &Digest, bytes: &[u8]) -> bool {
    schema1::payload(bytes)
        .and_then(|payload| Verifier::verify(digest, &payload))
        .is_some_and(|proof| proof.is_ok())
}
