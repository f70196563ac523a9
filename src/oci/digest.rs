//! Digests: the names of content.
//!
//! A digest is a name that anyone may write down. That bytes really have it is another fact, and another type:
//! see [`Verified`](super::Verified).

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::textual::textual;

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

    fn parts(&self) -> (&str, &str) {
        // Every constructor puts a ':' in; the fallback exists only because a panic must not.
        self.0.split_once(':').unwrap_or(("", &self.0))
    }

    /// The digest a hash function came to.
    pub(crate) fn from_hash(algorithm: &str, hash: &[u8]) -> Self {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::strategies;
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn grammar() {
        let long = "a".repeat(505);
        let ok = |algorithm: &str, encoded: &str| format!("{algorithm}:{encoded}");
        for text in [
            ok("sha256", HEX),
            ok("sha512", &HEX.repeat(2)),
            ok("blake3", HEX),
            ok("sha256+b64u", "LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"),
            ok(
                "multihash+base58",
                "QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
            ),
            ok("sha384", "A="),
            ok("foobar", &long),
        ] {
            assert_eq!(text.parse::<Digest>().unwrap().as_str(), text);
        }

        let length = |algorithm, expected, found| DigestError::Length {
            algorithm,
            expected,
            found,
        };
        for (text, error) in [
            (HEX.into(), DigestError::NoSeparator),
            (String::new(), DigestError::NoSeparator),
            (ok("", HEX), DigestError::Algorithm),
            (ok("SHA256", HEX), DigestError::Algorithm),
            (ok("sha..256", HEX), DigestError::Algorithm),
            (ok("sha+", HEX), DigestError::Algorithm),
            (ok("../sha", HEX), DigestError::Algorithm),
            (ok("other", ""), DigestError::Encoded),
            (ok("other", "a/b"), DigestError::Encoded),
            (ok("other", "a.b"), DigestError::Encoded),
            (ok("other", "a:b"), DigestError::Encoded),
            (
                ok("sha256", &HEX.to_uppercase()),
                DigestError::NotLowercaseHex("sha256"),
            ),
            (
                ok("sha256", &HEX.replace('e', "g")),
                DigestError::NotLowercaseHex("sha256"),
            ),
            (ok("sha256", &HEX[1..]), length("sha256", 64, 63)),
            (ok("sha256", ""), length("sha256", 64, 0)),
            (ok("sha512", HEX), length("sha512", 128, 64)),
            (ok("foobars", &long), DigestError::TooLong(513)),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }

    #[test]
    fn parts_and_algorithms() {
        let digest = Digest::sha256_of(b"");
        assert_eq!(digest.to_string(), format!("sha256:{HEX}"));
        assert_eq!(digest.algorithm(), Algorithm::Sha256);
        assert_eq!((digest.algorithm_name(), digest.encoded()), ("sha256", HEX));

        let digest: Digest = "sha256+b64u:abc".parse().unwrap();
        assert_eq!(digest.algorithm(), Algorithm::Other);
        assert_eq!(
            (digest.algorithm_name(), digest.encoded()),
            ("sha256+b64u", "abc")
        );
        assert!(!digest.is_verifiable());
    }

    #[test]
    fn an_invalid_digest_does_not_deserialise() {
        assert!(serde_json::from_str::<Digest>(r#""sha256:00""#).is_err());
    }

    proptest! {
        #[test]
        fn round_trips(digest in strategies::digest()) {
            prop_assert_eq!(&digest.to_string().parse::<Digest>().unwrap(), &digest);
            let json = serde_json::to_string(&digest).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Digest>(&json).unwrap(), &digest);
        }

        #[test]
        fn what_parses_is_safe_as_a_file_name(text in "[a-z0-9:./+=_%\\\\-]{0,20}|.{0,20}") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.as_str(), text);
                prop_assert!(!digest.as_str().contains(['/', '\\', '%']));
                prop_assert!(!digest.as_str().contains(".."));
            }
        }
    }
}
