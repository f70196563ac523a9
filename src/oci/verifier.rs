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
    pub(super) fn new(expected: &Digest) -> Option<Self> {
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
        let mut verifier = digest.verifier()?;
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
