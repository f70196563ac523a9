//! Repository names (OCI distribution spec, Pulling manifests).
//!
//! A name is parsed once, at the edge; nothing behind checks it again. It holds no `..`, no `//`, no encoding and
//! no uppercase, which is what makes it fit to be part of a path, a key and an access rule alike.
//!
//! Absent on purpose: hosts and ports. Which upstream a name belongs to is decided before it gets here.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::textual::textual;

/// The longest repository name, in bytes.
const MAX_NAME: usize = 255;
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

textual!(Repository, NameError);
