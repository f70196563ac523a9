//! Digests: the names of content.
//!
//! A digest is a name that anyone may write down. That bytes really have it is another fact, and another type:
//! see [`Verified`](super::Verified).

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::textual::textual;
use super::verifier::Verifier;

/// The longest digest accepted, in bytes. The grammar sets no limit; a name that becomes a file name needs one.
const MAX_LENGTH: usize = 512;

/// The hash of a digest, as far as this program can compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `sha256`, what practically every registry uses.
    Sha256,
    /// `sha512`, registered as well.
    Sha512,
    /// Valid by the grammar, but not computable here: such content can be passed on, never kept.
    Other,
}

/// `algorithm:encoded`, the name of immutable content (OCI image spec, Digests). Cheap to clone.
///
/// `sha256` and `sha512` carry exactly 64 and 128 lowercase hexadecimal digits; digests of other algorithms
/// follow the general grammar. Neither form can hold a `/`, a `..` or a control character.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Arc<str>);

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `:` between algorithm and value.
    #[error("a digest has the form algorithm:value")]
    NoSeparator,
    /// The part before `:` is not lowercase alphanumeric parts joined by single `+`, `.`, `_` or `-`.
    #[error("the algorithm of the digest is malformed")]
    Algorithm,
    /// The part after `:` is empty or holds a character outside letters, digits, `=`, `_` and `-`.
    #[error("the value of the digest is malformed")]
    Encoded,
    /// A `sha256` or `sha512` value holds something else than `0-9a-f` (uppercase included).
    #[error("a {0} digest is written in lowercase hexadecimal digits")]
    NotLowercaseHex(&'static str),
    /// A `sha256` or `sha512` value has the wrong number of digits.
    #[error("a {algorithm} digest has {expected} hexadecimal digits, not {found}")]
    Length {
        /// The algorithm named by the digest.
        algorithm: &'static str,
        /// Digits the algorithm produces.
        expected: usize,
        /// Digits in the text.
        found: usize,
    },
    /// The whole text is longer than 512 bytes.
    #[error("a digest is at most {MAX_LENGTH} bytes long, not {0}")]
    TooLong(usize),
}

impl Digest {
    /// The SHA-256 digest of bytes held in memory.
    pub fn sha256_of(bytes: &[u8]) -> Self {
        Self::from_hash("sha256", &Sha256::digest(bytes))
    }

    /// The whole text, `algorithm:encoded`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm, as far as it is known here.
    pub fn algorithm(&self) -> Algorithm {
        match self.algorithm_name() {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => Algorithm::Other,
        }
    }

    /// The text before the `:`.
    pub fn algorithm_name(&self) -> &str {
        self.parts().0
    }

    /// The text after the `:`.
    pub fn encoded(&self) -> &str {
        self.parts().1
    }

    /// Whether bytes can be checked against this digest here.
    pub fn is_verifiable(&self) -> bool {
        self.algorithm() != Algorithm::Other
    }

    /// Begins a check of bytes against this digest; `None` when the algorithm is not computable here.
    pub fn verifier(&self) -> Option<Verifier> {
        Verifier::new(self)
    }

    fn parts(&self) -> (&str, &str) {
        // Every constructor puts a ':' in; the fallback exists only because a panic must not.
        self.0.split_once(':').unwrap_or(("", &self.0))
    }

    /// The digest a hash function came to.
    pub(super) fn from_hash(algorithm: &str, hash: &[u8]) -> Self {
        Self(format!("{algorithm}:{}", hex::encode(hash)).into())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.len() > MAX_LENGTH {
            return Err(DigestError::TooLong(text.len()));
        }
        let (algorithm, encoded) = text.split_once(':').ok_or(DigestError::NoSeparator)?;
        if !is_algorithm(algorithm) {
            return Err(DigestError::Algorithm);
        }
        match algorithm {
            "sha256" => check_hex("sha256", 64, encoded)?,
            "sha512" => check_hex("sha512", 128, encoded)?,
            _ if !is_encoded(encoded) => return Err(DigestError::Encoded),
            _ => {}
        }
        Ok(Self(text.into()))
    }
}

fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-']).all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

fn is_encoded(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

fn check_hex(algorithm: &'static str, expected: usize, text: &str) -> Result<(), DigestError> {
    if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(DigestError::NotLowercaseHex(algorithm));
    }
    if text.len() != expected {
        return Err(DigestError::Length {
            algorithm,
            expected,
            found: text.len(),
        });
    }
    Ok(())
}

textual!(Digest, DigestError);
