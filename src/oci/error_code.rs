//! The error codes of the registry protocol (OCI distribution spec, Error codes), as one table.
//!
//! Absent on purpose: which failure becomes which code. The server decides that, once, at its edge.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A code of the `errors` array that registries answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is the protocol's own name, explained by its message"
)]
pub enum ErrorCode {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    Denied,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    ManifestUnverified,
    NameInvalid,
    NameUnknown,
    PaginationNumberInvalid,
    RangeInvalid,
    SizeInvalid,
    TagInvalid,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unknown,
    Unsupported,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 20] = [
        Self::BlobUnknown,
        Self::BlobUploadInvalid,
        Self::BlobUploadUnknown,
        Self::Denied,
        Self::DigestInvalid,
        Self::ManifestBlobUnknown,
        Self::ManifestInvalid,
        Self::ManifestUnknown,
        Self::ManifestUnverified,
        Self::NameInvalid,
        Self::NameUnknown,
        Self::PaginationNumberInvalid,
        Self::RangeInvalid,
        Self::SizeInvalid,
        Self::TagInvalid,
        Self::TooManyRequests,
        Self::Unauthorized,
        Self::Unavailable,
        Self::Unknown,
        Self::Unsupported,
    ];

    /// The table: code on the wire, status, default message.
    #[rustfmt::skip]
    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BlobUnknown => ("BLOB_UNKNOWN", 404, "blob unknown to the registry"),
            Self::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", 404, "blob upload invalid"),
            Self::BlobUploadUnknown => ("BLOB_UPLOAD_UNKNOWN", 404, "blob upload unknown to the registry"),
            Self::Denied => ("DENIED", 403, "access to the resource is denied"),
            Self::DigestInvalid => ("DIGEST_INVALID", 400, "the digest is invalid"),
            Self::ManifestBlobUnknown => ("MANIFEST_BLOB_UNKNOWN", 400, "the manifest names a blob unknown to the registry"),
            Self::ManifestInvalid => ("MANIFEST_INVALID", 400, "manifest invalid"),
            Self::ManifestUnknown => ("MANIFEST_UNKNOWN", 404, "manifest unknown to the registry"),
            Self::ManifestUnverified => ("MANIFEST_UNVERIFIED", 400, "the manifest's signature could not be verified"),
            Self::NameInvalid => ("NAME_INVALID", 400, "invalid repository name"),
            Self::NameUnknown => ("NAME_UNKNOWN", 404, "repository name unknown to the registry"),
            Self::PaginationNumberInvalid => ("PAGINATION_NUMBER_INVALID", 400, "invalid number of results requested"),
            Self::RangeInvalid => ("RANGE_INVALID", 416, "the requested range cannot be satisfied"),
            Self::SizeInvalid => ("SIZE_INVALID", 400, "the length does not match the content"),
            Self::TagInvalid => ("TAG_INVALID", 400, "invalid tag"),
            Self::TooManyRequests => ("TOOMANYREQUESTS", 429, "too many requests"),
            Self::Unauthorized => ("UNAUTHORIZED", 401, "authentication required"),
            Self::Unavailable => ("UNAVAILABLE", 503, "service unavailable"),
            Self::Unknown => ("UNKNOWN", 500, "unknown error"),
            Self::Unsupported => ("UNSUPPORTED", 405, "the operation is unsupported"),
        }
    }

    /// The code on the wire, `NAME_INVALID`.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with the code.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// What to say when there is nothing better to say.
    pub const fn message(self) -> &'static str {
        self.row().2
    }

    /// The JSON body of an error answer, `{"errors":[{"code":..,"message":..}]}`.
    pub fn body(self, message: &str) -> Vec<u8> {
        let body = Errors {
            errors: [Error {
                code: self.as_str(),
                message,
            }],
        };
        // Two strings always serialise.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Errors<'a> {
    errors: [Error<'a>; 1],
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'static str,
    message: &'a str,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is none of the codes of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown error code")]
pub struct UnknownErrorCode;

impl FromStr for ErrorCode {
    type Err = UnknownErrorCode;

    fn from_str(text: &str) -> Result<Self, UnknownErrorCode> {
        Self::ALL
            .into_iter()
            .find(|code| code.as_str() == text)
            .ok_or(UnknownErrorCode)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_as_the_protocol_has_them() {
        for (text, status) in [
            ("NAME_INVALID", 400),
            ("NAME_UNKNOWN", 404),
            ("MANIFEST_UNKNOWN", 404),
            ("MANIFEST_INVALID", 400),
            ("MANIFEST_BLOB_UNKNOWN", 400),
            ("MANIFEST_UNVERIFIED", 400),
            ("TAG_INVALID", 400),
            ("SIZE_INVALID", 400),
            ("DIGEST_INVALID", 400),
            ("PAGINATION_NUMBER_INVALID", 400),
            ("BLOB_UNKNOWN", 404),
            ("BLOB_UPLOAD_UNKNOWN", 404),
            ("BLOB_UPLOAD_INVALID", 404),
            ("UNAUTHORIZED", 401),
            ("DENIED", 403),
            ("UNSUPPORTED", 405),
            ("RANGE_INVALID", 416),
            ("TOOMANYREQUESTS", 429),
            ("UNAVAILABLE", 503),
            ("UNKNOWN", 500),
        ] {
            assert_eq!(
                text.parse::<ErrorCode>().unwrap().status(),
                status,
                "{text}"
            );
        }
    }

    #[test]
    fn every_code_is_read_as_it_is_written() {
        for code in ErrorCode::ALL {
            assert_eq!(code.to_string().parse(), Ok(code));
            assert!(!code.message().is_empty());
        }
        assert_eq!("name_invalid".parse::<ErrorCode>(), Err(UnknownErrorCode));
    }

    #[test]
    fn the_body_is_the_errors_array() {
        let body = ErrorCode::NameInvalid.body("a \"quoted\"\nname");
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
            json!({"errors": [{"code": "NAME_INVALID", "message": "a \"quoted\"\nname"}]})
        );
    }
}
