//! What is known of a fill at one instant, and what that allows a follower.

use crate::oci::{ByteRange, Mismatch, RangeSet};
use crate::store::{Source, StoreError};
use crate::upstream::UpstreamError;

use super::HOLD_BACK;
use crate::mirror::Who;

/// Why a fill ended without content. Clonable: it reaches every follower.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FillError {
    /// Upstream could not give the bytes.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Upstream's bytes do not have the digest they were asked by.
    #[error("upstream sent wrong bytes: {0}")]
    Mismatch(#[from] Mismatch),
    /// Our disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Upstream sent more or fewer bytes than it announced.
    #[error("upstream announced {announced} bytes and sent {sent}")]
    Length {
        /// The size announced, in bytes.
        announced: u64,
        /// What came, in bytes.
        sent: u64,
    },
    /// Upstream tells another size than before: what is here is of something else.
    #[error("upstream announced {before} bytes before, and now {now}")]
    SizeChanged {
        /// The size announced first, in bytes.
        before: u64,
        /// The size announced now, in bytes.
        now: u64,
    },
    /// The fetch was dropped again and again.
    #[error("the download was abandoned")]
    Abandoned,
}

impl FillError {
    /// Who is to blame.
    pub fn blame(&self) -> Who {
        match self {
            Self::Upstream(_)
            | Self::Mismatch(_)
            | Self::Length { .. }
            | Self::SizeChanged { .. } => Who::Upstream,
            Self::Store(_) => Who::Store,
            Self::Abandoned => Who::Mirror,
        }
    }
}

/// Where a fill stands.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// A fetch runs.
    Fetching,
    /// The fetch went away without a word; any follower may begin another.
    Orphaned,
    /// All bytes are here and their digest matches.
    Verified,
    /// No more bytes will come.
    Failed(FillError),
}

/// What followers see of a fill: published by the fetch, never changed by anyone else but to claim an orphan.
pub(super) struct State {
    /// The blob's size, once upstream told it.
    pub(super) size: Option<u64>,
    /// Which bytes are in the file.
    pub(super) present: RangeSet,
    /// The file, once there is one.
    pub(super) source: Option<Source>,
    pub(super) phase: Phase,
}

/// What a follower at some offset can do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read these bytes.
    Read(ByteRange),
    /// Wait for the state to change.
    Wait,
    /// Nobody fetches: begin a fetch, then wait.
    TakeOver,
    /// Give up; the reason is in the phase.
    Fail,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            size: None,
            present: RangeSet::default(),
            source: None,
            phase: Phase::Fetching,
        }
    }

    /// What a follower that wants the bytes of `wanted` can do (`wanted` is not empty).
    pub(super) fn step(&self, wanted: ByteRange) -> Step {
        if let Some(end) = self.released_until(wanted.start) {
            return Step::Read(ByteRange {
                start: wanted.start,
                end: end.min(wanted.end),
            });
        }
        match self.phase {
            Phase::Fetching | Phase::Verified => Step::Wait,
            Phase::Orphaned => Step::TakeOver,
            Phase::Failed(_) => Step::Fail,
        }
    }

    /// The end of the bytes from `offset` on that may be given out; `None` when there are none.
    ///
    /// A failed fill gives out what it has: a follower that reads slowly learns of the failure where the bytes
    /// end, never in the midst of bytes that are here. The last bytes stay back unless the digest matches.
    fn released_until(&self, offset: u64) -> Option<u64> {
        let present = self.present.run_end(offset)?;
        let bound = match (&self.phase, self.size) {
            (Phase::Verified, _) => u64::MAX,
            (_, Some(size)) => size.saturating_sub(HOLD_BACK),
            // Of unknown size: any byte may be among the last.
            (_, None) => 0,
        };
        let end = present.min(bound);
        (end > offset).then_some(end)
    }

    /// Whether an answer may begin: the size is known and, for a small blob, the digest matches.
    pub(super) fn opening(&self) -> Opening {
        match (&self.phase, self.size) {
            (Phase::Failed(error), _) => Opening::Failed(error.clone()),
            (Phase::Verified, Some(size)) => Opening::Ready(size),
            (_, Some(size)) if size > HOLD_BACK => Opening::Ready(size),
            (Phase::Orphaned, _) => Opening::TakeOver,
            _ => Opening::Wait,
        }
    }
}

/// Whether a response's head can be written.
#[derive(Debug)]
pub(super) enum Opening {
    /// Yes, with this size.
    Ready(u64),
    Wait,
    TakeOver,
    Failed(FillError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(size: Option<u64>, present: &[(u64, u64)], phase: Phase) -> State {
        let mut state = State {
            size,
            phase,
            ..State::new()
        };
        for &(start, end) in present {
            state.present.insert(ByteRange { start, end });
        }
        state
    }

    #[test]
    fn a_late_follower_begins_at_byte_0_of_what_is_here() {
        let size = 1 << 20;
        let state = state(Some(size), &[(0, 500_000)], Phase::Fetching);
        let whole = ByteRange {
            start: 0,
            end: size,
        };
        assert_eq!(
            state.step(whole),
            Step::Read(ByteRange {
                start: 0,
                end: 500_000
            })
        );
        assert_eq!(
            state.step(ByteRange {
                start: 500_000,
                end: size
            }),
            Step::Wait
        );
    }

    #[test]
    fn an_orphaned_fill_is_taken_over_only_where_bytes_are_missing() {
        let state = state(Some(1 << 20), &[(0, 500_000)], Phase::Orphaned);
        assert!(matches!(
            state.step(ByteRange { start: 9, end: 10 }),
            Step::Read(_)
        ));
        assert_eq!(
            state.step(ByteRange {
                start: 600_000,
                end: 600_001
            }),
            Step::TakeOver
        );
    }

    #[test]
    fn a_small_blob_is_not_opened_before_its_digest_matches() {
        let whole = [(0, HOLD_BACK)];
        let small = |phase| state(Some(HOLD_BACK), &whole, phase).opening();
        assert!(matches!(small(Phase::Fetching), Opening::Wait));
        assert!(matches!(small(Phase::Verified), Opening::Ready(HOLD_BACK)));
        assert!(matches!(
            small(Phase::Failed(FillError::Abandoned)),
            Opening::Failed(_)
        ));
    }

    proptest! {
        #[test]
        fn the_last_bytes_are_held_back_until_the_digest_matches(
            size in 0_u64..300_000, known: bool, have in 0_u64..300_000, at in 0_u64..300_000,
        ) {
            let have = have.min(size);
            for phase in [Phase::Fetching, Phase::Orphaned, Phase::Failed(FillError::Abandoned)] {
                let state = state(known.then_some(size), &[(0, have)], phase);
                if let Step::Read(range) = state.step(ByteRange { start: at, end: u64::MAX }) {
                    prop_assert!(known && range.end <= size.saturating_sub(HOLD_BACK));
                    prop_assert!(range.start == at && range.end > at && range.end <= have);
                }
            }
        }

        #[test]
        fn verified_bytes_are_all_given_out(size in 1_u64..300_000, at in 0_u64..300_000) {
            let at = at.min(size - 1);
            let state = state(Some(size), &[(0, size)], Phase::Verified);
            let wanted = ByteRange { start: at, end: size };
            prop_assert_eq!(state.step(wanted), Step::Read(wanted));
        }
    }
}
