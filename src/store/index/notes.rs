//! What the catalog does not know yet, taken in portions.

use super::Index;
use super::key::Key;

/// What the catalog keeps of one digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Row {
    pub(in crate::store) key: Key,
    /// Bytes.
    pub(in crate::store) size: u64,
    /// Seconds since the Unix epoch.
    pub(in crate::store) last_use: u32,
    /// The rank in the order of eviction.
    pub(in crate::store) rank: u32,
    /// What it references, if it is a manifest.
    pub(in crate::store) references: Vec<Key>,
}

/// Changes for the catalog: first what is gone, then what is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Notes {
    pub(in crate::store) gone: Vec<Key>,
    pub(in crate::store) here: Vec<Row>,
}

impl Notes {
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.here.is_empty()
    }
}

impl Index {
    /// Takes all that is gone and at most `limit` of what is here since the last time.
    pub(in crate::store) fn take_notes(&mut self, limit: usize) -> Notes {
        let mut notes = Notes {
            gone: std::mem::take(&mut self.forgotten),
            here: Vec::new(),
        };
        while notes.here.len() < limit
            && let Some(id) = self.unnoted.pop()
        {
            let entry = &mut self.table[id];
            // The number may be another's by now, or its content gone.
            if !std::mem::take(&mut entry.is_unnoted) || !entry.is_present {
                continue;
            }
            let entry = &self.table[id];
            let references = self.edges.get(&id).into_iter().flatten();
            notes.here.push(Row {
                key: entry.key.clone(),
                size: entry.size,
                last_use: entry.last_use,
                rank: entry.rank,
                references: references.map(|id| self.table[*id].key.clone()).collect(),
            });
        }
        if self.unnoted.is_empty() {
            self.unnoted.shrink_to_fit();
        }
        notes
    }

    /// Notes that could not be written wait for the next time.
    pub(in crate::store) fn give_back_notes(&mut self, notes: Notes) {
        for row in notes.here {
            if let Some(id) = self.table.find(&row.key) {
                self.mark_unnoted(id);
            }
        }
        self.forgotten.extend(notes.gone);
        // What came again since is to be written after it is forgotten.
        for at in 0..self.forgotten.len() {
            if let Some(id) = self.table.find(&self.forgotten[at]) {
                self.mark_unnoted(id);
            }
        }
    }

    pub(super) fn mark_unnoted(&mut self, id: super::Id) {
        let entry = &mut self.table[id];
        if entry.is_present && !std::mem::replace(&mut entry.is_unnoted, true) {
            self.unnoted.push(id);
        }
    }
}
