//! When a fill goes on alone, and what is kept of one that stopped. Pure.

use std::time::Duration;

use super::measures::Measures;
use crate::oci::Digest;

/// How fills are treated.
#[derive(Clone, Copy, Debug)]
pub struct FillPolicy {
    /// A fill that somebody wanted whole is finished when the last client has left.
    pub finish: bool,
    /// Any other is finished all the same when this share of it is here: 0 to 1.
    pub finish_share: f64,
    /// A request is answered, or refused, within this time.
    pub answer_within: Duration,
    /// Unfinished fills are dropped when nothing came for so long.
    pub max_age: Duration,
    /// Unfinished fills take at most this many bytes together; the oldest are dropped first.
    pub max_bytes: u64,
    /// The lengths they are laid out by.
    pub measures: Measures,
}

impl FillPolicy {
    /// Whether a fill is finished for nobody: one that was `wanted` whole, or of which `share` is here.
    pub(super) fn finishes(&self, wanted: bool, share: f64) -> bool {
        (self.finish && wanted) || share >= self.finish_share
    }

    /// Which unfinished fills are to be dropped at the time `now` (Unix seconds).
    pub(super) fn victims(&self, mut unfinished: Vec<Leftover>, now: u64) -> Vec<Digest> {
        unfinished.sort_by_key(|it| std::cmp::Reverse(it.touched));
        let mut kept = 0_u64;
        let dropped = unfinished.into_iter().filter(|it| {
            let old = now.saturating_sub(it.touched) > self.max_age.as_secs();
            let grown = kept.saturating_add(it.bytes);
            let goes = old || grown > self.max_bytes;
            if !goes {
                kept = grown;
            }
            goes
        });
        dropped.map(|it| it.digest).collect()
    }
}

/// What is left of a fill that stopped.
#[derive(Clone, Debug)]
pub(super) struct Leftover {
    pub(super) digest: Digest,
    pub(super) bytes: u64,
    /// When something of it last came, in Unix seconds.
    pub(super) touched: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(finish: bool) -> FillPolicy {
        FillPolicy {
            finish,
            finish_share: 0.5,
            answer_within: Duration::from_secs(25),
            max_age: Duration::from_secs(100),
            max_bytes: 10,
            measures: Measures::default(),
        }
    }

    #[test]
    fn what_was_wanted_whole_or_is_half_here_is_finished() {
        assert!(policy(true).finishes(true, 0.0));
        assert!(!policy(true).finishes(false, 0.4));
        assert!(!policy(false).finishes(true, 0.4));
        assert!(policy(false).finishes(true, 0.5));
        assert!(policy(true).finishes(false, 0.5));
    }

    #[test]
    fn the_old_go_and_then_the_oldest_that_are_too_much() {
        let leftover = |name: &str, bytes, touched| Leftover {
            digest: Digest::sha256_of(name.as_bytes()),
            bytes,
            touched,
        };
        let all = vec![
            leftover("old", 1, 899),
            leftover("older large", 7, 950),
            leftover("small", 2, 960),
            leftover("new large", 7, 1000),
        ];
        let dropped = [all[1].digest.clone(), all[0].digest.clone()];
        assert_eq!(policy(true).victims(all, 1000), dropped);
    }
}
