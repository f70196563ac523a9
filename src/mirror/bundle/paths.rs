//! What a file in a bundle is, by its path. Pure.

use crate::oci::{Digest, Repository, Tag};

/// The longest path, in bytes.
const MAX_PATH: usize = 1024;

/// Where the storage of a distribution registry begins.
const STORAGE: &str = "docker/registry/v2/";

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `oci-layout`: the mark of a layout.
    Mark,
    /// `index.json` of a layout.
    Index,
    /// `manifest.json` of `docker save`.
    DockerManifest,
    /// Content under its digest: of a layout, or of a distribution registry.
    Content(Digest),
    /// A distribution registry's word for what a tag points to.
    TagLink(Repository, Tag),
    /// A distribution registry's word that a repository has a manifest.
    Revision(Repository, Digest),
    /// Another file of a distribution registry.
    Storage,
    /// Any other file.
    Other,
}

/// Why a path is refused: it could lead out of where it belongs, or mean two things.
pub(super) fn refusal(path: &str) -> Option<&'static str> {
    let mut parts = path.split('/');
    if path.is_empty() || path.len() > MAX_PATH {
        Some("its path is empty or too long")
    } else if path.starts_with('/') {
        Some("its path is absolute")
    } else if parts.clone().any(|part| part == "..") {
        Some("its path leads upwards")
    } else if parts.any(|part| part.is_empty() || part == ".") || path.contains('\\') {
        Some("its path could mean two things")
    } else if path.chars().any(char::is_control) {
        Some("its path holds a control character")
    } else {
        None
    }
}

/// What the file at `path` is.
pub(super) fn place(path: &str) -> Place {
    if let Some(at) = path.find(STORAGE)
        && (at == 0 || path.as_bytes()[at - 1] == b'/')
    {
        return in_storage(&path[at + STORAGE.len()..]).unwrap_or(Place::Storage);
    }
    match path {
        "oci-layout" => Place::Mark,
        "index.json" => Place::Index,
        "manifest.json" => Place::DockerManifest,
        _ => in_layout(path).unwrap_or(Place::Other),
    }
}

fn in_layout(path: &str) -> Option<Place> {
    let (algorithm, encoded) = path.strip_prefix("blobs/")?.split_once('/')?;
    digest(algorithm, encoded).map(Place::Content)
}

fn in_storage(path: &str) -> Option<Place> {
    let parts: Vec<_> = path.split('/').collect();
    match *parts.as_slice() {
        ["blobs", algorithm, shard, encoded, "data"] if encoded.starts_with(shard) => {
            digest(algorithm, encoded).map(Place::Content)
        }
        [
            "repositories",
            ..,
            "_manifests",
            "tags",
            tag,
            "current",
            "link",
        ] => {
            let repository = repository(&parts, 5)?;
            Some(Place::TagLink(repository, tag.parse().ok()?))
        }
        [
            "repositories",
            ..,
            "_manifests",
            "revisions",
            algorithm,
            encoded,
            "link",
        ] => {
            let repository = repository(&parts, 5)?;
            Some(Place::Revision(repository, digest(algorithm, encoded)?))
        }
        _ => None,
    }
}

/// The repository before the last `behind` parts.
fn repository(parts: &[&str], behind: usize) -> Option<Repository> {
    let name = parts.get(1..parts.len().checked_sub(behind)?)?;
    name.join("/").parse().ok()
}

fn digest(algorithm: &str, encoded: &str) -> Option<Digest> {
    let digest: Digest = format!("{algorithm}:{encoded}").parse().ok()?;
    digest.is_verifiable().then_some(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_file_is_known_by_its_path() {
        let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
        let content = Place::Content(digest.clone());
        for (path, expected) in [
            ("oci-layout".to_owned(), Place::Mark),
            ("index.json".to_owned(), Place::Index),
            ("manifest.json".to_owned(), Place::DockerManifest),
            (format!("blobs/sha256/{HEX}"), content.clone()),
            (format!("blobs/sha256/{}", &HEX[1..]), Place::Other),
            (format!("blobs/blake3/{HEX}"), Place::Other),
            (format!("{HEX}.json"), Place::Other),
            (format!("{HEX}/layer.tar"), Place::Other),
            (
                format!("x/docker/registry/v2/blobs/sha256/e3/{HEX}/data"),
                content,
            ),
            (
                format!("docker/registry/v2/blobs/sha256/e4/{HEX}/data"),
                Place::Storage,
            ),
            (
                "docker/registry/v2/repositories/o/r/_manifests/tags/1/current/link".to_owned(),
                Place::TagLink("o/r".parse().unwrap(), "1".parse().unwrap()),
            ),
            (
                format!("docker/registry/v2/repositories/r/_manifests/revisions/sha256/{HEX}/link"),
                Place::Revision("r".parse().unwrap(), digest),
            ),
            (
                format!("docker/registry/v2/repositories/r/_layers/sha256/{HEX}/link"),
                Place::Storage,
            ),
            ("notdocker/registry/v2/x".to_owned(), Place::Other),
        ] {
            assert_eq!(place(&path), expected, "{path}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "a//b",
            "./a",
            "a/",
            "a\\..\\b",
            "a\0b",
            &"a".repeat(2000),
        ] {
            assert!(refusal(path).is_some(), "{path:?}");
        }
        assert_eq!(refusal("blobs/sha256/..a"), None);
    }
}
