//! Which repositories of an upstream are served.

use super::{Pattern, Repository};

/// What an operator says of the repositories of one upstream: those allowed, less those denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryRules {
    /// Those that may be pulled; none named: all.
    pub allow: Vec<Pattern>,
    /// Those that may not, whatever `allow` says.
    pub deny: Vec<Pattern>,
}

impl RepositoryRules {
    /// Whether the repository, as upstream names it, may be pulled.
    pub fn permit(&self, repository: &Repository) -> bool {
        let names = |patterns: &[Pattern]| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| pattern.matches(repository.as_str()))
        };
        (self.allow.is_empty() || names(&self.allow)) && !names(&self.deny)
    }

    /// Whether they say anything at all.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> RepositoryRules {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        RepositoryRules {
            allow: patterns(allow),
            deny: patterns(deny),
        }
    }

    #[test]
    fn what_is_denied_is_denied_and_what_is_allowed_is_all_there_is() {
        let permits = |allow: &[&str], deny: &[&str], name: &str| {
            rules(allow, deny).permit(&name.parse().unwrap())
        };
        assert!(permits(&[], &[], "any/thing"));
        assert!(permits(&["library/*"], &[], "library/alpine"));
        assert!(!permits(&["library/*"], &[], "other/alpine"));
        assert!(permits(&["library/*", "other/*"], &[], "other/alpine"));
        assert!(!permits(&["library/*"], &["*/evil"], "library/evil"));
        assert!(!permits(&[], &["evil/*"], "evil/a/b"));
        assert!(permits(&[], &["evil/*"], "good/a"));
        // A pattern is about the whole name.
        assert!(!permits(&["library"], &[], "library/alpine"));
    }
}
