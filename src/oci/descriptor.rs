//! Descriptors: how manifests refer to content (OCI image spec, Content Descriptors).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::digest::Digest;
use super::media_type::MediaType;

/// A reference to content (OCI image spec, Content Descriptors).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it runs on, when an index says so.
    pub platform: Option<Platform>,
    /// Whether it names places to get it from outside the registry. Such content is often absent inside.
    pub has_urls: bool,
    /// Whether it is made to be read in parts, as lazy snapshotters do: eStargz, zstd:chunked, nydus.
    pub lazy: bool,
}

/// What an image runs on (OCI image spec, Image Index, `platform`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Platform {
    /// Operating system, `linux`.
    #[serde(default)]
    pub os: String,
    /// Processor architecture, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Variant of the architecture, `v8`.
    #[serde(default)]
    pub variant: Option<String>,
}

/// Why a descriptor cannot be read: it is no object, or lacks a digest or a size, or has a malformed one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {field}: {reason}")]
pub struct DescriptorError {
    /// The field of the manifest that holds it.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// One descriptor; absent and `null` are the same.
pub(super) fn one(
    body: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<Descriptor>, DescriptorError> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read_descriptor(value, field).map(Some),
    }
}

/// A list of descriptors; absent and `null` are the empty list, which some writers call `null`.
pub(super) fn list(
    body: &Map<String, Value>,
    field: &'static str,
) -> Result<Vec<Descriptor>, DescriptorError> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| read_descriptor(value, field))
            .collect(),
        Some(_) => Err(DescriptorError {
            field,
            reason: "not a list".into(),
        }),
    }
}

/// What the annotations of layers that can be read in parts begin with.
const LAZY: [&str; 4] = [
    "containerd.io/snapshot/stargz/",
    "io.containers.zstd-chunked.",
    "io.github.containers.zstd-chunked.",
    "containerd.io/snapshot/nydus-",
];

fn read_descriptor(value: &Value, field: &'static str) -> Result<Descriptor, DescriptorError> {
    let wire = WireDescriptor::deserialize(value).map_err(|error| DescriptorError {
        field,
        reason: error.to_string(),
    })?;
    Ok(Descriptor {
        media_type: wire
            .media_type
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(MediaType::OCTET_STREAM),
        digest: wire.digest,
        size: wire.size,
        platform: Platform::deserialize(wire.platform).ok(),
        has_urls: wire.urls.as_array().is_some_and(|urls| !urls.is_empty()),
        lazy: wire.annotations.as_object().is_some_and(|annotations| {
            let mut keys = annotations.keys();
            keys.any(|key| LAZY.iter().any(|prefix| key.starts_with(prefix)))
        }),
    })
}

/// A descriptor as written. Digest and size are what we work with and have to be right; the rest only helps to
/// choose, and is left out when it is malformed: refusing it is up to the client.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDescriptor {
    #[serde(default)]
    media_type: Value,
    digest: Digest,
    size: u64,
    #[serde(default)]
    platform: Value,
    #[serde(default)]
    urls: Value,
    #[serde(default)]
    annotations: Value,
}
