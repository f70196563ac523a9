//! What was learnt and is not in the tables yet.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::store::Record;

/// How many links, and how many records, may wait for a disk that takes nothing. What would be more is forgotten, but
/// for what is not so any more: that costs questions.
const MOST: usize = 100_000;

/// The last word on one row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word<T> {
    /// It holds this.
    Is(T),
    /// It is not there.
    Not,
}

impl<T> Word<T> {
    pub(super) fn of(said: Option<T>) -> Self {
        said.map_or(Self::Not, Self::Is)
    }

    pub(super) fn said(self) -> Option<T> {
        match self {
            Self::Is(it) => Some(it),
            Self::Not => None,
        }
    }

    pub(super) fn is_so(&self) -> bool {
        matches!(self, Self::Is(_))
    }
}

/// Words on the rows of one table, by its keys and in their order.
pub(super) type Words<T> = BTreeMap<String, Word<T>>;

/// What is written in one step.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) records: Words<Record>,
    pub(super) links: Words<()>,
    pub(super) public: Words<()>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.links.is_empty() && self.public.is_empty()
    }
}

/// The newest word on each row, until it is written.
#[derive(Default)]
pub(super) struct Learnt {
    new: Batch,
    /// What somebody is writing at this moment: older than `new`, and believed until the tables say it.
    in_writing: Arc<Batch>,
    /// How many times links were taken out of the table.
    unlinked: u64,
    /// Whether anything was forgotten since somebody was told so.
    has_forgotten: bool,
}

impl Learnt {
    pub(super) fn record(&self, key: &str) -> Option<&Word<Record>> {
        let newest = self.new.records.get(key);
        newest.or_else(|| self.in_writing.records.get(key))
    }

    pub(super) fn link(&self, key: &str) -> Option<&Word<()>> {
        let newest = self.new.links.get(key);
        newest.or_else(|| self.in_writing.links.get(key))
    }

    pub(super) fn public(&self, key: &str) -> Option<&Word<()>> {
        let newest = self.new.public.get(key);
        newest.or_else(|| self.in_writing.public.get(key))
    }

    /// The words on all records whose key begins with `prefix`.
    pub(super) fn records(&self, prefix: &str) -> Words<Record> {
        both(&self.in_writing.records, &self.new.records, prefix)
    }

    /// The words on all links whose key begins with `prefix`.
    pub(super) fn links(&self, prefix: &str) -> Words<()> {
        both(&self.in_writing.links, &self.new.links, prefix)
    }

    /// How many times links were taken out of the table so far: who has read it before that knows nothing for certain.
    pub(super) fn unlinked(&self) -> u64 {
        self.unlinked
    }

    pub(super) fn say_record(&mut self, key: String, word: Word<Record>) {
        self.has_forgotten |= add(&mut self.new.records, key, word);
    }

    pub(super) fn say_link(&mut self, key: String, word: Word<()>) {
        self.has_forgotten |= add(&mut self.new.links, key, word);
    }

    pub(super) fn say_public(&mut self, key: String, word: Word<()>) {
        self.has_forgotten |= add(&mut self.new.public, key, word);
    }

    /// All that waits, for one who writes it, and then says [`Learnt::written`] or [`Learnt::not_written`]. One at a time.
    pub(super) fn take(&mut self) -> Option<Arc<Batch>> {
        // Of one who said neither.
        self.not_written();
        if self.new.is_empty() {
            return None;
        }
        self.in_writing = Arc::new(std::mem::take(&mut self.new));
        Some(Arc::clone(&self.in_writing))
    }

    /// Whether anything was forgotten that nobody has written; says so once.
    pub(super) fn has_forgotten(&mut self) -> bool {
        std::mem::take(&mut self.has_forgotten)
    }

    /// The tables say it, and what is held of them in memory.
    pub(super) fn written(&mut self) {
        let batch = std::mem::take(&mut self.in_writing);
        if batch.links.values().any(|word| !word.is_so()) {
            self.unlinked += 1;
        }
    }

    /// It waits again, but for what there is a newer word on.
    pub(super) fn not_written(&mut self) {
        let batch = std::mem::take(&mut self.in_writing);
        if batch.is_empty() {
            return;
        }
        let newer = std::mem::take(&mut self.new);
        self.new = Batch {
            records: both(&batch.records, &newer.records, ""),
            links: both(&batch.links, &newer.links, ""),
            public: both(&batch.public, &newer.public, ""),
        };
    }
}

/// The words of both on the keys that begin with `prefix`, where both have one the newer.
fn both<T: Clone>(older: &Words<T>, newer: &Words<T>, prefix: &str) -> Words<T> {
    let words = [older, newer].map(|words| {
        let from = words.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(|(key, _)| key.starts_with(prefix))
    });
    let words = words.into_iter().flatten();
    words
        .map(|(key, word)| (key.clone(), word.clone()))
        .collect()
}

/// Gives whether something had to be forgotten for it.
fn add<T>(words: &mut Words<T>, key: String, word: Word<T>) -> bool {
    let is_too_much = words.len() >= MOST && word.is_so() && !words.contains_key(&key);
    if is_too_much {
        words.retain(|_, word| !word.is_so());
    }
    words.insert(key, word);
    is_too_much
}

#[cfg(test)]
mod tests {
    use super::*;

    const IS: Word<()> = Word::Is(());

    #[test]
    fn the_newest_word_counts_whether_the_older_one_is_written_or_not() {
        for is_written in [true, false] {
            let mut learnt = Learnt::default();
            learnt.say_link("a".into(), IS);
            learnt.say_link("b".into(), IS);
            let batch = learnt.take().unwrap();
            assert_eq!(batch.links.len(), 2);
            learnt.say_link("a".into(), Word::Not);
            assert_eq!(learnt.link("a"), Some(&Word::Not));
            assert_eq!(learnt.link("b"), Some(&IS));
            if is_written {
                learnt.written();
            } else {
                learnt.not_written();
            }
            assert_eq!(learnt.link("a"), Some(&Word::Not));
            assert_eq!(learnt.link("b").is_some(), !is_written);
            let rest = learnt.take().unwrap();
            assert_eq!(rest.links.len(), if is_written { 1 } else { 2 });
            assert_eq!(learnt.unlinked(), 0);
            learnt.written();
            assert_eq!(learnt.unlinked(), 1);
            assert!(learnt.take().is_none());
        }
    }

    #[test]
    fn what_a_writer_left_without_a_word_waits_again() {
        let mut learnt = Learnt::default();
        learnt.say_link("a".into(), IS);
        drop(learnt.take());
        assert_eq!(learnt.take().unwrap().links.len(), 1);
    }

    #[test]
    fn of_too_much_only_what_is_not_so_any_more_stays() {
        let mut learnt = Learnt::default();
        learnt.say_link("gone".into(), Word::Not);
        for nth in 1..MOST {
            learnt.say_link(nth.to_string(), IS);
        }
        assert_eq!(learnt.links("").len(), MOST);
        // A word on what is there already takes no room.
        learnt.say_link("1".into(), IS);
        assert_eq!(learnt.links("").len(), MOST);
        assert!(!learnt.has_forgotten());
        learnt.say_link("one more".into(), IS);
        assert_eq!(learnt.link("gone"), Some(&Word::Not));
        assert_eq!(learnt.link("one more"), Some(&IS));
        assert_eq!(learnt.links("").len(), 2);
        assert!(learnt.has_forgotten() && !learnt.has_forgotten());
    }
}
