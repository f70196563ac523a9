//! What people write when they mean images: one, or the tags of a repository that a pattern matches.

use std::fmt;
use std::str::FromStr;

use super::image_reference::split;
use super::{ImageName, ImageReference, ImageReferenceError, Pattern, PatternError};

/// What makes the part behind the name a pattern over tags.
const GLOB: [char; 4] = ['*', '?', '[', '{'];

/// One image, or the tags of a repository that a pattern matches: `alpine:3.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One image.
    Image(ImageReference),
    /// All tags of the repository that the pattern matches.
    Tags(ImageName, Pattern),
}

/// Why a text means no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// Not a reference.
    #[error(transparent)]
    Reference(#[from] ImageReferenceError),
    /// Not a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A digest names one manifest: there is nothing to choose by a pattern.
    #[error("a digest cannot stand behind a pattern")]
    DigestAndPattern,
}

impl FromStr for Wanted {
    type Err = WantedError;

    fn from_str(text: &str) -> Result<Self, WantedError> {
        match split(text) {
            (_, Some(tag), Some(_)) if tag.contains(GLOB) => Err(WantedError::DigestAndPattern),
            (name, Some(tag), None) if tag.contains(GLOB) => {
                let name = name.parse().map_err(WantedError::Reference)?;
                Ok(Self::Tags(name, tag.parse()?))
            }
            _ => Ok(Self::Image(text.parse()?)),
        }
    }
}

impl Wanted {
    /// Registry and repository.
    pub fn name(&self) -> &ImageName {
        match self {
            Self::Image(reference) => reference.name(),
            Self::Tags(name, _) => name,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reference) => reference.fmt(f),
            Self::Tags(name, pattern) => write!(f, "{name}:{pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_glob_in_the_place_of_the_tag_is_a_pattern_over_tags() {
        for (text, full) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3.*", "docker.io/library/alpine:3.*"),
            ("localhost:5000/x:[0-9]?", "localhost:5000/x:[0-9]?"),
            ("ghcr.io/o/r:{a,b}", "ghcr.io/o/r:{a,b}"),
        ] {
            assert_eq!(text.parse::<Wanted>().unwrap().to_string(), full);
        }
        let tags: Wanted = "alpine:*".parse().unwrap();
        assert!(matches!(&tags, Wanted::Tags(name, _) if name == tags.name()));
    }

    #[test]
    fn what_means_no_image_is_refused_with_its_reason() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, reason) in [
            ("Alpine", "a repository name is lowercase"),
            ("al*ine", "a repository name cannot hold '*'"),
            (
                "alpine:[a",
                "not a pattern: unclosed character class; missing ']'",
            ),
            (
                &format!("alpine:*@{digest}"),
                "a digest cannot stand behind a pattern",
            ),
        ] {
            let error = text.parse::<Wanted>().unwrap_err();
            assert_eq!(error.to_string(), reason);
        }
    }
}
