//! Every content digest in memory: size, last use, what references what, what is pinned, what is being read. Pure: no
//! I/O, no clock.
//!
//! An entry is *present* while its content is here. Others are remembered only as long as something speaks of them: a
//! manifest that references them, a pin, a reader. What a digest references never changes, so it is kept as long as
//! the digest is present or pinned.
//!
//! A million blobs, every tenth a manifest of ten references, take some 90 MB.

mod key;
#[cfg(test)]
mod model;
mod notes;
mod pages;
mod pins;
mod policy;
mod reach;
mod table;
mod victims;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub(super) use self::key::Key;
pub(super) use self::notes::{Notes, Row};
pub use self::policy::Policy;
pub(super) use self::table::Id;
use self::table::{Entry, Table};
use crate::oci::Digest;

/// All that is here, and what is known of it.
#[derive(Default)]
pub struct Index {
    table: Table,
    /// Rank and number of all that is present and not pinned: the order of eviction.
    order: BTreeSet<(u32, Id)>,
    /// What manifests reference, each once.
    edges: HashMap<Id, Box<[Id]>>,
    /// How many read what is being read.
    readers: HashMap<Id, u32>,
    pins: BTreeMap<String, Box<[Id]>>,
    policy: Policy,
    totals: Totals,
    unnoted: Vec<Id>,
    forgotten: Vec<Key>,
}

/// Sums over all that is present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of all.
    pub bytes: u64,
    /// How many there are.
    pub count: u64,
    /// Bytes of what pins cover.
    pub pinned_bytes: u64,
}

/// Seconds since the Unix epoch as an entry holds them.
fn seconds(time: u64) -> u32 {
    u32::try_from(time).unwrap_or(u32::MAX)
}

impl Index {
    /// An empty index, which evicts by `policy`.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// `digest` is here with `size` bytes, and was used at `now`. Admitting it again corrects the size.
    pub fn admit(&mut self, digest: &Digest, size: u64, now: u64) {
        if let Some(key) = Key::of(digest) {
            let id = self.table.entry(&key);
            self.change(id, |entry| {
                entry.size = size;
                entry.is_present = true;
                entry.is_seen = true;
            });
            self.touch(id, seconds(now));
            self.mark_unnoted(id);
        }
    }

    /// The catalog speaks of `row`; whether its content is still here will be seen. What is present is known better.
    /// Gives whether it is new.
    pub(super) fn restore(&mut self, row: &Row) -> bool {
        let id = self.table.entry(&row.key);
        let is_new = !self.table[id].is_present;
        if is_new {
            self.change(id, |entry| {
                entry.size = row.size;
                entry.is_present = true;
            });
        }
        self.change(id, |entry| {
            entry.last_use = entry.last_use.max(row.last_use);
            entry.rank = entry.rank.max(row.rank);
        });
        self.reference(id, &row.references);
        is_new
    }

    /// The manifest `manifest`, which is here, references these digests: using it uses them.
    pub fn references(&mut self, manifest: &Digest, references: &[Digest]) {
        if let Some(id) = self.find(manifest)
            && self.table[id].is_present
        {
            let references: Vec<_> = references.iter().filter_map(Key::of).collect();
            self.reference(id, &references);
            self.mark_unnoted(id);
            let last_use = self.table[id].last_use;
            let children = self.edges.get(&id).map_or_else(Vec::new, |it| it.to_vec());
            self.use_all(children, last_use);
        }
    }

    fn reference(&mut self, id: Id, references: &[Key]) {
        if references.is_empty() || self.edges.contains_key(&id) {
            return;
        }
        let children = references.iter().map(|key| self.table.entry(key));
        // A manifest may name one blob several times, the empty layer above all.
        let children = children.collect::<BTreeSet<_>>();
        for &child in &children {
            self.table[child].incoming += 1;
        }
        self.edges.insert(id, children.into_iter().collect());
        if self.table[id].is_pinned {
            self.spread_pin(id);
        }
    }

