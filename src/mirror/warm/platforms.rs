//! Which children of an index are wanted.

use std::fmt;
use std::str::FromStr;

use crate::oci::{Descriptor, Platform};

/// The operating system and architecture of what is no image: attestations, as build tools add them.
const UNKNOWN: &str = "unknown";

/// `os/architecture` or `os/architecture/variant`, as people write platforms. Without a variant any is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WantedPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// The text is not `os/architecture[/variant]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64"
)]
pub struct PlatformError(String);

impl FromStr for WantedPlatform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let legal = |part: &str| {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            !part.is_empty() && part.bytes().all(legal)
        };
        let mut parts = text.split('/');
        let mut next = || {
            parts
                .next()
                .filter(|part| legal(part))
                .map(str::to_lowercase)
        };
        let read = next().zip(next());
        let (Some((os, architecture)), true) = (read, text.split('/').count() <= 3) else {
            return Err(PlatformError(text.to_owned()));
        };
        let variant = next();
        if variant.is_none() && text.split('/').count() == 3 {
            return Err(PlatformError(text.to_owned()));
        }
        // The names that other tools have for the same.
        let architecture = match architecture.as_str() {
            "x86_64" | "x86-64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            _ => architecture,
        };
        Ok(Self {
            os,
            architecture,
            variant,
        })
    }
}

impl fmt::Display for WantedPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl WantedPlatform {
    fn is(&self, platform: &Platform) -> bool {
        let variant = match (&*platform.architecture, platform.variant.as_deref()) {
            // Indexes name it or not; it is the only one.
            ("arm64", None) => Some("v8"),
            (_, variant) => variant,
        };
        platform.os == self.os
            && platform.architecture == self.architecture
            && (self.variant.is_none() || self.variant.as_deref() == variant)
    }
}

/// What is wanted of an index, and what of that it does not have.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chosen<'m> {
    /// The wanted children, in the index's order.
    pub children: Vec<&'m Descriptor>,
    /// The platforms that it has no image for.
    pub lacking: Vec<WantedPlatform>,
}

/// Chooses among the children of an index: those of the `wanted` platforms (none: all), and those without a platform.
/// Attestations come with all platforms, or if they are asked for.
pub fn choose<'m>(
    children: &'m [Descriptor],
    wanted: &[WantedPlatform],
    attestations: bool,
) -> Chosen<'m> {
    if wanted.is_empty() {
        return Chosen {
            children: children.iter().collect(),
            lacking: Vec::new(),
        };
    }
    let is_wanted = |child: &&Descriptor| match &child.platform {
        None => true,
        Some(platform) if platform.os == UNKNOWN => attestations,
        Some(platform) => wanted.iter().any(|it| it.is(platform)),
    };
    let has = |platform: &WantedPlatform| {
        let mut platforms = children.iter().map(|child| child.platform.as_ref());
        platforms.any(|child| child.is_none_or(|it| platform.is(it)))
    };
    Chosen {
        children: children.iter().filter(is_wanted).collect(),
        lacking: wanted.iter().filter(|it| !has(it)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::oci::{Digest, MediaType};

    fn child(name: &str) -> Descriptor {
        let mut parts = name.split('/').map(str::to_owned);
        let platform = (!name.is_empty()).then(|| Platform {
            os: parts.next().unwrap(),
            architecture: parts.next().unwrap(),
            variant: parts.next(),
        });
        Descriptor {
            media_type: MediaType::OCI_MANIFEST,
            digest: Digest::sha256_of(name.as_bytes()),
            size: 1,
            platform,
            has_urls: false,
            lazy: false,
        }
    }

    fn chosen(wanted: &[&str], attestations: bool) -> (Vec<String>, Vec<String>) {
        let names = [
            "linux/amd64",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64/v8",
            "windows/amd64",
            "unknown/unknown",
        ];
        let children = names.map(child);
        let wanted: Vec<WantedPlatform> = wanted.iter().map(|it| it.parse().unwrap()).collect();
        let chosen = choose(&children, &wanted, attestations);
        let name_of = |it: &&Descriptor| {
            let at = children.iter().position(|child| child == *it).unwrap();
            names[at].to_owned()
        };
        (
            chosen.children.iter().map(name_of).collect(),
            chosen.lacking.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn the_wanted_platforms_are_chosen_and_those_lacking_are_told() {
        assert_eq!(chosen(&[], false).0.len(), 6);
        assert_eq!(chosen(&["linux/amd64"], false).0, ["linux/amd64"]);
        assert_eq!(
            chosen(&["linux/arm"], false).0,
            ["linux/arm/v6", "linux/arm/v7"]
        );
        assert_eq!(chosen(&["linux/arm/v7"], false).0, ["linux/arm/v7"]);
        assert_eq!(chosen(&["linux/arm64"], false).0, ["linux/arm64/v8"]);
        assert_eq!(chosen(&["linux/aarch64/v8"], false).0, ["linux/arm64/v8"]);
        let (children, lacking) = chosen(&["linux/s390x", "linux/amd64"], true);
        assert_eq!(children, ["linux/amd64", "unknown/unknown"]);
        assert_eq!(lacking, ["linux/s390x"]);
    }

    #[test]
    fn a_child_without_a_platform_is_for_all() {
        let children = [child("")];
        let wanted = ["linux/amd64".parse().unwrap()];
        let chosen = choose(&children, &wanted, false);
        assert_eq!((chosen.children.len(), chosen.lacking.len()), (1, 0));
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/arm/",
            "a/b/c/d",
            "li nux/amd64",
        ] {
            assert!(text.parse::<WantedPlatform>().is_err(), "{text}");
        }
    }
}
