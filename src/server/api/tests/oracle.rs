//! An upstream that answers listings as the test says, and notes what it is asked to accept.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::oci::{Accepts, Digest, MediaType, RangeSpec, Reference, Repository};
use crate::upstream::{
    BlobBody, BlobHead, ErrorKind, ListBody, Listing, ManifestBody, ManifestHead, Registry,
    UpstreamError,
};

type Lister = dyn Fn(&Listing, &str) -> Result<ListBody, ErrorKind> + Send + Sync;

/// The upstream.
pub(super) struct Oracle {
    list: Box<Lister>,
    listed: Mutex<Vec<String>>,
    manifests: Mutex<HashMap<String, Bytes>>,
    accepted: Mutex<Vec<Accepts>>,
}

impl Oracle {
    /// One that lists as `list` says, from what is listed and the query.
    pub(super) fn listing(
        list: impl Fn(&Listing, &str) -> Result<ListBody, ErrorKind> + Send + Sync + 'static,
    ) -> Self {
        Self {
            list: Box::new(list),
            listed: Mutex::default(),
            manifests: Mutex::default(),
            accepted: Mutex::default(),
        }
    }

    /// One that has a tag, and no listings.
    pub(super) fn tagged(tag: &str, manifest: &'static [u8]) -> Self {
        let oracle = Self::listing(|_, _| Err(ErrorKind::NotFound { code: None }));
        let bytes = Bytes::from_static(manifest);
        let references = [tag.to_owned(), Digest::sha256_of(manifest).to_string()];
        let manifests = references.map(|reference| (reference, bytes.clone()));
        oracle.manifests.lock().extend(manifests);
        oracle
    }

    /// The queries of the listings that it was asked for.
    pub(super) fn listed(&self) -> Vec<String> {
        self.listed.lock().clone()
    }

    /// What it was asked to accept for tags.
    pub(super) fn accepted(&self) -> Vec<Accepts> {
        self.accepted.lock().clone()
    }

    fn manifest(&self, reference: &Reference, accepts: Accepts) -> Result<Bytes, UpstreamError> {
        if matches!(reference, Reference::Tag(_)) {
            self.accepted.lock().push(accepts);
        }
        let manifest = self.manifests.lock().get(&reference.to_string()).cloned();
        manifest.ok_or_else(not_found)
    }
}

fn not_found() -> UpstreamError {
    UpstreamError::new(ErrorKind::NotFound { code: None }, "oracle")
}

#[async_trait]
impl Registry for Oracle {
    async fn head_manifest(
        &self,
        _: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestHead, UpstreamError> {
        let bytes = self.manifest(reference, accepts)?;
        Ok(ManifestHead {
            digest: Some(Digest::sha256_of(&bytes)),
            media_type: Some(MediaType::OCI_MANIFEST),
            size: Some(bytes.len() as u64),
        })
    }

    async fn get_manifest(
        &self,
        _: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestBody, UpstreamError> {
        let bytes = self.manifest(reference, accepts)?;
        Ok(ManifestBody {
            digest: None,
            media_type: Some(MediaType::OCI_MANIFEST),
            bytes,
        })
    }

    async fn head_blob(&self, _: &Repository, _: &Digest) -> Result<BlobHead, UpstreamError> {
        Err(not_found())
    }

    async fn get_blob(
        &self,
        _: &Repository,
        _: &Digest,
        _: Option<RangeSpec>,
    ) -> Result<BlobBody, UpstreamError> {
        Err(not_found())
    }

    async fn list(
        &self,
        listing: &Listing,
        query: Option<&str>,
    ) -> Result<ListBody, UpstreamError> {
        let query = query.unwrap_or("-");
        self.listed.lock().push(query.to_owned());
        (self.list)(listing, query).map_err(|kind| UpstreamError::new(kind, "oracle"))
    }
}
