//! Tags and references: what a manifest is asked for by (OCI distribution spec, Pulling manifests).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestError};
use super::textual::textual;

/// The longest tag, in bytes.
const MAX_TAG: usize = 128;

/// A tag such as `3.19` or `sha256-<hex>.sig`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Arc<str>);

/// Why a text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Nothing at all.
    #[error("the tag is empty")]
    Empty,
    /// More than 128 bytes.
    #[error("a tag is at most {MAX_TAG} bytes long, not {0}")]
    TooLong(usize),
    /// The first character is `.` or `-`.
    #[error("a tag begins with a letter, a digit or an underscore")]
    First,
    /// A character outside ASCII letters, digits, `.`, `_` and `-`.
    #[error("a tag cannot hold {0:?}")]
    Character(char),
}

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        if text.is_empty() {
            return Err(TagError::Empty);
        }
        if text.len() > MAX_TAG {
            return Err(TagError::TooLong(text.len()));
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if let Some(other) = text.chars().find(|c| !allowed(c)) {
            return Err(TagError::Character(other));
        }
        if text.starts_with(['.', '-']) {
            return Err(TagError::First);
        }
        Ok(Self(text.into()))
    }
}

textual!(Tag, TagError);

/// What a manifest is asked for by: a tag, which may move, or a digest, which cannot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reference {
    /// A name that upstream may point elsewhere.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// Why a text is neither a tag nor a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It has no `:` and is not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// It has a `:` and is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// A `:` cannot occur in a tag, so it always announces a digest; `sha256-<hex>` is a tag.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::strategies;
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn tag_grammar() {
        let longest = "a".repeat(MAX_TAG);
        let signature = format!("sha256-{HEX}.sig");
        for text in [
            "latest", "3.19", "_", "A-b.C_d", "0", HEX, &signature, &longest,
        ] {
            assert_eq!(text.parse::<Tag>().unwrap().as_str(), text);
        }

        let too_long = "a".repeat(MAX_TAG + 1);
        for (text, error) in [
            ("", TagError::Empty),
            (&too_long, TagError::TooLong(129)),
            (".a", TagError::First),
            ("-a", TagError::First),
            ("..", TagError::First),
            ("a:b", TagError::Character(':')),
            ("a/b", TagError::Character('/')),
            ("a+b", TagError::Character('+')),
            ("a\0", TagError::Character('\0')),
            ("\u{e9}", TagError::Character('\u{e9}')),
        ] {
            assert_eq!(text.parse::<Tag>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_colon_announces_a_digest() {
        let digest = format!("sha256:{HEX}");
        assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
        assert!(matches!(
            format!("sha256-{HEX}").parse(),
            Ok(Reference::Tag(_))
        ));
        assert!(matches!(HEX.parse(), Ok(Reference::Tag(_))));
        assert!(matches!(
            "a:b/c".parse::<Reference>(),
            Err(ReferenceError::Digest(_))
        ));
        assert!(matches!(
            "a/b".parse::<Reference>(),
            Err(ReferenceError::Tag(_))
        ));
    }

    proptest! {
        #[test]
        fn round_trips(reference in strategies::reference()) {
            prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
            let json = serde_json::to_string(&reference).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Reference>(&json).unwrap(), &reference);
        }

        #[test]
        fn what_parses_is_kept_as_it_is(text in "[a0._:-]{0,8}|.{0,12}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }
}
