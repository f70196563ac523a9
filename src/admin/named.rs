//! References as operators write them: `alpine`, `docker.io/library/alpine:3.19`, `ghcr.io/o/r@sha256:…`.

use std::sync::Arc;

use super::trouble::Trouble;
use crate::oci::{Digest, Reference, Repository};
use crate::store::Origin;

/// The upstream whose single-component repositories live below `library/`.
const DOCKER_HUB: &str = "docker.io";

/// One declared upstream, as the operator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: Arc<str>,
    /// The other names that clients may write.
    pub aliases: Vec<String>,
    /// Whether it is meant where none is named.
    pub is_default: bool,
    /// Where it is asked: host, and port if it has one.
    pub host: String,
}

/// The repository that `text` names, `[upstream/]repository`.
pub(super) fn repository(text: &str, declared: &[Declared]) -> Result<Origin, Trouble> {
    let wrong = |why: &dyn std::fmt::Display| Trouble::wrong(format!("{text:?}: {why}"));
    let (first, rest) = text.split_once('/').unwrap_or((text, ""));
    let named = declared.iter().find(|upstream| {
        let own = *upstream.name == *first;
        own || upstream.aliases.iter().any(|alias| alias == first)
    });
    let (upstream, name) = match named {
        Some(upstream) if !rest.is_empty() => (upstream, rest),
        // As in any reference: what looks like a host is one (`.`, `:`), and needs to be declared.
        _ if !rest.is_empty() && first.contains(['.', ':']) => {
            return Err(wrong(&format!("no upstream named {first:?} is declared")));
        }
        _ => {
            let default = declared.iter().find(|upstream| upstream.is_default);
            let why = "no upstream is named and none is the default";
            (default.ok_or_else(|| wrong(&why))?, text)
        }
    };
    let repository: Repository = name.parse().map_err(|why| wrong(&why))?;
    let repository = if &*upstream.name == DOCKER_HUB {
        repository.in_library()
    } else {
        repository
    };
    Ok(Origin {
        upstream: Arc::clone(&upstream.name),
        repository,
    })
}

/// What `text` names, `[upstream/]repository[:tag][@digest]`; the tag is `latest` where there is neither, and says
/// nothing where there is a digest.
pub(super) fn reference(text: &str, declared: &[Declared]) -> Result<(Origin, Reference), Trouble> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to a port.
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (name, "latest"),
    };
    let wrong = |why: &dyn std::fmt::Display| Trouble::wrong(format!("{text:?}: {why}"));
    if digest.is_none() && matches!(name, "sha256" | "sha512") {
        // Nobody's repository is called so: a digest is meant, and maybe misspelt.
        return Err(match text.parse::<Digest>() {
            Ok(_) => wrong(&"a digest alone names no repository: write REPOSITORY@DIGEST"),
            Err(why) => wrong(&why),
        });
    }
    let reference = match digest {
        Some(digest) => Reference::Digest(digest.parse().map_err(|why| wrong(&why))?),
        None => Reference::Tag(tag.parse().map_err(|why| wrong(&why))?),
    };
    Ok((repository(name, declared)?, reference))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn upstreams() -> Vec<Declared> {
        let declared = |name: &str, alias: &str, is_default| Declared {
            name: name.into(),
            aliases: vec![alias.to_owned()],
            is_default,
            host: name.to_owned(),
        };
        vec![
            declared("docker.io", "index.docker.io", true),
            declared("ghcr.io", "gh", false),
            declared("localhost:5000", "lab", false),
        ]
    }

    #[test]
    fn references_are_read_as_clients_write_them() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, meaning) in [
            (
                "alpine".to_owned(),
                "docker.io library/alpine latest".to_owned(),
            ),
            (
                "alpine:3".to_owned(),
                "docker.io library/alpine 3".to_owned(),
            ),
            ("o/r:v1".to_owned(), "docker.io o/r v1".to_owned()),
            (
                "index.docker.io/alpine".to_owned(),
                "docker.io library/alpine latest".to_owned(),
            ),
            ("ghcr.io/o/r:v1".to_owned(), "ghcr.io o/r v1".to_owned()),
            ("gh/o/r".to_owned(), "ghcr.io o/r latest".to_owned()),
            (
                "localhost:5000/r".to_owned(),
                "localhost:5000 r latest".to_owned(),
            ),
            (
                "localhost:5000/r:v1".to_owned(),
                "localhost:5000 r v1".to_owned(),
            ),
            (
                format!("ghcr.io/o/r:v1@{digest}"),
                format!("ghcr.io o/r {digest}"),
            ),
        ] {
            let (origin, reference) = reference(&text, &upstreams()).unwrap();
            let read = format!("{} {} {reference}", origin.upstream, origin.repository);
            assert_eq!(read, meaning, "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused_with_the_reason() {
        for (text, why) in [
            ("quay.io/o/r", "no upstream named \"quay.io\" is declared"),
            ("", "empty"),
            ("Alpine", "lowercase"),
            ("alpine:", "tag"),
            ("alpine@sha256:00", "digest"),
            ("ghcr.io/../r", "component"),
            ("sha256:zz", "hexadecimal"),
            ("sha512", "algorithm:value"),
            (&format!("sha256:{}", "0".repeat(64)), "REPOSITORY@DIGEST"),
        ] {
            let told = reference(text, &upstreams()).unwrap_err().to_string();
            assert!(told.contains(why), "{text}: {told}");
        }
        let none = reference("o/r", &upstreams()[1..]).unwrap_err();
        assert!(none.to_string().contains("none is the default"), "{none}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_reference_or_an_error(text in "\\PC{0,60}") {
            let _ = reference(&text, &upstreams());
        }
    }
}
