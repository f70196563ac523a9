//! One registry that we pull from.
//!
//! The seam of this room is [`Registry`]: what the engine asks of an upstream, whatever stands
//! behind it. [`HttpRegistry`] speaks to a real one, [`OfflineRegistry`] refuses every call.
//!
//! The room knows the network only. It keeps nothing on disk, verifies no digest and takes no
//! decision about freshness; it follows challenges and redirects, bounds every wait, does not ask
//! where that is known to be vain, and says exactly what it saw. Deliberately absent: caching of content, coalescing of content, resuming.
//! Those belong to the engine. Also absent: writing to an upstream.

mod access;
mod account;
mod address;
mod answer;
mod breaker;
mod budget;
mod client;
mod client_authorization;
mod error;
mod exchange;
mod failure;
mod fault;
mod identity;
mod link;
mod metrics;
mod offline;
mod part;
mod program;
mod reach;
mod realm;
mod redirect;
mod referrers;
mod registry;
mod settings;
mod silence;
mod token;
mod token_request;
mod trust;
mod watch;
mod wire;

#[cfg(test)]
mod scenarios;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::oci::{Accepts, Challenge, Digest, MediaType, RangeSpec, Reference, Repository};

pub use client_authorization::ClientAuthorization;
pub use error::{ErrorKind, Phase, UpstreamError};
#[doc(hidden)]
pub use link::next_query;
pub use metrics::Metrics;
pub use offline::OfflineRegistry;
#[doc(hidden)]
pub use program::reads_as_account;
pub use registry::HttpRegistry;
pub use settings::{BuildError, Credentials, Egress, RATE_RESERVE, Settings, Timeouts, Trust};
pub use silence::SLOW;
#[doc(hidden)]
pub use token::reads_as_token;
pub use token_request::{Grant, TokenAnswer, TokenRequest};

/// What a HEAD of a manifest told. Every part may be missing: registries differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// `Docker-Content-Digest`, where it was sent and well formed.
    pub digest: Option<Digest>,
    /// `Content-Type` without parameters, as declared; it may be wrong.
    pub media_type: Option<MediaType>,
    /// `Content-Length`, in bytes.
    pub size: Option<u64>,
}

/// A manifest as it came, byte for byte and not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestBody {
    /// `Docker-Content-Digest`, where it was sent and well formed. A claim, not a proof.
    pub digest: Option<Digest>,
    /// `Content-Type` without parameters, as declared; it may be wrong.
    pub media_type: Option<MediaType>,
    /// The exact bytes, at most 16 MiB.
    pub bytes: Bytes,
}

/// What is known of a blob without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobHead {
    /// Total size in bytes.
    pub size: u64,
}

/// The bytes of a blob, coming in and not yet verified.
pub struct BlobBody {
    /// Where in the blob the first byte of `stream` stands: the offset asked for, or 0 when the
    /// upstream sends the whole in place of a part.
    pub offset: u64,
    /// Where in the blob `stream` ends (the offset just behind its last byte), where the upstream
    /// told it. This may be before the end that was asked for, never behind it unless the whole is sent.
    pub end: Option<u64>,
    /// Total size of the blob in bytes (not of this stream), where the upstream told it.
    pub size: Option<u64>,
    /// Upstream sends parts where parts are asked for: this is one, or it says so (`Accept-Ranges: bytes`, RFC 9110
    /// section 14.3).
    pub sends_parts: bool,
    /// The bytes in order. Where `end` is known, an end of the stream without an error is at `end`:
    /// too few bytes are an error of kind [`Cut`](ErrorKind::Cut), too many one of kind
    /// [`Protocol`](ErrorKind::Protocol), and no byte from behind `end` is given out. Where it is not
    /// known, it is the end of what the upstream sent. Nothing comes after an error.
    pub stream: BoxStream<'static, Result<Bytes, UpstreamError>>,
}

impl std::fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobBody")
            .field("offset", &self.offset)
            .field("end", &self.end)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What can be listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listing {
    /// The tags of a repository.
    Tags(Repository),
    /// The repositories of the registry.
    Catalog,
    /// The manifests that refer to a digest of a repository, as an OCI index (OCI distribution spec, "Listing
    /// Referrers"). An upstream without this endpoint is [`NotFound`](ErrorKind::NotFound).
    Referrers(Repository, Digest),
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListBody {
    /// The JSON document as it came, at most 8 MiB.
    pub bytes: Bytes,
    /// The query of the next page's URL (`Link` with `rel="next"`), opaque, without the `?`.
    pub next: Option<String>,
    /// Whether the upstream says that it filtered by `artifactType` (`OCI-Filters-Applied`).
    pub is_filtered: bool,
}

/// What is known of an upstream without asking it. The default is that of one nobody complains of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// A request waits for the head of its answer for longer than it should, and no other was answered since: whoever
    /// can do without this upstream had better not wait for it.
    pub is_slow: bool,
    /// It is assumed to be out: a question would fail at once with [`AssumedOffline`](ErrorKind::AssumedOffline). False
    /// whenever a probe is due: then the next question is the probe, and must be put for the upstream to come back.
    pub is_down: bool,
    /// What it still grants us is down to the reserve: what is counted against us should wait if it can.
    pub is_spent: bool,
}

