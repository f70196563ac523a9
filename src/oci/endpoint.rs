//! Which endpoint of the registry protocol a path means (OCI distribution spec, Endpoints).
//!
//! Paths are read from the right: `manifests`, `blobs`, `tags` and `uploads` are legal components of a name, so
//! only the end of a path says what it is. Absent on purpose: methods, queries and upstream prefixes.

use super::digest::{Digest, DigestError};
use super::error_code::ErrorCode;
use super::name::{NameError, Repository};
use super::path::{self, PathError};
use super::reference::{Reference, ReferenceError, TagError};

/// A parsed path below `/v2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/v2/`: the version check, where clients learn how to authenticate.
    Base,
    /// `/v2/_catalog`: the list of repositories.
    Catalog,
    /// `/v2/<name>/tags/list`.
    Tags(Repository),
    /// `/v2/<name>/manifests/<reference>`.
    Manifest(Repository, Reference),
    /// `/v2/<name>/blobs/<digest>`.
    Blob(Repository, Digest),
    /// `/v2/<name>/blobs/uploads/`, or one session below it. Sessions are opaque and upstream's own, so the
    /// session is not kept here.
    Upload(Repository),
    /// `/v2/<name>/referrers/<digest>`.
    Referrers(Repository, Digest),
    /// `/v2/_oci/ext/discover`, of the registry or of one repository: both are answered alike.
    Extension,
}

/// Why a path is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No endpoint has such a path.
    #[error("no such endpoint")]
    NotAnEndpoint,
    /// The path is ambiguous or not text.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The path would be an endpoint if the repository name were valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The path would be a manifest if the tag were valid.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The path would be an endpoint if the digest were valid.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Endpoint {
    /// Reads a raw path, still percent-encoded and without query, that begins with `/v2`.
    ///
    /// # Errors
    /// [`EndpointError`], whose [`code`](EndpointError::code) is what the client is told.
    pub fn parse(raw_path: &str) -> Result<Self, EndpointError> {
        let rest = match raw_path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or(EndpointError::NotAnEndpoint)?,
            None => return Err(EndpointError::NotAnEndpoint),
        };
        let segments = path::segments(rest)?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match segments.as_slice() {
            ["_catalog"] => Ok(Self::Catalog),
            ["_oci", "ext", "discover"] => Ok(Self::Extension),
            [name @ .., "tags", "list"] => Ok(Self::Tags(repository(name)?)),
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Self::Upload(repository(name)?))
            }
            // A trailing slash belongs to nothing but the row above.
            [.., ""] => Err(EndpointError::NotAnEndpoint),
            [name @ .., "manifests", reference] => Ok(Self::Manifest(
                repository(name)?,
                parse_reference(reference)?,
            )),
            [name @ .., "blobs", "uploads", session] => {
                let repository = repository(name)?;
                if session.contains('/') {
                    return Err(PathError::EncodedSlash.into());
                }
                Ok(Self::Upload(repository))
            }
            [name @ .., "blobs", digest] => Ok(Self::Blob(repository(name)?, digest.parse()?)),
            [name @ .., "referrers", digest] => {
                Ok(Self::Referrers(repository(name)?, digest.parse()?))
            }
            [name @ .., "_oci", "ext", "discover"] => repository(name).map(|_| Self::Extension),
            _ => Err(EndpointError::NotAnEndpoint),
        }
    }

    /// The path that [`parse`](Self::parse) reads as this endpoint.
    pub fn path(&self) -> String {
        match self {
            Self::Base => "/v2/".into(),
            Self::Catalog => "/v2/_catalog".into(),
            Self::Tags(name) => format!("/v2/{name}/tags/list"),
            Self::Manifest(name, reference) => format!("/v2/{name}/manifests/{reference}"),
            Self::Blob(name, digest) => format!("/v2/{name}/blobs/{digest}"),
            Self::Upload(name) => format!("/v2/{name}/blobs/uploads/"),
            Self::Referrers(name, digest) => format!("/v2/{name}/referrers/{digest}"),
            Self::Extension => "/v2/_oci/ext/discover".into(),
        }
    }

    /// The repository the endpoint is about, if it is about one.
    pub fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Base | Self::Catalog | Self::Extension => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Upload(name)
            | Self::Referrers(name, _) => Some(name),
        }
    }

    /// The same endpoint of another repository; an endpoint of the whole registry stays as it is.
    #[must_use]
    pub fn with_repository(self, name: Repository) -> Self {
        match self {
            Self::Base | Self::Catalog | Self::Extension => self,
            Self::Tags(_) => Self::Tags(name),
            Self::Manifest(_, reference) => Self::Manifest(name, reference),
            Self::Blob(_, digest) => Self::Blob(name, digest),
            Self::Upload(_) => Self::Upload(name),
            Self::Referrers(_, digest) => Self::Referrers(name, digest),
        }
    }
}

impl EndpointError {
    /// What the client is told. 400 for a name that can never exist: 404 would send it looking elsewhere.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotAnEndpoint => ErrorCode::NameUnknown,
            Self::Path(_) | Self::Name(_) => ErrorCode::NameInvalid,
            Self::Tag(_) => ErrorCode::TagInvalid,
            Self::Digest(_) => ErrorCode::DigestInvalid,
        }
    }
}

fn repository(segments: &[&str]) -> Result<Repository, EndpointError> {
    if segments.is_empty() {
        return Err(EndpointError::NotAnEndpoint);
    }
    if segments.iter().any(|segment| segment.contains('/')) {
        return Err(PathError::EncodedSlash.into());
    }
    Ok(segments.join("/").parse()?)
}

fn parse_reference(text: &str) -> Result<Reference, EndpointError> {
    text.parse().map_err(|error| match error {
        ReferenceError::Tag(error) => error.into(),
        ReferenceError::Digest(error) => error.into(),
    })
}

#[cfg(test)]
mod tests;
