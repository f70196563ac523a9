//! Media types: what a body claims to be.
//!
//! Kept without parameters and in lower case, because registries disagree about both and clients compare
//! bytes. Negotiation is next door, in [`Accepts`](super::Accepts).

use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::textual::textual;

/// The longest media type accepted, in bytes (RFC 6838 section 4.2 allows 127 for each side of the `/`).
const MAX_LENGTH: usize = 255;

/// A media type without parameters, in lower case. Cheap to clone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaType(Text);

/// Known types cost nothing; the rest is shared.
#[derive(Clone)]
enum Text {
    Known(&'static str),
    Other(Arc<str>),
}

/// The text is not `type/subtype` in the characters of RFC 6838, or is longer than 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a media type")]
pub struct MediaTypeError;

impl MediaType {
    /// An OCI image index: one manifest a platform.
    pub const OCI_INDEX: Self = Self(Text::Known("application/vnd.oci.image.index.v1+json"));
    /// An OCI image manifest.
    pub const OCI_MANIFEST: Self = Self(Text::Known("application/vnd.oci.image.manifest.v1+json"));
    /// The OCI artifact manifest, withdrawn before 1.1 but still stored here and there.
    pub const OCI_ARTIFACT: Self =
        Self(Text::Known("application/vnd.oci.artifact.manifest.v1+json"));
    /// Docker's manifest list, the elder sister of the index.
    pub const DOCKER_MANIFEST_LIST: Self = Self(Text::Known(
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ));
    /// Docker's image manifest, schema 2.
    pub const DOCKER_MANIFEST: Self = Self(Text::Known(
        "application/vnd.docker.distribution.manifest.v2+json",
    ));
    /// Docker's image manifest, schema 1, unsigned.
    pub const DOCKER_SCHEMA1: Self = Self(Text::Known(
        "application/vnd.docker.distribution.manifest.v1+json",
    ));
    /// Docker's image manifest, schema 1, signed: its digest is *not* the hash of its bytes.
    pub const DOCKER_SCHEMA1_SIGNED: Self = Self(Text::Known(
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ));
    /// Docker's image configuration; tells a schema 2 manifest from an OCI one when neither says so.
    pub const DOCKER_CONFIG: Self = Self(Text::Known(
        "application/vnd.docker.container.image.v1+json",
    ));
    /// What blobs are served as.
    pub const OCTET_STREAM: Self = Self(Text::Known("application/octet-stream"));

    const KNOWN: [Self; 9] = [
        Self::OCI_INDEX,
        Self::OCI_MANIFEST,
        Self::OCI_ARTIFACT,
        Self::DOCKER_MANIFEST_LIST,
        Self::DOCKER_MANIFEST,
        Self::DOCKER_SCHEMA1,
        Self::DOCKER_SCHEMA1_SIGNED,
        Self::DOCKER_CONFIG,
        Self::OCTET_STREAM,
    ];

    /// The type as text, `type/subtype`.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Known(text) => text,
            Text::Other(text) => text,
        }
    }

    /// Whether this is a type of manifest, an index included.
    pub fn is_manifest(&self) -> bool {
        self.is_index()
            || *self == Self::OCI_MANIFEST
            || *self == Self::DOCKER_MANIFEST
            || *self == Self::OCI_ARTIFACT
            || self.is_schema1()
    }

    /// Whether this is an index or a manifest list.
    pub fn is_index(&self) -> bool {
        *self == Self::OCI_INDEX || *self == Self::DOCKER_MANIFEST_LIST
    }

    /// Whether this is a schema 1 manifest, signed or not.
    pub fn is_schema1(&self) -> bool {
        *self == Self::DOCKER_SCHEMA1 || *self == Self::DOCKER_SCHEMA1_SIGNED
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    /// Reads a `Content-Type` value: parameters are dropped, case is folded (RFC 9110 section 8.3.1).
    fn from_str(value: &str) -> Result<Self, MediaTypeError> {
        let essence = value
            .split_once(';')
            .map_or(value, |(essence, _)| essence)
            .trim();
        if essence.len() > MAX_LENGTH {
            return Err(MediaTypeError);
        }
        let (kind, subtype) = essence.split_once('/').ok_or(MediaTypeError)?;
        if !is_restricted_name(kind) || !is_restricted_name(subtype) {
            return Err(MediaTypeError);
        }
        let known = Self::KNOWN
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(essence));
        Ok(known.unwrap_or_else(|| Self(Text::Other(essence.to_ascii_lowercase().into()))))
    }
}

/// RFC 6838 section 4.2, `restricted-name`.
fn is_restricted_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for MediaType {}

impl Hash for MediaType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

textual!(MediaType, MediaTypeError);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn media_type(text: &str) -> MediaType {
        text.parse().unwrap()
    }

    #[test]
    fn parameters_and_case_do_not_count() {
        for text in [
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.index.v1+json; charset=utf-8",
            " Application/Vnd.OCI.Image.Index.V1+JSON ;x=\"a/b;c\"",
        ] {
            assert_eq!(media_type(text), MediaType::OCI_INDEX, "{text}");
        }
        assert_eq!(media_type("Text/HTML; charset=x").as_str(), "text/html");
    }

    #[test]
    fn refuses_what_is_no_type() {
        for text in [
            "",
            "text",
            "/",
            "text/",
            "/html",
            "a/b/c",
            "a b/c",
            "*/*",
            "text/html, text/plain",
            "a/\u{e9}",
        ] {
            assert_eq!(text.parse::<MediaType>(), Err(MediaTypeError), "{text}");
        }
        assert_eq!(
            format!("a/{}", "b".repeat(254)).parse::<MediaType>(),
            Err(MediaTypeError)
        );
    }

    #[test]
    fn manifests_and_indexes() {
        for (media_type, is_old) in [
            (MediaType::OCI_INDEX, false),
            (MediaType::OCI_ARTIFACT, false),
            (MediaType::DOCKER_MANIFEST, false),
            (MediaType::DOCKER_SCHEMA1, true),
            (MediaType::DOCKER_SCHEMA1_SIGNED, true),
        ] {
            assert!(media_type.is_manifest(), "{media_type}");
            assert_eq!(media_type.is_schema1(), is_old, "{media_type}");
        }
        for text in [
            "application/json",
            "text/plain",
            MediaType::OCTET_STREAM.as_str(),
            MediaType::DOCKER_CONFIG.as_str(),
        ] {
            assert!(!media_type(text).is_manifest(), "{text}");
        }
        let indexes: Vec<_> = MediaType::KNOWN
            .into_iter()
            .filter(MediaType::is_index)
            .collect();
        assert_eq!(
            indexes,
            [MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST_LIST]
        );
    }

    #[test]
    fn a_known_type_equals_and_hashes_as_its_text() {
        use std::collections::HashSet;

        let spelled = MediaType(Text::Other(MediaType::OCI_INDEX.as_str().into()));
        assert!(HashSet::from([MediaType::OCI_INDEX]).contains(&spelled));
    }

    proptest! {
        #[test]
        fn what_parses_is_normal_and_stays(text in "[A-Za-z0-9/+.; =-]{0,24}|.{0,12}") {
            if let Ok(parsed) = text.parse::<MediaType>() {
                prop_assert!(!parsed.as_str().contains([';', ' ']));
                prop_assert_eq!(parsed.as_str(), parsed.as_str().to_ascii_lowercase());
                prop_assert_eq!(&media_type(parsed.as_str()), &parsed);
                let json = serde_json::to_string(&parsed).unwrap();
                prop_assert_eq!(&serde_json::from_str::<MediaType>(&json).unwrap(), &parsed);
            }
        }
    }
}
