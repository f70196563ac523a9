//! Digests as the index and its tables hold them: bytes, not text.

use crate::oci::{Algorithm, Digest};

/// A digest of an algorithm that is kept here, in 40 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) struct Key {
    /// A sha256, or the first half of a sha512.
    head: [u8; 32],
    /// The second half of a sha512, of which there are few.
    tail: Option<Box<[u8; 32]>>,
}

impl Key {
    /// `None` for a digest that is never kept, because it cannot be verified.
    pub(in crate::store) fn of(digest: &Digest) -> Option<Self> {
        if digest.algorithm() == Algorithm::Other {
            return None;
        }
        Self::from_bytes(&hex::decode(digest.encoded()).ok()?)
    }

    /// The key that [`Key::bytes`] wrote; `None` for bytes of another length.
    pub(in crate::store) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_first_chunk::<32>()?;
        let tail = match tail {
            [] => None,
            tail => Some(Box::new(tail.try_into().ok()?)),
        };
        Some(Self { head: *head, tail })
    }

    /// 32 or 64 bytes; their number tells the algorithm.
    pub(in crate::store) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.to_vec();
        bytes.extend(self.tail.iter().flat_map(|tail| tail.iter()));
        bytes
    }

    pub(in crate::store) fn digest(&self) -> Digest {
        let algorithm = if self.tail.is_none() {
            "sha256"
        } else {
            "sha512"
        };
        Digest::from_hash(algorithm, &self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_digest() {
        let long = "0123456789abcdef".repeat(8);
        for text in [Digest::sha256_of(b"").to_string(), format!("sha512:{long}")] {
            let digest: Digest = text.parse().unwrap();
            let key = Key::of(&digest).unwrap();
            assert_eq!(key.digest(), digest);
            assert_eq!(Key::from_bytes(&key.bytes()), Some(key));
        }
        assert_eq!(Key::of(&"blake9:abcd".parse().unwrap()), None);
        for odd in [0, 31, 33, 63, 65] {
            assert_eq!(Key::from_bytes(&vec![0; odd]), None);
        }
    }
}
