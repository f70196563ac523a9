//! Pins: names for what must stay, with all that it references.

use std::collections::BTreeSet;

use super::key::Key;
use super::{Id, Index};
use crate::oci::Digest;

impl Index {
    /// Pins `digests`, here or not, and all that they reference, under `name`: in place of what it stood for before.
    pub fn pin(&mut self, name: &str, digests: &[Digest]) {
        let keys = digests.iter().filter_map(Key::of);
        let roots: BTreeSet<_> = keys.map(|key| self.table.entry(&key)).collect();
        for &root in &roots {
            self.table[root].incoming += 1;
        }
        // The new first: what both cover is not let go in between.
        let roots: Box<[Id]> = roots.into_iter().collect();
        let before = self.pins.insert(name.to_owned(), roots.clone());
        for &root in &roots {
            self.spread(root);
        }
        if let Some(before) = before {
            self.unpin_all(&before);
        }
    }

    /// Gives up the pins under `name`; whether there were any.
    pub fn unpin(&mut self, name: &str) -> bool {
        let Some(roots) = self.pins.remove(name) else {
            return false;
        };
        self.unpin_all(&roots);
        true
    }

    /// The names of pins that cover `digest`, sorted.
    pub(in crate::store) fn pinned_by(&self, digest: &Digest) -> Vec<String> {
        let Some(id) = self.find(digest).filter(|id| self.table[*id].is_pinned) else {
            return Vec::new();
        };
        let above = self.ancestors(id);
        let pins = self.pins.iter();
        let covering = pins.filter(|(_, roots)| roots.iter().any(|root| above.contains(root)));
        covering.map(|(name, _)| name.clone()).collect()
    }

    /// Every pin: its name and what it names, sorted.
    pub(in crate::store) fn pins(&self) -> Vec<(String, Vec<Digest>)> {
        let pins = self.pins.iter().map(|(name, roots)| {
            let mut digests: Vec<_> = roots
                .iter()
                .map(|id| self.table[*id].key.digest())
                .collect();
            digests.sort();
            (name.clone(), digests)
        });
        pins.collect()
    }

    /// Spreads the pin of a manifest over what it references.
    pub(super) fn spread_pin(&mut self, id: Id) {
        let children = self.edges.get(&id).map_or_else(Vec::new, |it| it.to_vec());
        for child in children {
            self.spread(child);
        }
    }

    fn spread(&mut self, id: Id) {
        let mut reached = vec![id];
        while let Some(id) = reached.pop() {
            // What is pinned has passed it on.
            if !self.table[id].is_pinned {
                self.change(id, |entry| entry.is_pinned = true);
                reached.extend(self.edges.get(&id).into_iter().flatten());
            }
        }
    }

    /// Takes one pin of each of `roots`. Who covers what is told anew: pins are few, and seldom taken away.
    fn unpin_all(&mut self, roots: &[Id]) {
        for &root in roots {
            self.table[root].incoming -= 1;
        }
        let entries = self.table.iter();
        let pinned = entries.filter(|(_, entry)| entry.is_pinned);
        let before: Vec<Id> = pinned.map(|(id, _)| id).collect();
        for &id in &before {
            self.change(id, |entry| entry.is_pinned = false);
        }
        let roots: Vec<Id> = self.pins.values().flatten().copied().collect();
        for root in roots {
            self.spread(root);
        }
        for id in before {
            if !self.table[id].is_pinned {
                self.release_idle(id);
            }
        }
    }
}
