//! Listings: tags and catalog, relayed from upstream page by page and not kept.

use std::sync::Arc;

use super::{Answer, Mirror, MirrorError, Outcome};
use crate::oci::Digest;
use crate::store::Origin;
use crate::upstream::{ListBody, Listing};

impl Mirror {
    /// One page of `listing` of the upstream named `upstream`; `query` is the upstream's own.
    pub async fn list(
        self: &Arc<Self>,
        upstream: &str,
        listing: Listing,
        query: Option<String>,
    ) -> Result<Answer<ListBody>, MirrorError> {
        let registry = Arc::clone(&self.upstream(upstream)?.registry);
        // On the fetch runtime, like all that talks to upstream.
        let ask = self
            .fetch_runtime
            .spawn(async move { registry.list(&listing, query.as_deref()).await });
        let value = ask.await.map_err(|_| MirrorError::Abandoned)??;
        Ok(Answer::new(value, Outcome::Bypass("listing")))
    }

    /// The manifests of `origin` that refer to `digest`, as an OCI index; `query` is upstream's own.
    pub async fn referrers(
        self: &Arc<Self>,
        origin: &Origin,
        digest: &Digest,
        query: Option<String>,
    ) -> Result<Answer<ListBody>, MirrorError> {
        let listing = Listing::Referrers(origin.repository.clone(), digest.clone());
        self.list(&origin.upstream, listing, query).await
    }
}
