//! Listings: tags, catalog and referrers, page by page as upstream gives them, kept for a short time in memory.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::access::{Asker, Fingerprint, Proof};
use super::freshness::{Freshness, freshness};
use super::referrers::is_offline;
use super::resolve::{is_missing, stands_in};
use super::{Answer, Mirror, MirrorError, Outcome, Patience};
use crate::oci::{Referrers, Repository, RepositoryRules, TagList};
use crate::store::Origin;
use crate::upstream::{ErrorKind, ListBody, Listing, Registry, UpstreamError};

/// Pages held in memory, in bytes: with their names, roughly.
const PAGES_IN_MEMORY: u64 = 16 * 1024 * 1024;

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Page {
    upstream: Arc<str>,
    listing: Listing,
    query: Option<String>,
}

/// A page as upstream gave it, and when: seconds since the Unix epoch.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    body: ListBody,
    checked_at: u64,
}

/// The pages that are remembered.
pub(super) fn pages() -> Cache<Page, Kept> {
    Cache::builder()
        .max_capacity(PAGES_IN_MEMORY)
        .weigher(|page: &Page, kept: &Kept| {
            let query = page.query.as_ref().map_or(0, String::len);
            u32::try_from(kept.body.bytes.len() + query + 512).unwrap_or(u32::MAX)
        })
        .build()
}

impl Mirror {
    /// One page of `listing` of the upstream named `upstream`; `query` is the upstream's own.
    ///
    /// A page is good for as long as a tag of that upstream is, stands in for as long, and is forgotten with the
    /// process.
    pub async fn list(
        self: &Arc<Self>,
        asker: &Asker,
        patience: Patience,
        upstream: &Arc<str>,
        listing: Listing,
        query: Option<String>,
    ) -> Result<Answer<ListBody>, MirrorError> {
        let way = self.upstream(upstream)?;
        let Some((registry, who)) = self.admit_to(asker, upstream, &listing).await? else {
            return self.relay(asker, upstream, listing, query).await;
        };
        let page = Page {
            upstream: Arc::clone(upstream),
            listing,
            query,
        };
        let kept = self.pages.get(&page);
        let judged = kept.as_ref().map_or(Freshness::Expired, |kept| {
            freshness(way.tags.otherwise, kept.checked_at, self.clock.now())
        });
        let stale = |outcome| kept.clone().map(|kept| self.page_of(kept, outcome));
        if let (Freshness::Fresh, Some(answer)) = (judged, stale(Outcome::Hit)) {
            return Ok(answer);
        }
        // In the name of each: what is refused to one may be given to another.
        let key = (page.clone(), who);
        let (question, began) = self.listings.begin(&key, || {
            let (mirror, page) = (Arc::clone(self), page.clone());
            let registry = Arc::clone(&registry);
            async move { mirror.ask_page(&*registry, page, who).await }
        });
        let answer = match patience.hear(judged, registry.standing(), question).await {
            Ok(answer) => answer,
            // Where nothing is known there is an answer, or an error: nothing is waited for as long as that.
            Err(why) => return stale(Outcome::Stale(why)).ok_or(MirrorError::Abandoned),
        };
        match answer.unwrap_or(Err(MirrorError::Abandoned)) {
            Ok(kept) => {
                let outcome = if began { Outcome::Miss } else { Outcome::Join };
                Ok(self.page_of(kept, outcome))
            }
            Err(error) => {
                match stands_in(&error, judged).and_then(|why| stale(Outcome::Stale(why))) {
                    Some(answer) => Ok(answer),
                    None if is_offline(&error) => self.list_known(page).await?.ok_or(error),
                    None => Err(error),
                }
            }
        }
    }

    async fn list_known(
        self: &Arc<Self>,
        page: Page,
    ) -> Result<Option<Answer<ListBody>>, MirrorError> {
        let mirror = Arc::clone(self);
        let known = tokio::task::spawn_blocking(move || {
            mirror.known(&page.upstream, &page.listing, page.query.as_deref())
        });
        known.await.unwrap_or(Err(MirrorError::Abandoned))
    }

    /// The way to ask for a list that all who are admitted share, and in whose name; `None` where there is no such admission: what a
    /// registry lists as a whole depends on who asks.
    async fn admit_to(
        self: &Arc<Self>,
        asker: &Asker,
        upstream: &Arc<str>,
        listing: &Listing,
    ) -> Result<Option<(Arc<dyn Registry>, Option<Fingerprint>)>, MirrorError> {
        let (Listing::Tags(repository) | Listing::Referrers(repository, _)) = listing else {
            let way = self.upstream(upstream)?;
            let ours = matches!(asker, Asker::Mirror);
            return Ok(ours.then(|| (Arc::clone(&way.registry), None)));
        };
        let origin = Origin {
            upstream: Arc::clone(upstream),
            repository: repository.clone(),
        };
        // Tags, for both: where there are no referrers to be had, a 404 says nothing.
        let proof = Proof::Listing(Listing::Tags(repository.clone()));
        let right = self.admit(asker, &origin, proof).await?;
        Ok(Some((right.registry, right.who)))
    }

