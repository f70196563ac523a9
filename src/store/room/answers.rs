//! What the index knows, in the words of [`Retention`](crate::store::Retention).

use std::collections::HashSet;

use super::Room;
use crate::oci::{Digest, Tag};
use crate::store::{
    Amount, Explained, Garbage, Listed, Pin, StoreError, StoreErrorKind, Usage, Why,
};

impl Room {
    /// `digest` was used at `now` (Unix seconds).
    pub(in crate::store) fn used(&mut self, digest: &Digest, now: u64) {
        self.hear(now);
        self.index.used(digest, now);
    }

    /// How much content is here, as far as it is known.
    pub(in crate::store) fn content(&self) -> Amount {
        let totals = self.index.totals();
        Amount {
            count: totals.count + self.told.count,
            bytes: totals.bytes + self.told.bytes,
        }
    }

    /// What is used, and what was done about it.
    pub(in crate::store) fn usage(&self) -> Usage {
        let content = self.content();
        Usage {
            content_bytes: content.bytes,
            content_count: content.count,
            fills_bytes: self.fills.on_disk(),
            reserved_bytes: self.fills.outstanding(),
            pinned_bytes: self.index.totals().pinned_bytes,
            capacity: self.limits.capacity,
            evicted: self.evicted,
            verified: self.verified,
            wrong: self.wrong,
        }
    }

    /// Every pin, sorted by name.
    pub(in crate::store) fn pins(&self) -> Vec<Pin> {
        let pins = self.index.pins().into_iter();
        pins.map(|(name, digests)| Pin { name, digests }).collect()
    }

    /// What may be collected: see [`Retention::collectable`](crate::store::Retention::collectable). `roots` are what
    /// records name.
    pub(in crate::store) fn garbage(
        &self,
        roots: &[Digest],
        now: u64,
        unused_for: u64,
        max_age: Option<u64>,
    ) -> Result<Vec<Garbage>, StoreError> {
        if !self.knows_all() {
            return Err(StoreError::new(
                StoreErrorKind::Unready,
                "look for garbage in",
                "the data folder",
                "it has not been looked through yet",
            ));
        }
        let before = |age: u64| now.saturating_sub(age);
        let idle_since = before(max_age.map_or(unused_for, |age| age.min(unused_for)));
        let idle = self.index.idle_since(idle_since, roots).into_iter();
        let garbage = idle.filter_map(|it| {
            let is_garbage = !it.is_reached && it.last_use <= before(unused_for);
            let is_old = max_age.is_some_and(|age| it.last_use <= before(age));
            let why = match (is_garbage, is_old) {
                (true, _) => Why::Unreferenced,
                (false, true) => Why::Unused,
                (false, false) => return None,
            };
            Some(Garbage {
                digest: it.digest,
                size: it.size,
                why,
            })
        });
        Ok(garbage.collect())
    }

    /// What is known of `digest` without the catalog, and what reaches it, itself included.
    pub(in crate::store) fn explain(&self, digest: &Digest) -> (Explained, HashSet<Digest>) {
        let condition = self.index.condition(digest);
        let explained = Explained {
            size: condition.present.map(|(size, _)| size),
            last_use: condition.present.map(|(_, last_use)| last_use),
            pins: self.index.pinned_by(digest),
            readers: condition.readers,
            ..Explained::default()
        };
        (explained, condition.above)
    }

    /// What is here of `tag`, whose record names `digest`.
    pub(in crate::store) fn listed(&self, tag: Tag, digest: &Digest) -> Listed {
        let (bytes, last_use) = self.index.extent(digest);
        Listed {
            tag,
            digest: digest.clone(),
            bytes,
            last_use,
        }
    }
}
