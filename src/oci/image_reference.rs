//! References to images as people write them: `alpine`, `ghcr.io/o/r:t`, `localhost:5000/x@sha256:…`.
//!
//! The short forms are those of the Docker command line, which every other tool copied: without a registry it is Docker
//! Hub, there a repository of one component lives in `library/`, and without tag and digest the tag is `latest`.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::textual::textual;
use super::{Digest, DigestError, NameError, Reference, Repository, Tag, TagError};

/// The registry of references that name none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Its other name, which means the same wherever it is written.
const DEFAULT_REGISTRY_INDEX: &str = "index.docker.io";
/// The tag of references that have neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// What digests begin with, and no repository that is written without its registry.
const HASHES: [&str; 2] = ["sha256", "sha512"];

/// A repository with its registry, such as `docker.io/library/alpine`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName {
    text: Arc<str>,
    registry: Arc<str>,
    repository: Repository,
}

/// A reference to an image: in full, whatever short form it was written in. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    text: Arc<str>,
    name: ImageName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// Why a text is not a reference to an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageReferenceError {
    /// The part before the first `/` is not `host` or `host:port`.
    #[error("{0:?} is not a registry's host or host:port")]
    Registry(String),
    /// The repository's name is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The tag is malformed.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The digest is malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A digest, which by itself says nothing of where it is.
    #[error("a digest alone names no repository: write REPOSITORY@{0}")]
    Alone(Digest),
}

impl ImageName {
    /// The name in full.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The registry: `host` or `host:port`, in lower case.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository, as its registry knows it.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    fn new(registry: &str, repository: Repository) -> Self {
        Self {
            text: format!("{registry}/{repository}").into(),
            registry: registry.into(),
            repository,
        }
    }
}

impl FromStr for ImageName {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        match text.split_once('/') {
            Some((first, rest)) if is_registry(first) => {
                let registry = first.to_ascii_lowercase();
                // What only its capitals make a registry would be read as a repository the next time.
                if !is_registry(&registry) || !is_host_and_port(&registry) {
                    return Err(ImageReferenceError::Registry(first.to_owned()));
                }
                let repository: Repository = rest.parse()?;
                if registry == DEFAULT_REGISTRY || registry == DEFAULT_REGISTRY_INDEX {
                    return Ok(Self::new(DEFAULT_REGISTRY, repository.in_library()));
                }
                Ok(Self::new(&registry, repository))
            }
            _ => {
                let repository: Repository = text.parse()?;
                Ok(Self::new(DEFAULT_REGISTRY, repository.in_library()))
            }
        }
    }
}

textual!(ImageName, ImageReferenceError);

impl ImageReference {
    /// The reference to `tag`, `digest`, or both, of `name`; to the default tag when there is neither.
    pub fn new(name: ImageName, tag: Option<Tag>, digest: Option<Digest>) -> Self {
        let tag = match (tag, &digest) {
            (None, None) => DEFAULT_TAG.parse().ok(),
            (tag, _) => tag,
        };
        let mut text = name.to_string();
        if let Some(tag) = &tag {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = &digest {
            text = format!("{text}@{digest}");
        }
        Self {
            text: text.into(),
            name,
            tag,
            digest,
        }
    }

    /// The reference in full.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Registry and repository.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// The tag. Beside a digest it says what somebody calls it, not what it is.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What the manifest is asked for by: the digest wins.
    pub fn reference(&self) -> Reference {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Reference::Digest(digest.clone()),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            // `new` leaves no reference without either.
            (None, None) => unreachable!(),
        }
    }
}

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        let (name, tag, digest) = split(text);
        // By the grammar a tag of Docker Hub's library/sha256, which nobody means.
        if HASHES.contains(&name) && tag.is_some() && digest.is_none() {
            return Err(ImageReferenceError::Alone(text.parse()?));
        }
        Ok(Self::new(
            name.parse()?,
            tag.map(str::parse).transpose()?,
            digest.map(str::parse).transpose()?,
        ))
    }
}

textual!(ImageReference, ImageReferenceError);

/// The parts of a reference as they are written: name, tag and digest, none of them checked.
///
/// A `:` is before a tag only behind the last `/`; before that it is a port's.
pub fn split(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let behind = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[behind..].split_once(':') {
        Some((last, tag)) => (&rest[..behind + last.len()], Some(tag), digest),
        None => (rest, None, digest),
    }
}

