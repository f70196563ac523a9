//! `[upstreams.NAME.tags]`: how old an answer about a tag may be, in general and by rules.

use std::time::Duration;

use super::reading::{Place, Reported};
use super::section::Section;
use crate::oci::Pattern;

/// `[upstreams.NAME.tags]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// For the tags that no rule matches.
    pub otherwise: TagPolicy,
    /// The first that matches counts.
    pub rules: Vec<TagRule>,
}

/// How old an answer about a tag may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagPolicy {
    /// How long a tag is answered without asking the upstream. 0 asks every time.
    pub ttl: Duration,
    /// How long after that it is still answered at once, while the upstream is asked behind the client's back.
    pub stale_while_revalidate: Duration,
    /// How long after `ttl` it is still answered while the upstream does not answer.
    pub stale_if_error: Duration,
    /// How long the upstream's 404 stands. 0 asks every time.
    pub negative_ttl: Duration,
    /// The tag never moves: once it is known, the upstream is not asked again.
    pub is_immutable: bool,
}

/// One of `[[upstreams.NAME.tags.rules]]`: a policy for some tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRule {
    /// What the repository, as the upstream names it, must match.
    pub repository: Pattern,
    /// What the tag must match.
    pub tag: Pattern,
    /// The table's policy, with what the rule says in its place.
    pub policy: TagPolicy,
}

/// A rule as it is written: what it does not say is the table's.
struct Written {
    place: Place,
    repository: Pattern,
    tag: Pattern,
    is_immutable: Option<bool>,
    ttl: Option<Duration>,
    stale_while_revalidate: Option<Duration>,
    stale_if_error: Option<Duration>,
    negative_ttl: Option<Duration>,
}

pub(super) fn read(section: &mut Section<'_>) -> Result<Tags, Reported> {
    let ttl = section.or("ttl", Duration::from_mins(1));
    let stale_while_revalidate = section.or("stale_while_revalidate", Duration::ZERO);
    let stale_if_error = section.or("stale_if_error", Duration::from_hours(7 * 24));
    let negative_ttl = section.or("negative_ttl", Duration::from_secs(10));
    let rules = section.table_list("rules", read_rule);

    let rules = rules?;
    refuse_unreached(section, &rules)?;
    let otherwise = TagPolicy {
        ttl: ttl?,
        stale_while_revalidate: stale_while_revalidate?,
        stale_if_error: stale_if_error?,
        negative_ttl: negative_ttl?,
        is_immutable: false,
    };
    let rules = rules.into_iter().map(|rule| rule.over(otherwise)).collect();
    Ok(Tags { otherwise, rules })
}

fn read_rule(section: &mut Section<'_>) -> Result<Written, Reported> {
    let repository = section.optional::<Pattern>("repository");
    let tag = section.optional::<Pattern>("tag");
    let is_immutable = section.optional("immutable");
    let ttl = section.optional("ttl");
    let stale_while_revalidate = section.optional("stale_while_revalidate");
    let stale_if_error = section.optional("stale_if_error");
    let negative_ttl = section.optional("negative_ttl");

    let any = |pattern: Option<Pattern>| pattern.map_or_else(|| "*".parse(), Ok);
    let no_pattern = |_| section.own_error("a pattern that matches all cannot be had");
    let rule = Written {
        place: section.own_place(),
        repository: any(repository?).map_err(no_pattern)?,
        tag: any(tag?).map_err(no_pattern)?,
        is_immutable: is_immutable?,
        ttl: ttl?,
        stale_while_revalidate: stale_while_revalidate?,
        stale_if_error: stale_if_error?,
        negative_ttl: negative_ttl?,
    };
    refuse_without_effect(section, &rule)?;
    Ok(rule)
}

/// Reports a rule that says nothing, and what it says of the age of an answer that does not age.
fn refuse_without_effect(section: &Section<'_>, rule: &Written) -> Result<(), Reported> {
    let ages = [
        ("ttl", rule.ttl),
        ("stale_while_revalidate", rule.stale_while_revalidate),
        ("stale_if_error", rule.stale_if_error),
    ];
    if rule.is_immutable == Some(true) {
        let mut outcome = Ok(());
        for (key, _) in ages.iter().filter(|(_, said)| said.is_some()) {
            outcome = Err(section.error(key, "has no effect where immutable is true"));
        }
        return outcome;
    }
    let is_silent = ages.iter().all(|(_, said)| said.is_none());
    if is_silent && rule.is_immutable.is_none() && rule.negative_ttl.is_none() {
        return Err(section.own_error(
            "has no effect: say immutable, ttl, stale_while_revalidate, stale_if_error or negative_ttl",
        ));
    }
    Ok(())
}

/// Reports each rule that no tag comes to, as far as that is plain.
fn refuse_unreached(section: &Section<'_>, rules: &[Written]) -> Result<(), Reported> {
    let covers = |wide: &Pattern, narrow: &Pattern| wide.as_str() == "*" || wide == narrow;
    let mut outcome = Ok(());
    for (at, rule) in rules.iter().enumerate() {
        let earlier = rules[..at].iter().position(|earlier| {
            covers(&earlier.repository, &rule.repository) && covers(&earlier.tag, &rule.tag)
        });
        if let Some(earlier) = earlier {
            let message = format!("has no effect: rules[{earlier}] matches all that it matches");
            outcome = Err(section.reading().error(&rule.place, message));
        }
    }
    outcome
}

impl Written {
    fn over(self, otherwise: TagPolicy) -> TagRule {
        let policy = TagPolicy {
            ttl: self.ttl.unwrap_or(otherwise.ttl),
            stale_while_revalidate: self
                .stale_while_revalidate
                .unwrap_or(otherwise.stale_while_revalidate),
            stale_if_error: self.stale_if_error.unwrap_or(otherwise.stale_if_error),
            negative_ttl: self.negative_ttl.unwrap_or(otherwise.negative_ttl),
            is_immutable: self.is_immutable.unwrap_or(otherwise.is_immutable),
        };
        TagRule {
            repository: self.repository,
            tag: self.tag,
            policy,
        }
    }
}
