//! Which tags are the latest: an order over tags as people number them.

use std::cmp::{Ordering, Reverse};

use crate::oci::Tag;

/// The `latest` of `tags`, the newest first; all of them, in that order, if no number is given.
///
/// Tags that begin with a number (`1.25.3`, `v2`, `2024-06-01`) are ordered by their numbers, and are newer than all others.
/// What follows the numbers behind a `-` or `+` makes a tag older than the one without (`1.2-rc1` before `1.2`), as in
/// Semantic Versioning section 11; what is equal in all is ordered as text.
pub fn newest(mut tags: Vec<Tag>, latest: Option<usize>) -> Vec<Tag> {
    tags.sort_by_cached_key(|tag| Reverse(Version::of(tag.as_str())));
    tags.dedup();
    tags.truncate(latest.unwrap_or(usize::MAX));
    tags
}

/// A tag taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    /// The numbers at its beginning; none: it is no version.
    numbers: Vec<String>,
    rest: String,
    text: String,
}

impl Version {
    fn of(text: &str) -> Self {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let end = bare
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(bare.len());
        let (head, rest) = bare.split_at(end);
        let numbers = head.split('.').filter(|it| !it.is_empty());
        Self {
            numbers: numbers.map(str::to_owned).collect(),
            rest: rest.to_owned(),
            text: text.to_owned(),
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let is_version = |it: &Self| !it.numbers.is_empty();
        is_version(self)
            .cmp(&is_version(other))
            .then_with(|| by_numbers(&self.numbers, &other.numbers))
            // Nothing behind the numbers is the release itself.
            .then_with(|| self.rest.is_empty().cmp(&other.rest.is_empty()))
            .then_with(|| by_pieces(&self.rest, &other.rest))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Number by number; a missing one is less than any.
fn by_numbers(ours: &[String], theirs: &[String]) -> Ordering {
    let pairs = ours.iter().zip(theirs);
    pairs
        .map(|(one, other)| number(one, other))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| ours.len().cmp(&theirs.len()))
}

/// Two numbers in digits, however long.
fn number(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Runs of digits as numbers, all else as text: `rc2` before `rc10`.
fn by_pieces(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    let digits = |it: &str| it.starts_with(|c: char| c.is_ascii_digit());
    loop {
        let order = match (piece(&mut one), piece(&mut other)) {
            (None, None) => return Ordering::Equal,
            (a, b) if a.is_none() || b.is_none() => return a.is_some().cmp(&b.is_some()),
            (Some(a), Some(b)) if digits(a) && digits(b) => number(a, b),
            (a, b) => a.cmp(&b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the next run of digits, or of anything else.
fn piece<'t>(text: &mut &'t str) -> Option<&'t str> {
    let first = text.chars().next()?.is_ascii_digit();
    let end = text
        .find(|c: char| c.is_ascii_digit() != first)
        .unwrap_or(text.len());
    let (piece, rest) = text.split_at(end);
    *text = rest;
    Some(piece)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::oci::strategies;

    fn sorted(tags: &[&str], latest: Option<usize>) -> Vec<String> {
        let tags = tags.iter().map(|it| it.parse().unwrap()).collect();
        newest(tags, latest).iter().map(Tag::to_string).collect()
    }

    #[test]
    fn numbers_count_before_text_and_releases_before_their_candidates() {
        assert_eq!(
            sorted(
                &[
                    "latest",
                    "1.9",
                    "1.10",
                    "1.10-rc2",
                    "1.10-rc10",
                    "v1.10.1",
                    "edge",
                    "2-alpine",
                    "1.10.0"
                ],
                None
            ),
            [
                "2-alpine",
                "v1.10.1",
                "1.10.0",
                "1.10",
                "1.10-rc10",
                "1.10-rc2",
                "1.9",
                "latest",
                "edge"
            ]
        );
        assert_eq!(
            sorted(&["20240601", "20231231", "99"], Some(2)),
            ["20240601", "20231231"]
        );
        assert_eq!(sorted(&["3.19", "3.9", "3.20"], Some(2)), ["3.20", "3.19"]);
        assert_eq!(sorted(&["a", "a"], None), ["a"]);
        let long = "9".repeat(60);
        assert_eq!(sorted(&["1", &long], Some(1)), [long]);
    }

    proptest! {
        #[test]
        fn any_tags_have_one_order(tags in prop::collection::vec(strategies::tag(), 0..12)) {
            let one = newest(tags.clone(), None);
            let mut turned = tags;
            turned.reverse();
            prop_assert_eq!(newest(turned, None), one);
        }

        #[test]
        fn it_is_an_order(a in "[v]?[0-9.]{0,4}[a-z0-9.-]{0,5}", b in "[v]?[0-9.]{0,4}[a-z0-9.-]{0,5}", c in "[v]?[0-9.]{0,4}[a-z0-9.-]{0,5}") {
            let mut keys = [Version::of(&a), Version::of(&b), Version::of(&c)];
            keys.sort();
            prop_assert!(keys[0] <= keys[1] && keys[1] <= keys[2] && keys[0] <= keys[2]);
        }
    }
}
