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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::strategies;
    use super::*;

    fn name(text: &str) -> Repository {
        text.parse().unwrap()
    }

    #[test]
    fn grammar() {
        let longest = "a".repeat(MAX_NAME);
        for text in [
            "a",
            "0",
            "alpine",
            "library/alpine",
            "a/b/c/d/e",
            "a.b",
            "a_b",
            "a__b",
            "a-b",
            "a---b",
            "a.b_c__d-e",
            "ghcr.io/o/r",
            "a/manifests",
            "blobs/uploads",
            "tags/list",
            &longest,
        ] {
            assert_eq!(name(text).as_str(), text);
        }

        let too_long = "a".repeat(MAX_NAME + 1);
        for (text, error) in [
            ("", NameError::Empty),
            (&too_long, NameError::TooLong(256)),
            ("/a", NameError::EmptyComponent),
            ("a/", NameError::EmptyComponent),
            ("a//b", NameError::EmptyComponent),
            ("Alpine", NameError::Uppercase),
            ("a/B", NameError::Uppercase),
            ("localhost:5000/a", NameError::Character(':')),
            ("a b", NameError::Character(' ')),
            ("a%2fb", NameError::Character('%')),
            ("a\\b", NameError::Character('\\')),
            ("a\0", NameError::Character('\0')),
            ("caf\u{e9}", NameError::Character('\u{e9}')),
            (".", NameError::Separator),
            ("..", NameError::Separator),
            ("a/../b", NameError::Separator),
            (".a", NameError::Separator),
            ("a.", NameError::Separator),
            ("-a", NameError::Separator),
            ("a_", NameError::Separator),
            ("_catalog", NameError::Separator),
            ("a..b", NameError::Separator),
            ("a___b", NameError::Separator),
            ("a._b", NameError::Separator),
            ("a-_b", NameError::Separator),
        ] {
            assert_eq!(text.parse::<Repository>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn components() {
        assert_eq!(name("ghcr.io/o/r").first_component(), "ghcr.io");
        assert_eq!(
            name("ghcr.io/o/r").without_first_component(),
            Some(name("o/r"))
        );
        assert_eq!(name("alpine").first_component(), "alpine");
        assert_eq!(name("alpine").without_first_component(), None);
        assert!(name("alpine").is_single_component());
        assert!(!name("library/alpine").is_single_component());
    }

    #[test]
    fn single_components_live_in_the_library() {
        assert_eq!(name("alpine").in_library(), name("library/alpine"));
        assert_eq!(name("library/alpine").in_library(), name("library/alpine"));
        assert_eq!(name("org/app").in_library(), name("org/app"));
        let fits = name(&"a".repeat(247));
        assert_eq!(fits.in_library().as_str().len(), MAX_NAME);
        let too_long = name(&"a".repeat(248));
        assert_eq!(too_long.in_library(), too_long);
    }

    proptest! {
        #[test]
        fn round_trips(repository in strategies::repository()) {
            prop_assert_eq!(&name(repository.as_str()), &repository);
            let json = serde_json::to_string(&repository).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Repository>(&json).unwrap(), &repository);
        }

        #[test]
        fn what_parses_is_safe_as_a_path(text in "[ab0._/-]{0,8}|.{0,12}") {
            if let Ok(repository) = text.parse::<Repository>() {
                prop_assert_eq!(repository.as_str(), &text);
                prop_assert!(!text.contains("..") && !text.contains("//") && !text.starts_with('/'));
                prop_assert!(repository.in_library().as_str().parse::<Repository>().is_ok());
            }
        }
    }
}
