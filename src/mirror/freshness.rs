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
    /// Serve it, and ask upstream without letting the client wait.
    RevalidateBehind,
    /// Ask upstream; if it is out, the record may stand in.
    Revalidate,
    /// Ask upstream; the record is too old to stand in.
    Expired,
}

/// Judges a record that upstream confirmed at `checked_at`, both times in seconds since the Unix epoch.
///
/// A record from the future (the clock was ahead, and set back) is not fresh: when it was checked is not known.
pub(super) fn freshness(policy: TagPolicy, checked_at: u64, now: u64) -> Freshness {
    if policy.is_immutable {
        return Freshness::Fresh;
    }
    let age = Duration::from_secs(now.saturating_sub(checked_at));
    let within = |more: Duration| age < policy.ttl.saturating_add(more);
    if checked_at > now {
        Freshness::Revalidate
    } else if within(Duration::ZERO) {
        Freshness::Fresh
    } else if within(policy.stale_while_revalidate) {
        Freshness::RevalidateBehind
    } else if within(policy.stale_if_error) {
        Freshness::Revalidate
    } else {
        Freshness::Expired
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
    fn a_record_is_fresh_then_to_be_asked_about_then_expired() {
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
    fn between_fresh_and_stale_it_may_be_asked_about_behind_the_clients_back() {
        let policy = TagPolicy {
            stale_while_revalidate: Duration::from_mins(1),
            ..POLICY
        };
        for (age, judged) in [
            (59, Freshness::Fresh),
            (60, Freshness::RevalidateBehind),
            (119, Freshness::RevalidateBehind),
            (120, Freshness::Revalidate),
        ] {
            assert_eq!(freshness(policy, 1_000, 1_000 + age), judged, "age {age}");
        }
    }

    #[test]
    fn a_record_from_the_future_is_asked_about() {
        assert_eq!(freshness(POLICY, 1_001, 1_000), Freshness::Revalidate);
    }

    #[test]
    fn a_ttl_of_zero_is_never_fresh_and_an_immutable_tag_always() {
        let zero = TagPolicy {
            ttl: Duration::ZERO,
            ..POLICY
        };
        assert_eq!(freshness(zero, 1_000, 1_000), Freshness::Revalidate);
        let immutable = TagPolicy {
            is_immutable: true,
            ..zero
        };
        assert_eq!(freshness(immutable, 1_000, u64::MAX), Freshness::Fresh);
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rule = |repository: &str, tag: &str, seconds| TagRule {
            repository: repository.parse().unwrap(),
            tag: tag.parse().unwrap(),
            policy: TagPolicy {
                ttl: Duration::from_secs(seconds),
                ..POLICY
            },
        };
        let policies = TagPolicies {
            rules: vec![
                rule("library/*", "latest", 1),
                rule("*", "v[0-9]*", 2),
                rule("library/*", "*", 3),
            ],
            otherwise: POLICY,
        };
        let ttl = |repository: &str, tag: &str| {
            let policy = policies.of(&repository.parse().unwrap(), &tag.parse().unwrap());
            policy.ttl.as_secs()
        };
        assert_eq!(ttl("library/alpine", "latest"), 1);
        assert_eq!(ttl("library/alpine", "v1"), 2);
        assert_eq!(ttl("library/alpine", "3"), 3);
        assert_eq!(ttl("o/r", "3"), 60);
    }

    proptest! {
        #[test]
        fn a_record_only_ever_ages(checked_at: u64, now: u64, later: u32, behind: u16) {
            prop_assume!(checked_at <= now);
            let policy = TagPolicy {
                stale_while_revalidate: Duration::from_secs(behind.into()),
                ..POLICY
            };
            let rank = |judged| match judged {
                Freshness::Fresh => 0,
                Freshness::RevalidateBehind => 1,
                Freshness::Revalidate => 2,
                Freshness::Expired => 3,
            };
            let early = freshness(policy, checked_at, now);
            let late = freshness(policy, checked_at, now.saturating_add(u64::from(later)));
            prop_assert!(rank(early) <= rank(late));
        }
    }
}
