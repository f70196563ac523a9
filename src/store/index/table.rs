//! The entries of the index and the way from a digest to its entry: some 70 bytes each in all.

use std::hash::{BuildHasher, RandomState};
use std::ops;

use hashbrown::HashTable;

use super::key::Key;

/// The number of an entry. Given anew when the entry was released.
pub(in crate::store) type Id = u32;

/// What is known of one digest that is here, or that something here speaks of.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and there are a million of them"
)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// Bytes; 0 when it is absent.
    pub(super) size: u64,
    /// Seconds since the Unix epoch, up to the year 2106; 0 when it is absent.
    pub(super) last_use: u32,
    /// The lowest goes first: see [`Policy`](super::Policy). 0 when it is absent.
    pub(super) rank: u32,
    /// How many manifests reference it, and how many pins name it.
    pub(super) incoming: u32,
    pub(super) is_present: bool,
    /// Its file was seen by this process; before, only the catalog spoke of it.
    pub(super) is_seen: bool,
    /// A pin covers it.
    pub(super) is_pinned: bool,
    /// The catalog does not know yet what is here.
    pub(super) is_unnoted: bool,
}

/// The entries by number and by digest.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    free: Vec<Id>,
    ids: HashTable<Id>,
    hasher: RandomState,
}

impl Table {
    pub(super) fn find(&self, key: &Key) -> Option<Id> {
        let same = |id: &Id| self[*id].key == *key;
        self.ids.find(self.hasher.hash_one(key), same).copied()
    }

    /// The entry of `key`: an absent one, if there was none.
    pub(super) fn entry(&mut self, key: &Key) -> Id {
        if let Some(id) = self.find(key) {
            return id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            // More of them than that fit into no memory.
            Id::try_from(self.entries.len() - 1).unwrap_or(Id::MAX)
        });
        self[id].key = key.clone();
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = |id: &Id| hasher.hash_one(&entries[*id as usize].key);
        self.ids.insert_unique(hash(&id), id, hash);
        id
    }

    /// Forgets an entry.
    pub(super) fn release(&mut self, id: Id) {
        let hash = self.hasher.hash_one(&self[id].key);
        if let Ok(found) = self.ids.find_entry(hash, |it| *it == id) {
            found.remove();
            self[id] = Entry::default();
            self.free.push(id);
        }
    }

    /// One more than the highest number given.
    pub(super) fn end(&self) -> usize {
        self.entries.len()
    }

    /// All entries with their numbers; those released are absent and nothing else.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Entry)> {
        (0..).zip(&self.entries)
    }
}

impl ops::Index<Id> for Table {
    type Output = Entry;

    fn index(&self, id: Id) -> &Entry {
        &self.entries[id as usize]
    }
}

impl ops::IndexMut<Id> for Table {
    fn index_mut(&mut self, id: Id) -> &mut Entry {
        &mut self.entries[id as usize]
    }
}
