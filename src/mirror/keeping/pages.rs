//! What is kept, page by page.

use std::sync::Arc;

use super::{ContentKept, KeepingError, KeptPage, RepositoryKept, TagKept, key};
use crate::mirror::Mirror;
use crate::oci::Digest;
use crate::store::{Origin, StoreError};

/// Tags counted of one repository at most.
const MOST_TAGS: usize = 10_000;

impl Mirror {
    /// The repositories of which something is kept, of one upstream or of all, by upstream and name: the first
    /// `limit` behind `after` (`upstream/repository`).
    pub fn repositories_kept(
        &self,
        upstream: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<KeptPage<RepositoryKept>, KeepingError> {
        upstream.map_or(Ok(()), |name| self.declared(name))?;
        let (behind, name) = after.and_then(|it| it.split_once('/')).unwrap_or_default();
        let mut upstreams: Vec<_> = self.upstreams.keys().cloned().collect();
        upstreams.sort();
        upstreams.retain(|it| upstream.is_none_or(|only| only == &**it) && &**it >= behind);
        let mut items = Vec::new();
        for upstream in upstreams {
            let after = (&*upstream == behind).then(|| name.parse().ok()).flatten();
            // One more than wanted tells whether there is another page.
            let most = limit + 1 - items.len();
            for repository in self.store.repositories(&upstream, after.as_ref(), most)? {
                items.push((Arc::clone(&upstream), repository));
            }
            if items.len() > limit {
                break;
            }
        }
        let next = cut(&mut items, limit, |(upstream, name)| {
            format!("{upstream}/{name}")
        });
        let items = items.into_iter().map(|(upstream, repository)| {
            let origin = Origin {
                upstream: Arc::clone(&upstream),
                repository: repository.clone(),
            };
            let tags = self.store.tags(&origin, None, MOST_TAGS)?.len();
            Ok(RepositoryKept {
                upstream: upstream.to_string(),
                repository,
                tags: tags as u64,
            })
        });
        Ok(KeptPage {
            items: items.collect::<Result<_, StoreError>>()?,
            next,
        })
    }

    /// The tags of a repository that are kept, by name: the first `limit` behind `after`.
    pub fn tags_kept(
        &self,
        origin: &Origin,
        after: Option<&str>,
        limit: usize,
    ) -> Result<KeptPage<TagKept>, KeepingError> {
        self.declared(&origin.upstream)?;
        let after = after.and_then(|tag| tag.parse().ok());
        let mut items = self.store.list(origin, after.as_ref(), limit + 1)?;
        let next = cut(&mut items, limit, |listed| listed.tag.to_string());
        let mut kept = Vec::new();
        for listed in items {
            let record = self.store.record(&key(origin, &listed.tag))?;
            kept.push(TagKept {
                checked_at: record.map_or(0, |record| record.checked_at),
                pins: self.store.explain(&listed.digest)?.pins,
                parts: self.parts_here(&listed.digest),
                tag: listed.tag,
                digest: listed.digest,
                bytes: listed.bytes,
                last_use: listed.last_use,
            });
        }
        Ok(KeptPage { items: kept, next })
    }

    /// What is kept, by digest: the first `limit` behind `after`.
    pub fn contents_kept(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<KeptPage<ContentKept>, KeepingError> {
        let mut items = self.store.contents(after, limit + 1);
        let next = cut(&mut items, limit, |held| held.digest.to_string());
        let items = items.into_iter().map(|held| ContentKept {
            digest: held.digest,
            size: held.size,
            last_use: held.last_use,
            is_pinned: held.is_pinned,
        });
        Ok(KeptPage {
            items: items.collect(),
            next,
        })
    }
}

/// Cuts a page to `limit`, and tells behind what the next one begins.
fn cut<T>(items: &mut Vec<T>, limit: usize, name: impl Fn(&T) -> String) -> Option<String> {
    if items.len() <= limit {
        return None;
    }
    items.truncate(limit);
    items.last().map(name)
}
