//! Repository names, tags and references (OCI distribution spec, Pulling manifests).
//!
//! Each is parsed once, at the edge; a value of these types is valid by construction, so no room behind
//! checks a name again. Names hold no `..`, no `//`, no encoding and no uppercase, which is what makes them fit
//! to be part of a path, a key and an access rule alike.
//!
//! Absent on purpose: hosts and ports. Which upstream a name belongs to is decided before it gets here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestError};

/// The longest repository name, in bytes.
const MAX_NAME: usize = 255;
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;
/// Where Docker Hub keeps repositories whose name has only one component.
const LIBRARY: &str = "library/";

/// A repository name such as `library/alpine`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository(Arc<str>);

/// Why a text is not a repository name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("the repository name is empty")]
    Empty,
    /// More than 255 bytes.
    #[error("a repository name is at most {MAX_NAME} bytes long, not {0}")]
    TooLong(usize),
    /// A `/` at the beginning, at the end, or twice in a row.
    #[error("the repository name has an empty component")]
    EmptyComponent,
    /// An ASCII uppercase letter. Named apart because it is the usual slip.
    #[error("a repository name is lowercase")]
    Uppercase,
    /// Any other character outside `a-z`, `0-9`, `.`, `_`, `-` and `/`.
    #[error("a repository name cannot hold {0:?}")]
    Character(char),
    /// A component that begins or ends with a separator, or joins by something else than one `.`, one or two
    /// `_`, or a run of `-`.
    #[error("a component of the repository name has a misplaced separator")]
    Separator,
}

impl Repository {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text before the first `/`, or the whole name.
    pub fn first_component(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(first, _)| first)
    }

    /// The name without its first component; `None` when there is only one.
    pub fn without_first_component(&self) -> Option<Self> {
        self.0.split_once('/').map(|(_, rest)| Self(rest.into()))
    }

    /// Whether the name has no `/`.
    pub fn is_single_component(&self) -> bool {
        !self.0.contains('/')
    }

    /// The name as Docker Hub knows it: `alpine` becomes `library/alpine`, `org/app` stays.
    ///
    /// A single component too long to be prefixed stays as well: no such repository exists there, and the
    /// result has to be a valid name.
    #[must_use]
    pub fn in_library(&self) -> Self {
        if !self.is_single_component() || LIBRARY.len() + self.0.len() > MAX_NAME {
            return self.clone();
        }
        Self(format!("{LIBRARY}{}", self.0).into())
    }
}

impl FromStr for Repository {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong(text.len()));
        }
        for c in text.chars() {
            match c {
                'a'..='z' | '0'..='9' | '.' | '_' | '-' | '/' => {}
                'A'..='Z' => return Err(NameError::Uppercase),
                other => return Err(NameError::Character(other)),
            }
        }
        text.split('/').try_for_each(check_component)?;
        Ok(Self(text.into()))
    }
}

/// Checks the separators of one component whose characters are known to be allowed.
fn check_component(component: &str) -> Result<(), NameError> {
    if component.is_empty() {
        return Err(NameError::EmptyComponent);
    }
    let is_separator = |c: char| matches!(c, '.' | '_' | '-');
    if component.starts_with(is_separator) || component.ends_with(is_separator) {
        return Err(NameError::Separator);
    }
    let mut runs = component
        .split(|c| !is_separator(c))
        .filter(|run| !run.is_empty());
    if runs.all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-')) {
        Ok(())
    } else {
        Err(NameError::Separator)
    }
}

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

/// The conversions a textual name needs, the same for both.
macro_rules! textual {
    ($name:ident, $error:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().into()
            }
        }
    };
}

textual!(Repository, NameError);
textual!(Tag, TagError);
