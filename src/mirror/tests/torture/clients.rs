//! Clients that come, read, dawdle and leave by the dice, and compare each byte with the truth.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::dice::Dice;
use super::watched::Violations;
use crate::mirror::testkit::{Asker, origin, read_run};
use crate::mirror::{Blob, Mirror};
use crate::oci::{ByteRange, Digest, RangeSpec};

/// What must hold for the clients of one schedule.
#[derive(Clone)]
pub(super) struct Truth {
    pub(super) blob: Bytes,
    pub(super) digest: Digest,
    /// Upstream sends no wrong byte: parts are right, too.
    pub(super) parts_are_right: bool,
    /// Nobody may see an error.
    pub(super) must_succeed: bool,
    /// Nobody dawdles: for real time.
    pub(super) hasty: bool,
    pub(super) dice: Dice,
    pub(super) violations: Violations,
}

impl Truth {
    /// Lets some time pass, below so many milliseconds.
    async fn dawdle(&self, most: u64) {
        if self.hasty {
            for _ in 0..self.dice.below(20) {
                yield_now().await;
            }
        } else {
            sleep(Duration::from_millis(self.dice.below(most))).await;
        }
    }
}

/// One client's visit, from its coming to its end.
pub(super) async fn visit(mirror: Arc<Mirror>, truth: Truth) {
    let dice = &truth.dice;
    truth.dawdle(400).await;
    let size = truth.blob.len() as u64;
    let parts = wishes(dice, size);
    let leaves_at = dice.happens(25).then(|| dice.below(size + 1));
    if leaves_at == Some(0) && dice.happens(50) {
        // Gone before the answer.
        let origin = origin("a");
        tokio::select! {
            _ = mirror.blob(&Asker::Mirror, &origin, &truth.digest, &parts) => {}
            () = truth.dawdle(50) => {}
        }
        return;
    }
    match mirror
        .blob(&Asker::Mirror, &origin("a"), &truth.digest, &parts)
        .await
    {
        Ok(answer) => read(&answer.value, &parts, leaves_at, &truth).await,
        Err(error) if truth.must_succeed => {
            truth.violations.add(format!("no answer: {error:?}"));
        }
        Err(_) => {}
    }
}

fn wishes(dice: &Dice, size: u64) -> Vec<RangeSpec> {
    let spec = || match dice.below(4) {
        0 => RangeSpec::From(dice.below(size + 2)),
        1 => RangeSpec::Suffix(1 + dice.below(size + 10)),
        _ => {
            let first = dice.below(size + 2);
            RangeSpec::FromTo(first, first + dice.below(size.min(20_000) + 2))
        }
    };
    match dice.below(10) {
        0..5 => Vec::new(),
        5..8 => vec![spec()],
        _ => (0..=dice.below(12)).map(|_| spec()).collect(),
    }
}

async fn read(blob: &Blob, parts: &[RangeSpec], leaves_at: Option<u64>, truth: &Truth) {
    let size = truth.blob.len() as u64;
    if blob.size() != size {
        if truth.parts_are_right {
            truth.violations.add(format!("size {}", blob.size()));
        }
        return;
    }
    let ranges: Vec<_> = if parts.is_empty() {
        vec![ByteRange::new(0, size)]
    } else {
        parts.iter().filter_map(|part| part.resolve(size)).collect()
    };
    let wanted: u64 = ranges.iter().map(ByteRange::len).sum();
    if wanted == 0 {
        return;
    }
    let joined = match blob {
        Blob::Content(content) => {
            let all = content.source().read_all(truth.blob.len()).unwrap();
            if all != truth.blob {
                truth.violations.add("wrong content");
            }
            return;
        }
        Blob::Fill(joined, _) => joined,
    };
    let expected: Vec<u8> = ranges
        .iter()
        .flat_map(|range| {
            let index = |offset| usize::try_from(offset).unwrap();
            truth.blob[index(range.start)..index(range.end)].to_vec()
        })
        .collect();
    let whole = ranges == [ByteRange::new(0, size)];
    let mut follower = joined.follow(ranges);
    let mut got = Vec::new();
    loop {
        if leaves_at.is_some_and(|at| got.len() as u64 >= at) {
            return;
        }
        if truth.dice.happens(10) {
            truth.dawdle(300).await;
        }
        let most = usize::try_from(1 + truth.dice.below(30_000)).unwrap();
        let piece = if truth.dice.happens(50) {
            follower.next(most).await
        } else {
            let run = follower.next_run(most as u64).await;
            if truth.dice.happens(10) {
                // Its bytes stay what they are, whatever becomes of the fill.
                truth.dawdle(300).await;
            }
            run.map(|run| run.map(|run| read_run(&run)))
        };
        match piece {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(error) => {
                if truth.must_succeed {
                    truth.violations.add(format!("broke off: {error:?}"));
                }
                if got.len() >= expected.len() {
                    truth.violations.add("broke off behind the end");
                }
                return;
            }
        }
    }
    // It is complete now.
    if got != expected && (whole || truth.parts_are_right) {
        let at = got.iter().zip(&expected).position(|(a, b)| a != b);
        truth.violations.add(format!(
            "wrong bytes as complete: {} of {}, first at {at:?}, {parts:?}",
            got.len(),
            expected.len()
        ));
    }
}
