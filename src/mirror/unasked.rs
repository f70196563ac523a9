//! Blobs that were fetched ahead of a client and that nobody has asked for yet.
//!
//! Each transfer is the miss of one request: of the first that it is good for. A fill that a client begins is the miss
//! of that client. One that was begun ahead, after a manifest was served, is the miss of whoever asks for it first,
//! whether it is still under way then or here already: else pulls of what nobody had ever pulled would look like hits.

use std::collections::{HashSet, VecDeque};

use parking_lot::RwLock;

use crate::oci::Digest;

/// So many are remembered; of older ones the first request counts as what it meets.
const MOST: usize = 16_384;

/// The blobs, remembered within bounds. For every blob that is served this is asked.
#[derive(Default)]
pub(super) struct Unasked(RwLock<Remembered>);

#[derive(Default)]
struct Remembered {
    digests: HashSet<Digest>,
    /// In the order of coming; some may have been asked for meanwhile.
    order: VecDeque<Digest>,
}

impl Unasked {
    /// A fill of `digest` was begun ahead.
    pub(super) fn remember(&self, digest: &Digest) {
        let mut remembered = self.0.write();
        if !remembered.digests.insert(digest.clone()) {
            return;
        }
        remembered.order.push_back(digest.clone());
        if remembered.order.len() > MOST
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.digests.remove(&oldest);
        }
    }

    /// Whether nobody has asked for it since it was fetched ahead: true once.
    pub(super) fn first_asked(&self, digest: &Digest) -> bool {
        // Hits look only, and never wait for each other.
        self.0.read().digests.contains(digest) && self.0.write().digests.remove(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: usize) -> Digest {
        Digest::sha256_of(&n.to_le_bytes())
    }

    #[test]
    fn the_first_to_ask_is_the_first_once() {
        let unasked = Unasked::default();
        assert!(!unasked.first_asked(&digest(1)));
        for _ in 0..2 {
            unasked.remember(&digest(1));
            unasked.remember(&digest(1));
            assert!(unasked.first_asked(&digest(1)));
            assert!(!unasked.first_asked(&digest(1)));
        }
    }

    #[test]
    fn only_so_many_are_remembered() {
        let unasked = Unasked::default();
        for n in 0..=MOST {
            unasked.remember(&digest(n));
        }
        assert!(!unasked.first_asked(&digest(0)));
        assert!(unasked.first_asked(&digest(1)));
        // What was asked for leaves no trace that grows.
        for n in 0..2 * MOST {
            unasked.remember(&digest(n));
            unasked.first_asked(&digest(n));
        }
        let remembered = unasked.0.read();
        assert!(remembered.order.len() <= MOST && remembered.digests.len() <= MOST);
    }
}
