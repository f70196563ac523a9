//! What was learnt and is not in the tables yet.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::store::Record;

/// How many yeses, and how many noes, on the rows of one table may wait for a disk that takes nothing. Of one more yes all
/// are forgotten, and what the table says is believed again: that costs questions. One more no is not taken.
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

/// Words on rows of one table, by its keys and in their order.
pub(super) type Words<T> = BTreeMap<String, Word<T>>;

/// The words on one table that wait.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    words: Words<T>,
    /// How many of them are noes.
    noes: usize,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            words: Words::new(),
            noes: 0,
        }
    }
}

impl<T> Waiting<T> {
    pub(super) fn words(&self) -> &Words<T> {
        &self.words
    }

    fn say(&mut self, key: String, word: Word<T>) {
        let is_so = word.is_so();
        let before = self.words.get(&key).map(Word::is_so);
        let yeses = self.words.len() - self.noes;
        if is_so && before != Some(true) && yeses >= MOST {
            tracing::warn!(
                yeses,
                "too much waits for the catalog to be written: it is forgotten"
            );
            self.words.retain(|_, word| !word.is_so());
        }
        if !is_so && before != Some(false) {
            if self.noes >= MOST {
                return;
            }
            self.noes += 1;
        } else if is_so && before == Some(false) {
            self.noes -= 1;
        }
        self.words.insert(key, word);
    }

    /// Says what `newer` says.
    fn take_in(&mut self, newer: Self) {
        for (key, word) in newer.words {
            self.say(key, word);
        }
    }
}

/// What is written in one step.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) records: Waiting<Record>,
    pub(super) links: Waiting<()>,
    pub(super) public: Waiting<()>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        let Self {
            records,
            links,
            public,
        } = self;
        records.words.is_empty() && links.words.is_empty() && public.words.is_empty()
    }

    /// Says what `newer` says.
    fn take_in(&mut self, newer: Self) {
        self.records.take_in(newer.records);
        self.links.take_in(newer.links);
        self.public.take_in(newer.public);
    }
}

/// The newest word on each row, until it is written.
#[derive(Default)]
pub(super) struct Learnt {
    new: Batch,
    /// What somebody is writing, or could not write: older than `new`, and believed until the tables say it.
    in_writing: Arc<Batch>,
    /// How many times links were taken out of the table.
    unlinked: u64,
}

impl Learnt {
    pub(super) fn record(&self, key: &str) -> Option<&Word<Record>> {
        let newest = self.new.records.words.get(key);
        newest.or_else(|| self.in_writing.records.words.get(key))
    }

    pub(super) fn link(&self, key: &str) -> Option<&Word<()>> {
        let newest = self.new.links.words.get(key);
        newest.or_else(|| self.in_writing.links.words.get(key))
    }

    pub(super) fn public(&self, key: &str) -> Option<&Word<()>> {
        let newest = self.new.public.words.get(key);
        newest.or_else(|| self.in_writing.public.words.get(key))
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
        self.new.records.say(key, word);
    }

    pub(super) fn say_link(&mut self, key: String, word: Word<()>) {
        self.new.links.say(key, word);
    }

    pub(super) fn say_public(&mut self, key: String, word: Word<()>) {
        self.new.public.say(key, word);
    }

    /// All that waits, for one who writes it and then says that it is [`Learnt::written`], or says nothing, and lets go of it
    /// either way. One at a time.
    pub(super) fn take(&mut self) -> Option<Arc<Batch>> {
        let newer = std::mem::take(&mut self.new);
        // What could not be written the last time is in nobody's hands any more.
        match Arc::get_mut(&mut self.in_writing) {
            Some(older) if older.is_empty() => *older = newer,
            Some(older) => older.take_in(newer),
            None => self.new = newer,
        }
        (!self.in_writing.is_empty()).then(|| Arc::clone(&self.in_writing))
    }

    /// The tables say it, and what is held of them in memory.
    pub(super) fn written(&mut self) {
        let batch = std::mem::take(&mut self.in_writing);
        self.unlinked += u64::from(batch.links.noes > 0);
    }
}

/// The words of both on the keys that begin with `prefix`, where both have one the newer.
fn both<T: Clone>(older: &Waiting<T>, newer: &Waiting<T>, prefix: &str) -> Words<T> {
    let words = [older, newer].map(|waiting| {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let words = waiting.words.range::<str, _>(from);
        words.take_while(|(key, _)| key.starts_with(prefix))
    });
    let words = words.into_iter().flatten();
    words
        .map(|(key, word)| (key.clone(), word.clone()))
        .collect()
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
            assert_eq!(batch.links.words.len(), 2);
            learnt.say_link("a".into(), Word::Not);
            assert_eq!(learnt.link("a"), Some(&Word::Not));
            assert_eq!(learnt.link("b"), Some(&IS));
            drop(batch);
            if is_written {
                learnt.written();
            }
            assert_eq!(learnt.link("a"), Some(&Word::Not));
            assert_eq!(learnt.link("b").is_some(), !is_written);
            let rest = learnt.take().unwrap();
            assert_eq!(rest.links.words.len(), if is_written { 1 } else { 2 });
            assert_eq!(rest.links.noes, 1);
            assert_eq!(learnt.unlinked(), 0);
            learnt.written();
            assert_eq!(learnt.unlinked(), 1);
            assert!(learnt.take().is_none());
        }
    }

    #[test]
    fn of_too_much_only_what_is_not_so_any_more_stays() {
        let mut learnt = Learnt::default();
        let many = |learnt: &mut Learnt, what: &str, word: &Word<()>, count: usize| {
            for nth in 0..count {
                learnt.say_link(format!("{what} {nth}"), word.clone());
            }
        };
        learnt.say_link("gone".into(), Word::Not);
        many(&mut learnt, "yes", &IS, MOST);
        assert_eq!(learnt.links("").len(), MOST + 1);
        // A word on what is there already takes no room.
        many(&mut learnt, "yes", &IS, MOST);
        assert_eq!(learnt.links("").len(), MOST + 1);
        learnt.say_link("yes, too".into(), IS);
        assert_eq!(learnt.link("gone"), Some(&Word::Not));
        assert_eq!(learnt.link("yes, too"), Some(&IS));
        assert_eq!(learnt.links("").len(), 2);
        // Also when it waits again behind more.
        drop(learnt.take());
        many(&mut learnt, "yes", &IS, MOST);
        drop(learnt.take());
        assert_eq!(learnt.links("").len(), 2);
        many(&mut learnt, "no", &Word::Not, MOST - 1);
        assert_eq!(learnt.links("no ").len(), MOST - 1);
        learnt.say_link("no, too".into(), Word::Not);
        drop(learnt.take());
        assert_eq!(learnt.link("no, too"), None);
        // Words on the same row change places.
        learnt.say_link("gone".into(), IS);
        learnt.say_link("no, too".into(), Word::Not);
        drop(learnt.take());
        assert_eq!(learnt.link("no, too"), Some(&Word::Not));
    }
}
