//! What the scripted upstream does when a blob is asked for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::oci::ByteRange;
use crate::upstream::ErrorKind;

/// One thing that happens in a blob's body.
pub(crate) enum Step {
    Send(Bytes),
    /// Waits until the test opens the gate.
    Gate(Arc<Semaphore>),
    Pause(Duration),
    Fail(ErrorKind),
    /// The fetch's task ends without a word.
    Panic,
}

/// One answer to a blob's GET.
pub(crate) struct Script {
    pub(crate) size: Option<u64>,
    pub(crate) knows_ranges: bool,
    /// Of a part it sends so many bytes at most, and says so.
    pub(crate) falls_short: Option<u64>,
    /// Of a part it tells where it ends and not of how many bytes (`Content-Range: bytes 0-9/*`).
    pub(crate) hides_size: bool,
    /// Bytes a second of a connection; none: as fast as they are taken.
    pub(crate) pace: Option<u64>,
    pub(crate) steps: Vec<Step>,
}

impl Script {
    /// `parts` in turn, announced by their total size.
    pub(crate) fn of(parts: Vec<Step>) -> Self {
        let size = parts.iter().map(|step| match step {
            Step::Send(bytes) => bytes.len() as u64,
            _ => 0,
        });
        Self {
            size: Some(size.sum()),
            knows_ranges: true,
            falls_short: None,
            hides_size: false,
            pace: None,
            steps: parts,
        }
    }

    pub(crate) fn announced(self, size: Option<u64>) -> Self {
        Self { size, ..self }
    }

    /// The steps that bring the bytes of `range`, and those in between.
    pub(super) fn within(self, range: ByteRange) -> Vec<Step> {
        let mut at = 0;
        let cut = |step| match step {
            Step::Send(bytes) => {
                let length = bytes.len() as u64;
                let start = range.start.clamp(at, at + length) - at;
                let end = range.end.clamp(at, at + length) - at;
                at += length;
                let index = |offset| usize::try_from(offset).unwrap();
                Step::Send(bytes.slice(index(start.min(end))..index(end)))
            }
            step => step,
        };
        let steps = self.steps.into_iter().map(cut);
        match self.pace {
            None => steps.collect(),
            Some(pace) => steps.flat_map(|step| paced(step, pace)).collect(),
        }
    }
}

/// `step`, with a pause before each piece that comes at `pace`.
fn paced(step: Step, pace: u64) -> Vec<Step> {
    const PIECE: usize = 64 * 1024;
    let Step::Send(bytes) = step else {
        return vec![step];
    };
    let pieces = (0..bytes.len()).step_by(PIECE).flat_map(|at| {
        let piece = bytes.slice(at..bytes.len().min(at + PIECE));
        let pause = Duration::from_micros(piece.len() as u64 * 1_000_000 / pace);
        [Step::Pause(pause), Step::Send(piece)]
    });
    pieces.collect()
}