    /// A list for nobody but the one who asks.
    async fn relay(
        &self,
        asker: &Asker,
        upstream: &Arc<str>,
        listing: Listing,
        query: Option<String>,
    ) -> Result<Answer<ListBody>, MirrorError> {
        let registry = self.registry(asker, upstream)?;
        let rules = self.upstream(upstream)?.repositories.clone();
        // On the fetch runtime, like all that talks to upstream.
        let ask = self.fetch_runtime.spawn(async move {
            let body = registry.list(&listing, query.as_deref()).await?;
            readable(&listing, body, &rules)
        });
        let body = ask.await.map_err(|_| MirrorError::Abandoned)??;
        Ok(Answer::new(body, Outcome::Bypass("listing")))
    }

    async fn ask_page(
        &self,
        registry: &dyn Registry,
        page: Page,
        who: Option<Fingerprint>,
    ) -> Result<Kept, MirrorError> {
        let body = registry.list(&page.listing, page.query.as_deref()).await;
        let body = body.map_err(MirrorError::from).inspect_err(|error| {
            // A client may be told so because the list is not for it.
            if is_missing(error) && who.is_none() {
                self.pages.invalidate(&page);
            }
        })?;
        let rules = &self.upstream(&page.upstream)?.repositories;
        let body = readable(&page.listing, body, rules)?;
        let kept = Kept {
            body,
            checked_at: self.clock.now(),
        };
        self.pages.insert(page, kept.clone());
        Ok(kept)
    }

    fn page_of(&self, kept: Kept, outcome: Outcome) -> Answer<ListBody> {
        let age = self.clock.now().saturating_sub(kept.checked_at);
        Answer {
            value: kept.body,
            outcome,
            age: Some(Duration::from_secs(age)),
        }
    }
}

/// The page in a form that clients can read, without what they may not, or the error that upstream's answer is.
fn readable(
    listing: &Listing,
    body: ListBody,
    rules: &RepositoryRules,
) -> Result<ListBody, MirrorError> {
    let repaired = match listing {
        Listing::Tags(repository) => {
            TagList::read(repository, &body.bytes).map(|(list, is_exact)| {
                (!is_exact).then(|| serde_json::to_vec(&list).unwrap_or_default())
            })
        }
        Listing::Referrers(..) => Referrers::read(&body.bytes).map(|_| None),
        Listing::Catalog => permitted(&body.bytes, rules).ok(),
    };
    let repaired = repaired.ok_or_else(|| {
        let place = "what upstream sent for a listing is none";
        MirrorError::from(UpstreamError::new(ErrorKind::Protocol, place))
    })?;
    Ok(match repaired {
        Some(bytes) => ListBody {
            bytes: bytes.into(),
            ..body
        },
        None => body,
    })
}

/// A page of a catalog without the repositories that may not be pulled; `None` where that is all of it.
fn permitted(page: &[u8], rules: &RepositoryRules) -> serde_json::Result<Option<Vec<u8>>> {
    let mut catalog: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(page)?;
    if rules.is_empty() {
        return Ok(None);
    }
    if let Some(names) = catalog.get_mut("repositories") {
        let may = |name: &serde_json::Value| {
            let name = name.as_str().and_then(|name| name.parse().ok());
            name.is_some_and(|name: Repository| rules.permit(&name))
        };
        match names.as_array_mut() {
            Some(names) => names.retain(may),
            // Whatever it is, it names nothing that may be pulled.
            None => *names = serde_json::Value::Array(Vec::new()),
        }
    }
    serde_json::to_vec(&catalog).map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_catalog_is_told_without_what_may_not_be_pulled() {
        let rules = RepositoryRules {
            allow: vec!["library/*".parse().unwrap()],
            deny: Vec::new(),
        };
        let page = br#"{"repositories":["library/a","other/b",7,"library/c"]}"#;
        let told = permitted(page, &rules).unwrap().unwrap();
        assert_eq!(told, br#"{"repositories":["library/a","library/c"]}"#);
        let odd = permitted(br#"{"repositories":"other/b"}"#, &rules).unwrap();
        assert_eq!(odd.unwrap(), br#"{"repositories":[]}"#);
        assert_eq!(permitted(page, &RepositoryRules::default()).unwrap(), None);
        assert!(permitted(b"[]", &rules).is_err());
    }
}
