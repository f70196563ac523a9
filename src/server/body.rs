//! Response bodies as values: what is to be sent, not how. Each door sends them its own best way.

use bytes::Bytes;

use super::Multipart;
use crate::mirror::Follower;
use crate::oci::ByteRange;
use crate::store::Content;

/// The body of a response.
pub enum Body {
    /// No bytes.
    Empty,
    /// Bytes in memory: manifests, listings, errors.
    Bytes(Bytes),
    /// A range of verified bytes on disk.
    Content(Content, ByteRange),
    /// A range of a fill under way; the follower knows which.
    Follow(Follower),
    /// Several ranges of one blob, each in its frame.
    Parts(Multipart, Pieces),
}

/// Where the bytes of several ranges come from.
pub enum Pieces {
    /// Verified bytes on disk.
    Content(Content),
    /// A fill under way; the follower reads the same ranges in the same order.
    Follow(Follower),
}

impl Body {
    /// The length in bytes, where the value itself tells it: a follower's is told by the response.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Content(_, range) => Some(range.len()),
            Self::Follow(_) => None,
            Self::Parts(frame, _) => Some(frame.length()),
        }
    }

    /// Whether it is known that there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Bytes(bytes)
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}
