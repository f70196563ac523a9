//! What refers to a digest: upstream's own list, or the one that clients keep under the fallback tag.

use std::sync::Arc;

use bytes::Bytes;

use super::access::{Asker, Proof, Right};
use super::fills::Feed;
use super::resolve::is_missing;
use super::{Answer, Mirror, MirrorError, Outcome, Patience};
use crate::oci::{Accepts, Digest, Reference, Referrers, Tag, fallback_tag};
use crate::store::{Origin, Record, RecordKey, Role};
use crate::upstream::{ErrorKind, ListBody, Listing};

/// Pages of a list of referrers that are read at most.
const MOST_PAGES: usize = 100;

impl Mirror {
    /// The manifests of `origin` that refer to `digest`, as an OCI index; only those of `artifact_type`, if there is
    /// one. `query` is upstream's own, the artifact type included.
    ///
    /// Where upstream has no such list, the index under the fallback tag answers (OCI distribution spec, "Unavailable
    /// Referrers API"); where there is none either, it is 404. An outage is never taken for either: a signature that
    /// cannot be asked for now is not a signature that does not exist.
    pub async fn referrers(
        self: &Arc<Self>,
        asker: &Asker,
        patience: Patience,
        origin: &Origin,
        digest: &Digest,
        artifact_type: Option<&str>,
        query: Option<String>,
    ) -> Result<Answer<ListBody>, MirrorError> {
        let listing = Listing::Referrers(origin.repository.clone(), digest.clone());
        let listed = self
            .list(asker, patience, &origin.upstream, listing, query)
            .await;
        let listed = match listed {
            Err(error) if is_missing(&error) || is_offline(&error) => {
                self.referrers_by_tag(asker, patience, origin, digest, error)
                    .await
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

    /// The digests of all that refers to `digest`, from all pages; none when upstream knows of none. Stale as soon as one
    /// of the pages is.
    ///
    /// What upstream lists is kept as well as the index that clients would keep under the fallback tag, so that it is
    /// known without upstream, too. That record never answers while upstream can be asked.
    pub(super) async fn referrers_kept(
        self: &Arc<Self>,
        right: &Right,
        digest: &Digest,
    ) -> Result<Answer<Vec<Digest>>, MirrorError> {
        let (mut listed, mut query) = (Vec::new(), None);
        let mut outcome = Outcome::Hit;
        for _ in 0..MOST_PAGES {
            let page = match self
                .referrers(
                    &Asker::Mirror,
                    right.patience,
                    &right.origin,
                    digest,
                    None,
                    query,
                )
                .await
            {
                // Offline, what is known is what was kept.
                Err(error) if listed.is_empty() && (is_missing(&error) || is_offline(&error)) => {
                    return Ok(Answer::new(Vec::new(), outcome));
                }
                page => page?,
            };
            if !matches!(outcome, Outcome::Stale(_)) {
                outcome = page.outcome;
            }
            let page = page.value;
            let read = Referrers::read(&page.bytes);
            listed.extend(read.map(Referrers::into_descriptors).unwrap_or_default());
            query = page.next;
            if query.is_none() {
                break;
            }
        }
        let digests = listed
            .iter()
            .filter_map(|it| it["digest"].as_str()?.parse().ok());
        let digests = digests.collect();
        if let Some(tag) = fallback_tag(digest).filter(|_| !listed.is_empty()) {
            self.keep_listed(right, tag, listed).await?;
        }
        Ok(Answer::new(digests, outcome))
    }

    /// Keeps a list of referrers under the fallback tag, unless there is one.
    async fn keep_listed(
        self: &Arc<Self>,
        right: &Right,
        tag: Tag,
        listed: Vec<serde_json::Value>,
    ) -> Result<(), MirrorError> {
        let key = RecordKey {
            origin: right.origin.clone(),
            tag,
            accepts: Accepts::MODERN,
        };
        let known = self.store.record(&key)?;
        if known.is_some_and(|record| record.checked_at > 0) {
            return Ok(());
        }
        let bytes = Bytes::from(Referrers::of(listed).to_bytes());
        let link = right.link(&Digest::sha256_of(&bytes), Role::Manifest);
        self.scribe.shown([link.clone()]);
        let held = self
            .bring_manifest(right, &link, Feed::Held(bytes))
            .await?
            .value;
        let record = Record {
            digest: held.digest,
            media_type: held.media_type,
            size: held.bytes.len() as u64,
            // Upstream has said nothing about the tag.
            checked_at: 0,
        };
        self.keep(&key, &record);
        Ok(())
    }

    async fn referrers_by_tag(
        self: &Arc<Self>,
        asker: &Asker,
        patience: Patience,
        origin: &Origin,
        digest: &Digest,
        lacking: MirrorError,
    ) -> Result<Answer<ListBody>, MirrorError> {
        let Some(tag) = fallback_tag(digest) else {
            return Err(lacking);
        };
        let tag = Reference::Tag(tag);
        let right = self.admit(asker, origin, Proof::Manifest(tag.clone()));
        let right = right.await?.with(patience);
        let answer = self.look_up(&right, &tag, Accepts::MODERN).await?.found;
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

/// Whether the mirror works offline, so that there was nobody to ask.
pub(super) fn is_offline(error: &MirrorError) -> bool {
    error
        .upstream()
        .is_some_and(|error| *error.kind() == ErrorKind::Offline)
}
