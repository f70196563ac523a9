//! Which children of an index are wanted.

use crate::oci::{Descriptor, WantedPlatform};

/// The operating system and architecture of what is no image: attestations, as build tools add them.
const UNKNOWN: &str = "unknown";

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
    use crate::oci::{Digest, MediaType, Platform};

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
}
