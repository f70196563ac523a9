//! Listings of what the records know: for a mirror that works offline, where there is nobody else to ask.

use std::sync::Arc;

use serde_json::json;
use url::form_urlencoded;

use super::{Answer, Mirror, MirrorError, Outcome};
use crate::oci::{Repository, Tag};
use crate::store::Origin;
use crate::upstream::{ListBody, Listing};

/// Names on a page when nobody says how many, and at most.
const MOST: usize = 1000;

impl Mirror {
    /// One page of what is known of `listing`, as upstream would give it; `None` when nothing is. Referrers are not
    /// known as a list.
    pub(super) fn known(
        &self,
        upstream: &Arc<str>,
        listing: &Listing,
        query: Option<&str>,
    ) -> Result<Option<Answer<ListBody>>, MirrorError> {
        let (n, last) = page_of(query);
        let mut names: Vec<String> = match listing {
            Listing::Tags(repository) => {
                let origin = Origin {
                    upstream: Arc::clone(upstream),
                    repository: repository.clone(),
                };
                let after = last.as_deref().and_then(|last| last.parse::<Tag>().ok());
                let tags = self.store.tags(&origin, after.as_ref(), n + 1)?;
                tags.iter().map(ToString::to_string).collect()
            }
            Listing::Catalog => {
                let after = last
                    .as_deref()
                    .and_then(|last| last.parse::<Repository>().ok());
                let known = self.store.repositories(upstream, after.as_ref(), n + 1)?;
                known.iter().map(ToString::to_string).collect()
            }
            Listing::Referrers(..) => return Ok(None),
        };
        if names.is_empty() && last.is_none() {
            return Ok(None);
        }
        let more = names.len() > n;
        names.truncate(n);
        let next = names.last().filter(|_| more).map(|last| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("n", &n.to_string());
            query.append_pair("last", last).finish()
        });
        if *listing == Listing::Catalog {
            let rules = &self.upstream(upstream)?.repositories;
            names.retain(|name| name.parse().is_ok_and(|name| rules.permit(&name)));
        }
        let document = match listing {
            Listing::Tags(repository) => json!({"name": repository.as_str(), "tags": names}),
            Listing::Catalog | Listing::Referrers(..) => json!({"repositories": names}),
        };
        let body = ListBody {
            bytes: document.to_string().into(),
            next,
            is_filtered: false,
        };
        Ok(Some(Answer::new(body, Outcome::Stale("offline"))))
    }
}

/// How many names are asked for, and behind which one.
fn page_of(query: Option<&str>) -> (usize, Option<String>) {
    let (mut n, mut last) = (MOST, None);
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*key {
            "n" => n = value.parse().unwrap_or(MOST).clamp(1, MOST),
            "last" => last = Some(value.into_owned()),
            _ => {}
        }
    }
    (n, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_size_within_bounds() {
        assert_eq!(page_of(None), (MOST, None));
        assert_eq!(page_of(Some("n=5&last=a%2Fb")), (5, Some("a/b".to_owned())));
        assert_eq!(page_of(Some("n=99999999")), (MOST, None));
        assert_eq!(page_of(Some("n=0")), (1, None));
        assert_eq!(page_of(Some("n=many")), (MOST, None));
    }
}
