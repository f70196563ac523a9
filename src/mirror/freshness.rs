//! Whether a record may be served as it is: a decision on values, with no clock and no network inside.

use std::time::Duration;

use crate::oci::{Pattern, Repository, Tag};

/// How long a tag's answer is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagPolicy {
    /// For this long after a check, upstream is not asked again.
    pub ttl: Duration,
    /// For this long after `ttl`, the record is served at once and upstream asked behind the client's back.
    pub stale_while_revalidate: Duration,
    /// For this long after `ttl`, the record is served when upstream is out.
    pub stale_if_error: Duration,
    /// For this long, upstream's 404 stands.
    pub negative_ttl: Duration,
    /// The tag never moves: once known, upstream is not asked again.
    pub is_immutable: bool,
}

/// The policies of one upstream's tags: the first rule that matches counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPolicies {
    /// In the order in which they are tried.
    pub rules: Vec<TagRule>,
    /// For tags that no rule matches.
    pub otherwise: TagPolicy,
}

/// A policy for some tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    /// What the repository, as upstream names it, must match.
    pub repository: Pattern,
    /// What the tag must match.
    pub tag: Pattern,
    /// How long answers for these tags are good.
    pub policy: TagPolicy,
}

impl TagPolicies {
    /// The same policy for all tags.
    pub fn all(policy: TagPolicy) -> Self {
        Self {
            rules: Vec::new(),
            otherwise: policy,
        }
    }

    /// The policy for `tag` of `repository`.
    pub(super) fn of(&self, repository: &Repository, tag: &Tag) -> TagPolicy {
        let rule = self.rules.iter().find(|rule| {
            rule.repository.matches(repository.as_str()) && rule.tag.matches(tag.as_str())
        });
        rule.map_or(self.otherwise, |rule| rule.policy)
    }
}

/// What to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Serve it; upstream is not asked.
    Fresh,
    /// Ask upstream; if it is out, the record may stand in.
    Revalidate,
    /// Ask upstream; the record is too old to stand in.
    Expired,
}

/// Judges a record that upstream confirmed at `checked_at`, both times in seconds since the Unix epoch.
///
/// A record from the future (the clock was ahead, and set back) is not fresh: when it was checked is not known.
pub(super) fn freshness(policy: TagPolicy, checked_at: u64, now: u64) -> Freshness {
    let age = Duration::from_secs(now.saturating_sub(checked_at));
    if checked_at <= now && age < policy.ttl {
        Freshness::Fresh
    } else if age < policy.ttl.saturating_add(policy.stale_if_error) {
        Freshness::Revalidate
    } else {
        Freshness::Expired
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: TagPolicy = TagPolicy {
        ttl: Duration::from_mins(1),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::from_mins(10),
        negative_ttl: Duration::ZERO,
        is_immutable: false,
    };

    #[test]
    fn the_bounds_are_exact() {
        for (age, judged) in [
            (0, Freshness::Fresh),
            (59, Freshness::Fresh),
            (60, Freshness::Revalidate),
            (659, Freshness::Revalidate),
            (660, Freshness::Expired),
        ] {
            assert_eq!(freshness(POLICY, 1_000, 1_000 + age), judged, "age {age}");
        }
    }

    #[test]
    fn a_record_from_the_future_is_asked_about() {
        assert_eq!(freshness(POLICY, 1_001, 1_000), Freshness::Revalidate);
    }

    #[test]
    fn a_ttl_of_zero_is_never_fresh() {
        let policy = TagPolicy {
            ttl: Duration::ZERO,
            ..POLICY
        };
        assert_eq!(freshness(policy, 1_000, 1_000), Freshness::Revalidate);
    }

    proptest! {
        #[test]
        fn a_record_only_ever_ages(checked_at: u64, now: u64, later: u32) {
            prop_assume!(checked_at <= now);
            let rank = |judged| match judged {
                Freshness::Fresh => 0,
                Freshness::Revalidate => 1,
                Freshness::Expired => 2,
            };
            let early = freshness(POLICY, checked_at, now);
            let late = freshness(POLICY, checked_at, now.saturating_add(u64::from(later)));
            prop_assert!(rank(early) <= rank(late));
        }
    }
}
