//! The registry protocol as values: names, digests, media types, ranges, error codes.
//!
//! Everything here is parsed once, at the edge, and valid from then on. No I/O, no clock, no async: whatever
//! can be decided from values alone is decided here and tested as a function.

mod accepts;
mod challenge;
mod content_range;
mod descriptor;
mod digest;
mod endpoint;
mod error_code;
pub mod etag;
pub mod image_reference;
mod manifest;
mod media_type;
mod name;
mod path;
mod pattern;
mod range;
mod range_set;
mod reference;
mod referrers;
mod repository_rules;
pub mod schema1;
#[cfg(test)]
pub(crate) mod strategies;
mod tag_list;
mod textual;
mod verifier;
mod wanted;
mod wanted_platform;

pub use accepts::Accepts;
pub use challenge::{Challenge, Scheme};
pub use content_range::{ContentRange, ContentRangeError};
pub use descriptor::{Descriptor, DescriptorError, Platform};
pub use digest::{Algorithm, Digest, DigestError};
pub use endpoint::{Endpoint, EndpointError};
pub use error_code::{ErrorCode, UnknownErrorCode};
pub use image_reference::{ImageName, ImageReference, ImageReferenceError};
pub use manifest::{Manifest, ManifestError, ManifestKind};
pub use media_type::{MediaType, MediaTypeError};
pub use name::{NameError, Repository};
pub use path::PathError;
pub use pattern::{Pattern, PatternError};
pub use range::{ByteRange, RangeHeader, RangeSpec};
pub use range_set::RangeSet;
pub use reference::{Reference, ReferenceError, Tag, TagError};
pub use referrers::{Referrers, fallback_tag};
pub use repository_rules::RepositoryRules;
pub use tag_list::TagList;
pub use verifier::{Mismatch, Verified, Verifier};
pub use wanted::{Wanted, WantedError};
pub use wanted_platform::{PlatformError, WantedPlatform};
