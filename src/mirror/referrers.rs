//! What refers to a digest: upstream's own list, or the one that clients keep under the fallback tag.

use std::sync::Arc;

use bytes::Bytes;

use super::resolve::is_missing;
use super::{Answer, Mirror, MirrorError};
use crate::oci::{Accepts, Digest, Reference, Referrers, fallback_tag};
use crate::store::Origin;
use crate::upstream::{ErrorKind, ListBody, Listing};

impl Mirror {
    /// The manifests of `origin` that refer to `digest`, as an OCI index; only those of `artifact_type`, if there is
    /// one. `query` is upstream's own, the artifact type included.
    ///
    /// Where upstream has no such list, the index under the fallback tag answers (OCI distribution spec, "Unavailable
    /// Referrers API"); where there is none either, it is 404. An outage is never taken for either: a signature that
    /// cannot be asked for now is not a signature that does not exist.
    pub async fn referrers(
        self: &Arc<Self>,
        origin: &Origin,
        digest: &Digest,
        artifact_type: Option<&str>,
        query: Option<String>,
    ) -> Result<Answer<ListBody>, MirrorError> {
        let listing = Listing::Referrers(origin.repository.clone(), digest.clone());
        let listed = match self.list(&origin.upstream, listing, query).await {
            Err(error) if is_missing(&error) || is_offline(&error) => {
                self.referrers_by_tag(origin, digest, error).await
            }
            listed => listed,
        };
        let mut answer = listed?;
        if let Some(artifact_type) = artifact_type.filter(|_| !answer.value.is_filtered) {
            let read = Referrers::read(&answer.value.bytes);
            if let Some(referrers) = read {
                answer.value.bytes = Bytes::from(referrers.filtered(artifact_type).to_bytes());
                answer.value.is_filtered = true;
            }
        }
        Ok(answer)
    }

    async fn referrers_by_tag(
        self: &Arc<Self>,
        origin: &Origin,
        digest: &Digest,
        lacking: MirrorError,
    ) -> Result<Answer<ListBody>, MirrorError> {
        let Some(tag) = fallback_tag(digest) else {
            return Err(lacking);
        };
        let answer = self
            .manifest(origin, &Reference::Tag(tag), Accepts::MODERN)
            .await?;
        // Whatever else lies under that tag lists no referrers.
        if !answer.value.media_type.is_index() {
            return Err(lacking);
        }
        Ok(Answer {
            value: ListBody {
                bytes: answer.value.bytes,
                next: None,
                is_filtered: false,
            },
            outcome: answer.outcome,
            age: answer.age,
        })
    }
}

fn is_offline(error: &MirrorError) -> bool {
    error
        .upstream()
        .is_some_and(|error| *error.kind() == ErrorKind::Offline)
}
