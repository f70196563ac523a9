//! The upstream of a mirror that works offline: it refuses every call, without a look-up.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    BlobBody, BlobHead, ClientAuthorization, ErrorKind, ListBody, Listing, ManifestBody,
    ManifestHead, Registry, TokenAnswer, TokenRequest, UpstreamError,
};
use crate::oci::{Accepts, Challenge, Digest, RangeSpec, Reference, Repository};

/// A registry that is never asked: every call fails with [`ErrorKind::Offline`].
#[derive(Debug, Clone)]
pub struct OfflineRegistry {
    name: String,
}

impl OfflineRegistry {
    /// Stands in for the upstream of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    fn refuse<T>(&self) -> Result<T, UpstreamError> {
        Err(UpstreamError::new(ErrorKind::Offline, &*self.name))
    }
}

#[async_trait]
impl Registry for OfflineRegistry {
    async fn head_manifest(
        &self,
        _: &Repository,
        _: &Reference,
        _: Accepts,
    ) -> Result<ManifestHead, UpstreamError> {
        self.refuse()
    }

    async fn get_manifest(
        &self,
        _: &Repository,
        _: &Reference,
        _: Accepts,
    ) -> Result<ManifestBody, UpstreamError> {
        self.refuse()
    }

    async fn head_blob(&self, _: &Repository, _: &Digest) -> Result<BlobHead, UpstreamError> {
        self.refuse()
    }

    async fn get_blob(
        &self,
        _: &Repository,
        _: &Digest,
        _: Option<RangeSpec>,
    ) -> Result<BlobBody, UpstreamError> {
        self.refuse()
    }

    async fn list(&self, _: &Listing, _: Option<&str>) -> Result<ListBody, UpstreamError> {
        self.refuse()
    }

    fn on_behalf(&self, _: &ClientAuthorization) -> Option<Arc<dyn Registry>> {
        // Out for everybody: what a client may have without asking is for others to decide.
        Some(Arc::new(self.clone()))
    }

    async fn challenge(&self) -> Result<Option<Challenge>, UpstreamError> {
        self.refuse()
    }

    async fn token(&self, _: &TokenRequest) -> Result<TokenAnswer, UpstreamError> {
        self.refuse()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn every_call_is_refused_as_offline() {
        let registry = OfflineRegistry::new("docker.io");
        let repository: Repository = "library/alpine".parse().unwrap();
        let reference: Reference = "3".parse().unwrap();
        let digest = Digest::sha256_of(b"");
        let kinds = [
            registry
                .head_manifest(&repository, &reference, Accepts::MODERN)
                .await
                .err(),
            registry
                .get_manifest(&repository, &reference, Accepts::MODERN)
                .await
                .err(),
            registry.head_blob(&repository, &digest).await.err(),
            registry.get_blob(&repository, &digest, None).await.err(),
            registry.list(&Listing::Catalog, None).await.err(),
        ];
        for error in kinds {
            let error = error.unwrap();
            assert_eq!(*error.kind(), ErrorKind::Offline);
            assert_eq!(error.to_string(), "docker.io: the mirror is offline");
        }
    }
}
