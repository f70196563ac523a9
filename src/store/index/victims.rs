//! Whom eviction takes.

use super::{Index, seconds};
use crate::oci::Digest;

impl Index {
    /// What to evict at the time `now` (Unix seconds) so that `need` bytes become free, with sizes: the lowest in the
    /// order first. Less than `need` when there is no more that may go. Never what is pinned or being read, nor what
    /// was used within the last `min_age` seconds.
    pub fn victims(&self, need: u64, now: u64, min_age: u64) -> Vec<(Digest, u64)> {
        let youngest = seconds(now.saturating_sub(min_age));
        let (mut found, mut freed) = (Vec::new(), 0_u64);
        for &(_, id) in &self.order {
            let entry = &self.table[id];
            if freed >= need {
                break;
            }
            if min_age > 0 && entry.last_use > youngest {
                if self.policy.is_by_time() {
                    break;
                }
            } else if !self.readers.contains_key(&id) {
                freed += entry.size;
                found.push((entry.key.digest(), entry.size));
            }
        }
        found
    }

    /// Whether `digest` is here and may go: neither pinned nor being read.
    pub(in crate::store) fn may_go(&self, digest: &Digest) -> bool {
        self.find(digest).is_some_and(|id| {
            let entry = &self.table[id];
            entry.is_present && !entry.is_pinned && !self.readers.contains_key(&id)
        })
    }
}
