//! Tags, catalog and referrers: pages of upstream's, under our own address.

use bytes::Bytes;
use serde_json::json;

use super::answered::Answered;
use super::endpoints::Question;
use crate::mirror::{Outcome, Patience, Who};
use crate::oci::{Digest, ErrorCode, Repository};
use crate::server::answers;
use crate::server::errors::Asked;
use crate::server::paging::{self, Page};
use crate::upstream::{ListBody, Listing};

impl Question<'_> {
    /// A page of tags or repositories (OCI distribution spec, "Listing Tags").
    pub(super) async fn list(&self, listing: Listing) -> Answered {
        let query = match paging::page(self.request.uri.query()) {
            Ok(Page::Of(query)) => query,
            Ok(Page::Empty) => {
                let nothing = nothing_of(self.route.endpoint.repository());
                let page = answers::listing(&self.wanted(), nothing, None);
                return Answered::well(page, Outcome::Hit);
            }
            Err(reason) => {
                let code = ErrorCode::PaginationNumberInvalid;
                let blame = Outcome::Error(Who::Client);
                return Answered::refused(code, blame, &reason.to_string());
            }
        };
        let page = self
            .mirror
            .list(
                self.asker,
                Patience::Client,
                &self.route.upstream,
                listing,
                query,
            )
            .await;
        self.told(page, Asked::Listing, |page| {
            let next = self.next_of(&page);
            answers::listing(&self.wanted(), page.bytes, next.as_deref())
        })
    }

    /// The manifests that refer to a digest (OCI distribution spec, "Listing Referrers").
    pub(super) async fn referrers(&self, repository: &Repository, digest: &Digest) -> Answered {
        let origin = self.route.origin(repository);
        let query = self.request.uri.query();
        let wanted = paging::artifact_type(query);
        let page = self
            .mirror
            .referrers(
                self.asker,
                Patience::Client,
                &origin,
                digest,
                wanted.as_deref(),
                paging::upstreams_own(query),
            )
            .await;
        self.told(page, Asked::Referrers, |page| {
            let next = self.next_of(&page);
            answers::referrers(
                &self.wanted(),
                page.bytes,
                page.is_filtered,
                next.as_deref(),
            )
        })
    }

    /// The target of the next page, if there is one.
    fn next_of(&self, page: &ListBody) -> Option<String> {
        let query = page.next.as_deref()?;
        let (path, ns) = (self.request.uri.path(), self.route.ns.as_deref());
        Some(paging::next_target(path, query, ns))
    }
}

/// A listing with nothing in it: the tags of a repository, or the repositories.
fn nothing_of(repository: Option<&Repository>) -> Bytes {
    let document = match repository {
        Some(repository) => json!({"name": repository.as_str(), "tags": []}),
        None => json!({"repositories": []}),
    };
    Bytes::from(document.to_string())
}
