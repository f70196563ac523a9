//! What a manifest says about itself and what it refers to: just enough to serve, link and prefetch.
//!
//! A manifest's bytes are its identity, so they are only ever read here, never written again. Its type is bound
//! to its structure: the same bytes must not be an index to one client and an image to another (type confusion,
//! OCI image spec, Manifest, `mediaType`). Absent on purpose: signatures, annotations, configurations.

use serde_json::{Map, Value};

use super::descriptor::{self, Descriptor, DescriptorError};
use super::media_type::MediaType;

/// What a manifest holds together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// Blobs: a configuration and layers, or the blobs of an artifact.
    Image,
    /// Other manifests, usually one a platform.
    Index,
    /// Docker's first image format. Its digest is not the hash of its bytes, and its blobs have no sizes, so they
    /// are not listed.
    Schema1,
}

/// A manifest, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it is to be served as.
    pub media_type: MediaType,
    /// What it holds together.
    pub kind: ManifestKind,
    /// What it refers to, in its own order: the configuration before the layers, or the manifests of an index.
    pub references: Vec<Descriptor>,
    /// The manifest it is about, if it is a referrer (OCI image spec, `subject`).
    pub subject: Option<Descriptor>,
}

/// Why bytes are not a manifest that may be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON: often the HTML page of a portal or a proxy.
    #[error("the manifest is not JSON: {0}")]
    NotJson(String),
    /// JSON, but not an object.
    #[error("the manifest is not a JSON object")]
    NotAnObject,
    /// An object with none of `config`, `layers`, `blobs`, `manifests` and `fsLayers`.
    #[error("the object has the structure of no manifest")]
    NoStructure,
    /// The structures of two kinds at once.
    #[error("the manifest has the structure of more than one kind")]
    Ambiguous,
    /// A structure of one kind under the type of another.
    #[error("the structure of the manifest contradicts its type {0}")]
    Contradiction(MediaType),
    /// A descriptor cannot be read.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
}

impl Manifest {
    /// Reads the bytes of a manifest; `declared` is the `Content-Type` they came with.
    ///
    /// The type is the body's own `mediaType`, else `declared` if that is a type of manifest, else it follows
    /// from the structure. Upstreams that declare `text/plain` or nothing are repaired by this; a type of manifest
    /// that the structure contradicts is not repaired but refused.
    ///
    /// # Errors
    /// [`ManifestError`]; such bytes must be neither kept nor served.
    pub fn parse(bytes: &[u8], declared: Option<&MediaType>) -> Result<Self, ManifestError> {
        // A value, not a struct: repeated keys are legal enough to be served (the last one counts).
        let value = serde_json::from_slice(bytes)
            .map_err(|error| ManifestError::NotJson(error.to_string()))?;
        let Value::Object(body) = value else {
            return Err(ManifestError::NotAnObject);
        };
        let kind = kind_of(&body)?;
        let own = body
            .get("mediaType")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok());
        let mut claims = [own.as_ref(), declared]
            .into_iter()
            .flatten()
            .filter(|t| t.is_manifest());
        for claim in claims.clone() {
            if kind_of_type(claim) != kind {
                return Err(ManifestError::Contradiction(claim.clone()));
            }
        }
        let references = references(&body, kind)?;
        let media_type = claims
            .next()
            .cloned()
            .unwrap_or_else(|| type_of(&body, kind, &references));
        let subject = match kind {
            ManifestKind::Schema1 => None,
            ManifestKind::Image | ManifestKind::Index => descriptor::one(&body, "subject")?,
        };
        Ok(Self {
            media_type,
            kind,
            references,
            subject,
        })
    }
}

/// The kind the structure shows, whatever the type says.
fn kind_of(body: &Map<String, Value>) -> Result<ManifestKind, ManifestError> {
    let has = |field: &str| body.contains_key(field);
    let image = has("config") || has("layers") || has("blobs");
    match (image, has("manifests"), has("fsLayers")) {
        (true, false, false) => Ok(ManifestKind::Image),
        (false, true, false) => Ok(ManifestKind::Index),
        (false, false, true) => Ok(ManifestKind::Schema1),
        (false, false, false) => Err(ManifestError::NoStructure),
        _ => Err(ManifestError::Ambiguous),
    }
}

/// The kind a type of manifest promises.
fn kind_of_type(media_type: &MediaType) -> ManifestKind {
    if media_type.is_index() {
        ManifestKind::Index
    } else if media_type.is_schema1() {
        ManifestKind::Schema1
    } else {
        ManifestKind::Image
    }
}

/// The type of a manifest that nobody named: Docker's if it refers to Docker's types, else OCI's.
fn type_of(body: &Map<String, Value>, kind: ManifestKind, references: &[Descriptor]) -> MediaType {
    let first = references.first().map(|descriptor| &descriptor.media_type);
    match kind {
        ManifestKind::Index if first == Some(&MediaType::DOCKER_MANIFEST) => {
            MediaType::DOCKER_MANIFEST_LIST
        }
        ManifestKind::Index => MediaType::OCI_INDEX,
        ManifestKind::Image if first == Some(&MediaType::DOCKER_CONFIG) => {
            MediaType::DOCKER_MANIFEST
        }
        ManifestKind::Image if body.contains_key("blobs") => MediaType::OCI_ARTIFACT,
        ManifestKind::Image => MediaType::OCI_MANIFEST,
        ManifestKind::Schema1 if body.contains_key("signatures") => {
            MediaType::DOCKER_SCHEMA1_SIGNED
        }
        ManifestKind::Schema1 => MediaType::DOCKER_SCHEMA1,
    }
}

fn references(
    body: &Map<String, Value>,
    kind: ManifestKind,
) -> Result<Vec<Descriptor>, ManifestError> {
    match kind {
        ManifestKind::Image => {
            let mut all: Vec<_> = descriptor::one(body, "config")?.into_iter().collect();
            all.extend(descriptor::list(body, "layers")?);
            all.extend(descriptor::list(body, "blobs")?);
            Ok(all)
        }
        ManifestKind::Index => Ok(descriptor::list(body, "manifests")?),
        ManifestKind::Schema1 => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
