//! A pattern over names and tags, as operators write them: `library/*`, `*-nightly`, `v[0-9]*`, `{a,b}/*`.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};

/// The longest pattern, in bytes: what it is matched against is shorter.
const MAX_LENGTH: usize = 255;

/// A glob that a whole text matches or not. `*` stands for any text, `/` included; `?` for one character; `[...]` for
/// one of a set; `{a,b}` for either; `\` takes the next character as it is. Case counts.
#[derive(Clone)]
pub struct Pattern(GlobMatcher);

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pattern: {0}")]
pub struct PatternError(String);

impl Pattern {
    /// Whether all of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            let reason = format!("it must have 1 to {MAX_LENGTH} characters");
            return Err(PatternError(reason));
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(false)
            .backslash_escape(true)
            .build()
            .map_err(|error| PatternError(error.kind().to_string()))?;
        Ok(Self(glob.compile_matcher()))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn all_of_a_text_matches_or_nothing_does() {
        let matches = |pattern: &str, text| pattern.parse::<Pattern>().unwrap().matches(text);
        assert!(matches("*", "library/alpine"));
        assert!(matches("library/*", "library/a/b"));
        assert!(!matches("library/*", "other/library/a"));
        assert!(matches("v[0-9]*.[0-9]*", "v1.2.3"));
        assert!(!matches("v[0-9]*", "V1"));
        assert!(matches("{a,b}/?", "b/c"));
        assert!(!matches("a", "ab"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        for text in ["", "[a", "{a", &"a".repeat(256)] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert!(error.to_string().starts_with("not a pattern: "), "{error}");
        }
    }
}