/// One registry: what the engine asks of an upstream.
///
/// Each call is one question. It may cost several requests on the wire (a token, redirects), it
/// has no total deadline, and each of its waits is bounded. Dropping the future, or the stream of
/// a [`BlobBody`], ends the request.
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// Asks for a manifest's digest, type and size without its bytes (OCI distribution spec, "Checking if
    /// content exists in the registry"). `accepts` says which types may answer a tag; by digest the content is
    /// fixed and everything is accepted.
    ///
    /// # Errors
    /// Any [`ErrorKind`]; an unknown manifest is [`NotFound`](ErrorKind::NotFound).
    async fn head_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestHead, UpstreamError>;

    /// Fetches a manifest (OCI distribution spec, "Pulling manifests"); `accepts` as for
    /// [`head_manifest`](Registry::head_manifest).
    ///
    /// # Errors
    /// Any [`ErrorKind`]; a body over 16 MiB or of type HTML is
    /// [`Protocol`](ErrorKind::Protocol).
    async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestBody, UpstreamError>;

    /// Asks for a blob's size. Registries that refuse HEAD, or send no length, are asked for the
    /// first byte instead; the body is never downloaded.
    ///
    /// # Errors
    /// Any [`ErrorKind`]; [`Protocol`](ErrorKind::Protocol) when no way tells the size.
    async fn head_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<BlobHead, UpstreamError>;

    /// Fetches a blob, or the one `part` of it (OCI distribution spec, "Pulling blobs"; RFC 9110
    /// section 14.2). A range is asked for exactly if there is a `part`, be it the whole.
    ///
    /// An upstream may send the whole in place of the part, or the part's beginning only: see
    /// [`BlobBody`]. One that refuses ranges (400, 405, 501, or a 416 that does not say why) is
    /// asked once more, for the whole.
    ///
    /// # Errors
    /// Any [`ErrorKind`], before the first byte here, afterwards in the stream.
    /// [`Unsatisfiable`](ErrorKind::Unsatisfiable) when no byte of the blob lies in `part`;
    /// [`Protocol`](ErrorKind::Protocol) for other bytes than those asked for, and for a body in
    /// another coding than `identity`.
    async fn get_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        part: Option<RangeSpec>,
    ) -> Result<BlobBody, UpstreamError>;

    /// Fetches one page of a listing (OCI distribution spec, "Listing Tags"). `query` is passed on
    /// as it is: paging parameters are the upstream's own.
    ///
    /// # Errors
    /// Any [`ErrorKind`]; a body over 8 MiB or of type HTML is [`Protocol`](ErrorKind::Protocol). An upstream
    /// without a list of referrers is [`NotFound`](ErrorKind::NotFound) without a code, however it says so.
    async fn list(&self, listing: &Listing, query: Option<&str>)
    -> Result<ListBody, UpstreamError>;

    /// The same upstream asked with a client's own credentials, which go to its own origin only; `None` when it is
    /// not to be asked with any but ours.
    fn on_behalf(&self, _: &ClientAuthorization) -> Option<Arc<dyn Registry>> {
        None
    }

    /// What it asks of those who want to read: the challenge of its base endpoint (OCI distribution spec,
    /// "Determining Support"), Bearer before Basic, without a scope. `None` when it asks for nothing. It is remembered
    /// for some minutes, and many who ask at once are one question. On behalf of a client it is asked each time: then
    /// `None` means that the client's credentials were taken.
    ///
    /// # Errors
    /// Any outage.
    async fn challenge(&self) -> Result<Option<Challenge>, UpstreamError> {
        Ok(None)
    }

    /// Asks its token realm for a token in a client's name. The realm is admitted as for our own account.
    ///
    /// # Errors
    /// [`Unauthorized`](ErrorKind::Unauthorized) and [`Denied`](ErrorKind::Denied) as the realm says;
    /// [`NotFound`](ErrorKind::NotFound) when there is no realm; [`Refused`](ErrorKind::Refused) when it may not be
    /// asked; any outage.
    async fn token(&self, _: &TokenRequest) -> Result<TokenAnswer, UpstreamError> {
        let kind = ErrorKind::NotFound { code: None };
        Err(UpstreamError::new(kind, "no token realm"))
    }

    /// What is known of it without asking. Never waits.
    fn standing(&self) -> Standing {
        Standing::default()
    }
}
