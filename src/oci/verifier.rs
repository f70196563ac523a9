//! The proof that bytes match a digest.
//!
//! Only [`Verifier::finish`] makes a [`Verified`], so a function that asks for one cannot be called for bytes
//! nobody hashed. Absent on purpose: reading and writing. The bytes are handed in by whoever moves them.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};

use super::digest::{Algorithm, Digest};

/// A running hash over bytes that claim to match a digest.
///
/// Feed every byte once and in order, then ask [`finish`](Self::finish).
#[derive(Clone)]
pub struct Verifier {
    expected: Digest,
    hasher: Hasher,
    hashed: u64,
}

#[derive(Clone)]
enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Verifier {
    /// Begins a check of bytes against `expected`; `None` when the algorithm is not computable here.
    pub fn of(expected: &Digest) -> Option<Self> {
        let hasher = match expected.algorithm() {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Sha512::new()),
            Algorithm::Other => return None,
        };
        Some(Self {
            expected: expected.clone(),
            hasher,
            hashed: 0,
        })
    }

    /// Checks bytes already in memory; `None` when the algorithm of `digest` is not computable here.
    pub fn verify(digest: &Digest, bytes: &[u8]) -> Option<Result<Verified, Mismatch>> {
        let mut verifier = Self::of(digest)?;
        verifier.update(bytes);
        Some(verifier.finish())
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
        self.hashed += bytes.len() as u64;
    }

    /// Bytes hashed so far: the offset the next [`update`](Self::update) continues from.
    pub fn hashed(&self) -> u64 {
        self.hashed
    }

    /// The digest the bytes must match.
    pub fn expected(&self) -> &Digest {
        &self.expected
    }

    /// Ends the check over exactly the bytes hashed so far.
    ///
    /// # Errors
    /// [`Mismatch`] when the bytes belong to another digest. They must not be kept or completed.
    pub fn finish(self) -> Result<Verified, Mismatch> {
        let actual = match self.hasher {
            Hasher::Sha256(hasher) => Digest::from_hash("sha256", &hasher.finalize()),
            Hasher::Sha512(hasher) => Digest::from_hash("sha512", &hasher.finalize()),
        };
        if actual == self.expected {
            Ok(Verified {
                digest: self.expected,
                size: self.hashed,
            })
        } else {
            Err(Mismatch {
                expected: self.expected,
                actual,
                size: self.hashed,
            })
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("expected", &self.expected)
            .field("hashed", &self.hashed)
            .finish_non_exhaustive()
    }
}

/// Proof that bytes were hashed and match their digest. Made by [`Verifier::finish`] and by nothing else.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    digest: Digest,
    size: u64,
}

impl Verified {
    /// The digest the bytes match.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Number of bytes that were hashed.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Bytes that are not what their digest says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("digest mismatch: expected {expected}, got {actual} over {size} bytes")]
pub struct Mismatch {
    /// The digest that was asked for.
    pub expected: Digest,
    /// The digest of the bytes that came.
    pub actual: Digest,
    /// Number of bytes that came.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const EMPTY_SHA512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
        47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    #[test]
    fn verifies_known_hashes() {
        let abc: Digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            .parse()
            .unwrap();
        let verified = Verifier::verify(&abc, b"abc").unwrap().unwrap();
        assert_eq!((verified.digest(), verified.size()), (&abc, 3));

        let empty: Digest = EMPTY_SHA512.parse().unwrap();
        assert_eq!(Verifier::verify(&empty, b"").unwrap().unwrap().size(), 0);
    }

    #[test]
    fn a_mismatch_names_both_digests() {
        let expected = Digest::sha256_of(b"right");
        let mismatch = Verifier::verify(&expected, b"wrong!").unwrap().unwrap_err();
        assert_eq!(
            mismatch,
            Mismatch {
                expected,
                actual: Digest::sha256_of(b"wrong!"),
                size: 6
            }
        );
    }

    #[test]
    fn a_wrong_sha512_is_reported_as_sha512() {
        let expected: Digest = EMPTY_SHA512.parse().unwrap();
        let mismatch = Verifier::verify(&expected, b"x").unwrap().unwrap_err();
        assert_eq!(mismatch.actual.algorithm(), Algorithm::Sha512);
    }

    #[test]
    fn an_unknown_algorithm_has_no_verifier() {
        let digest: Digest = "blake3:00".parse().unwrap();
        assert!(Verifier::of(&digest).is_none());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..10)) {
            let whole = pieces.concat();
            let digest = Digest::sha256_of(&whole);
            let mut verifier = Verifier::of(&digest).unwrap();
            for piece in &pieces {
                verifier.update(piece);
            }
            prop_assert_eq!(verifier.hashed(), whole.len() as u64);
            prop_assert_eq!(verifier.finish().unwrap().size(), whole.len() as u64);
        }

        #[test]
        fn one_changed_byte_is_noticed(mut bytes in prop::collection::vec(any::<u8>(), 1..200), at: prop::sample::Index) {
            let digest = Digest::sha256_of(&bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert!(Verifier::verify(&digest, &bytes).unwrap().is_err());
        }
    }
}