    /// `digest` was used at `now`, and with it all that it references. Within one second a second use is none.
    pub fn used(&mut self, digest: &Digest, now: u64) {
        if let Some(id) = self.find(digest) {
            self.use_all(vec![id], seconds(now));
        }
    }

    fn use_all(&mut self, mut reached: Vec<Id>, now: u32) {
        let mut passed = HashSet::new();
        while let Some(id) = reached.pop() {
            let Entry {
                is_present,
                last_use,
                ..
            } = self.table[id];
            // What was used since has passed it on.
            let goes_on = if is_present {
                last_use < now
            } else {
                passed.insert(id)
            };
            if goes_on {
                if is_present {
                    self.touch(id, now);
                    self.mark_unnoted(id);
                }
                reached.extend(self.edges.get(&id).into_iter().flatten());
            }
        }
    }

    /// Its content is gone: gives its size, `None` if it was not here.
    pub fn remove(&mut self, digest: &Digest) -> Option<u64> {
        let id = self.find(digest).filter(|id| self.table[*id].is_present)?;
        let size = self.table[id].size;
        self.change(id, |entry| {
            entry.size = 0;
            entry.last_use = 0;
            entry.rank = 0;
            entry.is_present = false;
            entry.is_seen = false;
        });
        self.forgotten.push(self.table[id].key.clone());
        self.release_idle(id);
        Some(size)
    }

    /// Begins to read it: until [`Index::left`] it is no victim. It need not be here: what is on the disk may not be
    /// known yet.
    pub(super) fn read(&mut self, digest: &Digest) -> Option<Id> {
        let id = self.table.entry(&Key::of(digest)?);
        *self.readers.entry(id).or_default() += 1;
        Some(id)
    }

    /// A reader that began with [`Index::read`] has left.
    pub(super) fn left(&mut self, id: Id) {
        let Some(count) = self.readers.get_mut(&id) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.readers.remove(&id);
            self.release_idle(id);
        }
    }

    /// The size of what is here.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        let entry = &self.table[self.find(digest)?];
        entry.is_present.then_some(entry.size)
    }

    /// Sums over all that is here.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn find(&self, digest: &Digest) -> Option<Id> {
        self.table.find(&Key::of(digest)?)
    }

    fn touch(&mut self, id: Id, now: u32) {
        let policy = self.policy;
        self.change(id, |entry| {
            if now > entry.last_use {
                entry.last_use = now;
                entry.rank = policy.rank(entry.rank, now);
            }
        });
    }

    /// Changes an entry, and with it the order and the sums.
    fn change(&mut self, id: Id, change: impl FnOnce(&mut Entry)) {
        let before = &self.table[id];
        if before.is_present {
            self.totals.bytes -= before.size;
            self.totals.count -= 1;
            if before.is_pinned {
                self.totals.pinned_bytes -= before.size;
            } else {
                self.order.remove(&(before.rank, id));
            }
        }
        change(&mut self.table[id]);
        let after = &self.table[id];
        if after.is_present {
            self.totals.bytes += after.size;
            self.totals.count += 1;
            if after.is_pinned {
                self.totals.pinned_bytes += after.size;
            } else {
                self.order.insert((after.rank, id));
            }
        }
    }

    /// Forgets an absent entry as far as nothing speaks of it: what it references, unless it is pinned, and the entry
    /// itself.
    fn release_idle(&mut self, id: Id) {
        let mut idle = vec![id];
        while let Some(id) = idle.pop() {
            let entry = &self.table[id];
            if entry.is_present {
                continue;
            }
            if !entry.is_pinned {
                for &child in self.edges.remove(&id).iter().flatten() {
                    self.table[child].incoming -= 1;
                    idle.push(child);
                }
            }
            if self.table[id].incoming == 0 && !self.readers.contains_key(&id) {
                self.table.release(id);
            }
        }
    }
}