/// Whether the part before the first `/` is a registry, by the rule of the Docker command line: a repository's component
/// has neither `:` nor capitals, and one that looks like a domain is one.
fn is_registry(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.contains(|c: char| c.is_ascii_uppercase())
}

/// `host` or `host:port`, `[address]` or `[address]:port`, in lower case.
fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_label = |label: &str| {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(legal)
    };
    let is_address = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        inner.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let is_port = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    (is_address(host) || host.split('.').all(is_label)) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::strategies;
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn full(text: &str) -> String {
        text.parse::<ImageReference>().unwrap().to_string()
    }

    #[test]
    fn short_forms_are_those_of_the_docker_command_line() {
        for (short, long) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3", "docker.io/library/alpine:3"),
            ("org/app", "docker.io/org/app:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest"),
            ("index.docker.io/alpine:3", "docker.io/library/alpine:3"),
            ("ghcr.io/o/r:t", "ghcr.io/o/r:t"),
            ("ghcr.io/one", "ghcr.io/one:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost:5000/x:1", "localhost:5000/x:1"),
            ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"),
            ("[::1]:5000/x", "[::1]:5000/x:latest"),
            ("GHCR.io/o/r:T", "ghcr.io/o/r:T"),
            ("LocalHost/x", "localhost/x:latest"),
        ] {
            assert_eq!(full(short), long, "{short}");
        }
    }

    #[test]
    fn a_digest_wins_and_the_tag_is_kept() {
        let digest = format!("sha256:{HEX}");
        let both: ImageReference = format!("localhost:5000/x:1@{digest}").parse().unwrap();
        assert_eq!(both.to_string(), format!("localhost:5000/x:1@{digest}"));
        assert_eq!(both.reference().to_string(), digest);
        assert_eq!(both.tag().unwrap().as_str(), "1");
        let only: ImageReference = format!("alpine@{digest}").parse().unwrap();
        assert_eq!(only.tag(), None);
        assert_eq!(only.name().as_str(), "docker.io/library/alpine");
        assert_eq!(only.name().registry(), "docker.io");
    }

    #[test]
    fn what_is_no_reference_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "the repository name is empty"),
            ("Alpine", "a repository name is lowercase"),
            ("ghcr.io/", "the repository name is empty"),
            (
                "ghcr.io:x/a",
                "\"ghcr.io:x\" is not a registry's host or host:port",
            ),
            (
                "Linux/arm64",
                "\"Linux\" is not a registry's host or host:port",
            ),
            ("-.io/a", "\"-.io\" is not a registry's host or host:port"),
            ("alpine:", "the tag is empty"),
            ("alpine:a b", "a tag cannot hold ' '"),
            ("alpine@sha256", "a digest has the form algorithm:value"),
            ("alpine@", "a digest has the form algorithm:value"),
            (
                "sha256:zz",
                "a sha256 digest is written in lowercase hexadecimal digits",
            ),
            (
                &format!("sha256:{HEX}"),
                &format!("a digest alone names no repository: write REPOSITORY@sha256:{HEX}"),
            ),
            (
                "https://ghcr.io/a",
                "\"https:\" is not a registry's host or host:port",
            ),
        ] {
            let error = text.parse::<ImageReference>().unwrap_err();
            assert_eq!(error.to_string(), reason, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_full_form_reads_back(
            host in "([a-z0-9]{1,5}\\.){1,2}[a-z]{2,4}(:[1-9][0-9]{0,3})?",
            repository in strategies::repository(),
            tag in prop::option::of(strategies::tag()),
            digest in prop::option::of(strategies::digest()),
        ) {
            let name = ImageName::from_str(&format!("{host}/{repository}")).unwrap();
            prop_assert_eq!(name.registry(), &host);
            let reference = ImageReference::new(name, tag.clone(), digest.clone());
            let read: ImageReference = reference.as_str().parse().unwrap();
            prop_assert_eq!(&read, &reference);
            prop_assert_eq!(read.digest(), digest.as_ref());
            prop_assert!(tag.is_none() || read.tag() == tag.as_ref());
            let json = serde_json::to_string(&reference).unwrap();
            prop_assert_eq!(serde_json::from_str::<ImageReference>(&json).unwrap(), reference);
        }

        #[test]
        fn any_text_is_judged_without_a_panic_and_reading_is_stable(text in "[a-zA-Z0-9./:@_\\[\\]-]{0,30}|.{0,20}") {
            if let Ok(reference) = text.parse::<ImageReference>() {
                prop_assert_eq!(reference.as_str().parse::<ImageReference>().unwrap(), reference);
            }
        }
    }
}
