//! What reaches what: closures for the collection of garbage and for explanations.

use std::collections::HashSet;

use super::{Id, Index, seconds};
use crate::oci::Digest;

/// What is known of one digest, as far as the index goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Condition {
    /// Its size in bytes and its last use in Unix seconds, if it is here.
    pub(in crate::store) present: Option<(u64, u64)>,
    /// How many read it now.
    pub(in crate::store) readers: u32,
    /// It, and what reaches it.
    pub(in crate::store) above: HashSet<Digest>,
}

/// What was not used for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Idle {
    pub(in crate::store) digest: Digest,
    pub(in crate::store) size: u64,
    /// Unix seconds.
    pub(in crate::store) last_use: u64,
    /// Whether one of the roots reaches it.
    pub(in crate::store) is_reached: bool,
}

impl Index {
    /// What is here, neither pinned nor being read, and was used last at `at` (Unix seconds) or before: sorted by
    /// digest. `roots` say what is reached.
    pub(in crate::store) fn idle_since(&self, at: u64, roots: &[Digest]) -> Vec<Idle> {
        let mut is_reached = vec![false; self.table.end()];
        let mut reached: Vec<Id> = roots.iter().filter_map(|root| self.find(root)).collect();
        while let Some(id) = reached.pop() {
            if !std::mem::replace(&mut is_reached[id as usize], true) {
                reached.extend(self.edges.get(&id).into_iter().flatten());
            }
        }
        let entries = self.table.iter().filter(|(id, entry)| {
            entry.is_present
                && !entry.is_pinned
                && entry.last_use <= seconds(at)
                && !self.readers.contains_key(id)
        });
        let mut idle: Vec<_> = entries
            .map(|(id, entry)| Idle {
                digest: entry.key.digest(),
                size: entry.size,
                last_use: entry.last_use.into(),
                is_reached: is_reached[id as usize],
            })
            .collect();
        idle.sort_by(|one, other| one.digest.cmp(&other.digest));
        idle
    }

    /// What is known of `digest`.
    pub(in crate::store) fn condition(&self, digest: &Digest) -> Condition {
        let Some(id) = self.find(digest) else {
            return Condition {
                above: HashSet::from([digest.clone()]),
                ..Condition::default()
            };
        };
        let entry = &self.table[id];
        let above = self.ancestors(id).into_iter();
        Condition {
            present: entry
                .is_present
                .then(|| (entry.size, u64::from(entry.last_use))),
            readers: self.readers.get(&id).copied().unwrap_or_default(),
            above: above.map(|id| self.table[id].key.digest()).collect(),
        }
    }

    /// How many bytes are here of all that `digest` reaches, itself included, and when it was used last (Unix seconds;
    /// `None` if it is not here itself).
    pub(in crate::store) fn extent(&self, digest: &Digest) -> (u64, Option<u64>) {
        let Some(id) = self.find(digest) else {
            return (0, None);
        };
        let (mut passed, mut reached, mut bytes) = (HashSet::new(), vec![id], 0);
        while let Some(id) = reached.pop() {
            if passed.insert(id) {
                bytes += self.table[id].size;
                reached.extend(self.edges.get(&id).into_iter().flatten());
            }
        }
        let entry = &self.table[id];
        (bytes, entry.is_present.then(|| entry.last_use.into()))
    }

    /// What is present and was not seen by this process yet.
    pub(in crate::store) fn unseen(&self) -> Vec<Digest> {
        let entries = self.table.iter();
        let unseen = entries.filter(|(_, entry)| entry.is_present && !entry.is_seen);
        unseen.map(|(_, entry)| entry.key.digest()).collect()
    }

    /// The file of `digest` was seen, `size` bytes long. Gives whether it is present with that size; `None` if it is not
    /// present at all.
    pub(in crate::store) fn seen(&mut self, digest: &Digest, size: u64) -> Option<bool> {
        let id = self.find(digest)?;
        let entry = &mut self.table[id];
        if !entry.is_present {
            return None;
        }
        entry.is_seen |= entry.size == size;
        Some(entry.size == size)
    }

    /// The entry, and all that reach it. There is no way upwards in the table: each step of it looks at every manifest.
    pub(super) fn ancestors(&self, id: Id) -> HashSet<Id> {
        let mut above = HashSet::from([id]);
        loop {
            let new: Vec<Id> = self
                .edges
                .iter()
                .filter(|(from, to)| {
                    !above.contains(from) && to.iter().any(|child| above.contains(child))
                })
                .map(|(from, _)| *from)
                .collect();
            if new.is_empty() {
                return above;
            }
            above.extend(new);
        }
    }
}
