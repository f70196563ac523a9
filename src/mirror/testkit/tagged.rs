//! The scripted upstream's manifests, tags and listings.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::not_found;
use crate::oci::{Accepts, Digest, Manifest, Reference};
use crate::upstream::{ErrorKind, ListBody, Listing, ManifestHead, UpstreamError};

/// What is served under references and as listings.
#[derive(Default)]
pub(crate) struct Tagged {
    /// By reference in text: a tag or a digest.
    manifests: Mutex<HashMap<String, Bytes>>,
    /// What those get who ask for a tag with exactly this set; `None` is a 404.
    converted: Mutex<HashMap<(String, Accepts), Option<Bytes>>>,
    /// Manifests whose digest is not that of their bytes.
    told: Mutex<HashMap<Bytes, Digest>>,
    without_digests: Mutex<bool>,
    /// Questions about tags wait here.
    gate: Mutex<Option<Arc<Semaphore>>>,
    listings: Mutex<HashMap<Listing, ListBody>>,
    no_lists: Mutex<Option<ErrorKind>>,
}

impl Tagged {
    pub(crate) fn tag(&self, tag: &str, manifest: &[u8]) -> Digest {
        let digest = self.holds(manifest);
        self.manifests
            .lock()
            .insert(tag.to_owned(), Bytes::copy_from_slice(manifest));
        digest
    }

    /// Serves a manifest by its digest only.
    pub(crate) fn holds(&self, manifest: &[u8]) -> Digest {
        let digest = Digest::sha256_of(manifest);
        self.manifests
            .lock()
            .insert(digest.to_string(), Bytes::copy_from_slice(manifest));
        digest
    }

    /// Serves a manifest by tag and under a digest that is not that of its bytes.
    pub(crate) fn tag_as(&self, tag: &str, manifest: &[u8], digest: &Digest) {
        let bytes = Bytes::copy_from_slice(manifest);
        let mut manifests = self.manifests.lock();
        manifests.insert(tag.to_owned(), bytes.clone());
        manifests.insert(digest.to_string(), bytes.clone());
        self.told.lock().insert(bytes, digest.clone());
    }

    pub(crate) fn drops(&self, reference: &str) {
        self.manifests.lock().remove(reference);
    }

    /// Who asks for `tag` with exactly this set gets this, or a 404.
    pub(crate) fn converts(&self, tag: &str, accepts: Accepts, manifest: Option<&[u8]>) {
        let bytes = manifest.map(Bytes::copy_from_slice);
        if let Some(manifest) = manifest {
            self.holds(manifest);
        }
        self.converted
            .lock()
            .insert((tag.to_owned(), accepts), bytes);
    }

    pub(crate) fn heads_without_digests(&self) {
        *self.without_digests.lock() = true;
    }

    /// From now on each HEAD takes a permit of `gate`.
    pub(crate) fn heads_wait_for(&self, gate: Arc<Semaphore>) {
        *self.gate.lock() = Some(gate);
    }

    /// Serves a listing, in place of what was served before.
    pub(crate) fn lists(&self, listing: Listing, document: &str, next: Option<&str>) {
        let body = ListBody {
            bytes: Bytes::copy_from_slice(document.as_bytes()),
            next: next.map(str::to_owned),
            is_filtered: false,
        };
        self.listings.lock().insert(listing, body);
    }

    /// Serves what is served of itself in that listing's place again.
    pub(crate) fn lists_no_more(&self, listing: &Listing) {
        self.listings.lock().remove(listing);
    }

    /// Whoever asks for a listing hears of this, and all else goes on.
    pub(crate) fn lists_break(&self, kind: ErrorKind) {
        *self.no_lists.lock() = Some(kind);
    }

    pub(super) async fn head(
        &self,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestHead, UpstreamError> {
        let gate = self.gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let bytes = self.get(reference, accepts)?;
        let told = !*self.without_digests.lock();
        Ok(ManifestHead {
            digest: told.then(|| self.digest(&bytes)),
            media_type: Manifest::parse(&bytes, None).ok().map(|it| it.media_type),
            size: Some(bytes.len() as u64),
        })
    }

    fn digest(&self, bytes: &Bytes) -> Digest {
        let told = self.told.lock().get(bytes).cloned();
        told.unwrap_or_else(|| Digest::sha256_of(bytes))
    }

    pub(super) fn get(
        &self,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<Bytes, UpstreamError> {
        let text = reference.to_string();
        let converted = self.converted.lock().get(&(text.clone(), accepts)).cloned();
        converted
            .unwrap_or_else(|| self.manifests.lock().get(&text).cloned())
            .ok_or_else(not_found)
    }

    /// Unless the test says otherwise, each repository has the one tag `1`, a next page, and no referrers.
    pub(super) fn list(&self, listing: &Listing) -> Result<ListBody, UpstreamError> {
        if let Some(kind) = self.no_lists.lock().clone() {
            return Err(UpstreamError::new(kind, "scripted"));
        }
        if let Some(body) = self.listings.lock().get(listing) {
            return Ok(body.clone());
        }
        match listing {
            Listing::Referrers(..) => Err(not_found()),
            Listing::Tags(_) | Listing::Catalog => Ok(ListBody {
                bytes: Bytes::from_static(b"{\"name\":\"a\",\"tags\":[\"1\"]}"),
                next: Some("n=1&last=1&own=a%2Fb".to_owned()),
                is_filtered: false,
            }),
        }
    }
}
