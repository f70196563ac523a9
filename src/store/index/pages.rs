//! What is here, page by page in the order of digests: for the operator's eyes, not for hits.

use std::collections::BTreeMap;

use super::Index;
use super::key::Key;
use crate::oci::Digest;
use crate::store::Held;

impl Index {
    /// What is here behind `after`, at most `limit` of it. Looks at every entry.
    pub(in crate::store) fn page(&self, after: Option<&Digest>, limit: usize) -> Vec<Held> {
        let after = after.and_then(Key::of);
        let mut page = BTreeMap::new();
        for (id, entry) in self.table.iter() {
            let behind = after.as_ref().is_none_or(|after| entry.key > *after);
            if !entry.is_present || !behind {
                continue;
            }
            page.insert(&entry.key, id);
            if page.len() > limit {
                page.pop_last();
            }
        }
        let held = page.into_values().map(|id| {
            let entry = &self.table[id];
            Held {
                digest: entry.key.digest(),
                size: entry.size,
                last_use: entry.last_use.into(),
                is_pinned: entry.is_pinned,
            }
        });
        held.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_in_order() {
        let mut index = Index::default();
        let mut digests: Vec<_> = (0..10_u8).map(|n| Digest::sha256_of(&[n])).collect();
        for digest in &digests {
            index.admit(digest, 7, 9);
        }
        index.pin("one", &digests[..1]);
        let pinned = digests[0].clone();
        digests.sort();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = index.page(after.as_ref(), 3);
            let Some(last) = page.last() else { break };
            after = Some(last.digest.clone());
            seen.extend(page);
        }
        let names: Vec<_> = seen.iter().map(|held| held.digest.clone()).collect();
        assert_eq!(names, digests);
        for held in seen {
            assert_eq!((held.size, held.last_use), (7, 9));
            assert_eq!(held.is_pinned, held.digest == pinned);
        }
    }
}
