//! The outcomes of answers, as a client learns of them: words in a header.

use std::cmp::Reverse;
use std::fmt;

/// Outcomes, each once, the one that cost most first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcomes(Vec<String>);

impl Outcomes {
    /// Takes one more outcome in.
    pub(super) fn note(&mut self, outcome: &str) {
        if self.0.iter().all(|noted| noted != outcome) {
            self.0.push(outcome.to_owned());
            self.0.sort_by_key(|noted| Reverse(cost(noted)));
        }
    }

    /// Takes all of `others` in.
    pub(super) fn merge(&mut self, others: Self) {
        for outcome in others.0 {
            self.note(&outcome);
        }
    }

    /// The one that cost most. A pull is a miss when anything in it was.
    pub(super) fn dearest(&self) -> &str {
        self.0.first().map_or("none", String::as_str)
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// What an outcome costs, compared with others. One that a demo should not have costs most, so that it is seen.
fn cost(outcome: &str) -> usize {
    let known = ["hit", "revalidated", "join", "miss"];
    let place = known.iter().position(|known| *known == outcome);
    place.unwrap_or(known.len())
}

/// The word in the `detail` of a `Cache-Status` (RFC 9211 section 2.7), without the reason behind it.
pub(super) fn word(cache_status: &str) -> Option<&str> {
    let mut parameters = cache_status.split(';').map(str::trim);
    let detail = parameters.find_map(|parameter| parameter.strip_prefix("detail="))?;
    detail.trim_matches('"').split('(').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Outcome;

    #[test]
    fn the_word_is_read_from_its_header() {
        for outcome in [
            Outcome::Hit,
            Outcome::Miss,
            Outcome::Join,
            Outcome::Stale("x"),
        ] {
            assert_eq!(word(&outcome.cache_status()), Some(outcome.word()));
        }
        assert_eq!(word("another; hit"), None);
    }

    #[test]
    fn the_one_that_cost_most_comes_first() {
        let of = |words: &[&str]| {
            let mut outcomes = Outcomes::default();
            for word in words {
                outcomes.note(word);
            }
            (outcomes.dearest().to_owned(), outcomes.to_string())
        };
        for (words, dearest, all) in [
            (&["hit", "hit"][..], "hit", "hit"),
            (&["hit", "join", "hit"], "join", "join, hit"),
            (&["join", "miss", "hit"], "miss", "miss, join, hit"),
            (&["miss", "bypass"], "bypass", "bypass, miss"),
            (&[], "none", ""),
        ] {
            assert_eq!(of(words), (dearest.to_owned(), all.to_owned()));
        }
    }
}
