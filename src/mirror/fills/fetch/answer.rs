//! What a fetch asks upstream for, and how it takes the answer's head.

use tokio::time::Instant;

use super::{Fetch, Task};
use crate::mirror::fills::error::FillError;
use crate::oci::RangeSpec;
use crate::upstream::{BlobBody, ErrorKind, UpstreamError};

impl Fetch {
    /// What to ask upstream for.
    pub(super) fn part(&self) -> Option<RangeSpec> {
        let Some(stretch) = self.stretch else {
            return match self.task {
                Task::Open(part) => part,
                Task::Bring(_) | Task::Help(_) => None,
            };
        };
        let state = self.fill.state().borrow();
        // The stretch of a blob of unknown size ends beyond all bounds.
        let to_the_end = stretch.end == state.ground.size().unwrap_or(u64::MAX);
        match stretch.start {
            _ if state.ground.is_sequential() => None,
            0 if to_the_end => None,
            start if to_the_end => Some(RangeSpec::From(start)),
            start => Some(RangeSpec::FromTo(start, stretch.end.saturating_sub(1))),
        }
    }

    /// A first request for what lies outside of the blob learns at least its size: an answer too.
    pub(super) fn outside(&self, error: UpstreamError) -> Result<(), FillError> {
        match error.kind() {
            ErrorKind::Unsatisfiable { size } if self.stretch.is_none() => self.learn(Some(*size)),
            _ => Err(error.into()),
        }
    }

    /// Upstream has answered: it is there, and told the size perhaps.
    pub(super) fn learn(&self, size: Option<u64>) -> Result<(), FillError> {
        let learnt = self.learn_quietly(size);
        self.fill.state().send_modify(|_| ());
        learnt
    }

    fn learn_quietly(&self, size: Option<u64>) -> Result<(), FillError> {
        let learnt = self.fill.quietly(|state| {
            let learnt = size.map_or(Ok(()), |size| state.ground.learn_size(size));
            state.confirmed |= learnt.is_ok();
            learnt
        });
        learnt.map_err(|before| FillError::SizeChanged {
            before,
            now: size.unwrap_or_default(),
        })
    }

    /// A size that the answer does not tell is asked for: or no client got a byte before the last has come. Whether
    /// it is known then.
    pub(super) async fn learn_size_elsewhere(&self, told: Option<u64>) -> Result<bool, FillError> {
        if told.is_some() || self.fill.state().borrow().ground.size().is_some() {
            return Ok(true);
        }
        match self.fetcher().head().await {
            // Some servers say 0 of whatever they send without a length.
            Ok(Some(size)) if size > 0 => self.learn(Some(size)).map(|()| true),
            // The end of the stream will tell.
            _ => Ok(false),
        }
    }

    /// Fits what upstream sends to what may be written.
    pub(super) fn land(
        &mut self,
        body: &BlobBody,
        part: Option<RangeSpec>,
    ) -> Result<(), FillError> {
        self.learn_quietly(body.size)?;
        let reach = reach(body);
        let ignored = part.is_some_and(|part| ignores(part, body.offset, reach));
        if ignored && self.helps() {
            let cause = "the whole in place of a part";
            return Err(UpstreamError::new(ErrorKind::Protocol, cause).into());
        }
        let asked_until = match part {
            Some(RangeSpec::FromTo(_, last)) if !ignored => last.saturating_add(1),
            _ => u64::MAX,
        };
        let (id, now) = (self.id, Instant::now());
        let landed = self.fill.quietly(|state| {
            let ground = &mut state.ground;
            if body.sends_parts && !ignored {
                ground.sends_parts();
            }
            match self.stretch {
                None => {
                    let landed = ground.land(id, body.offset, reach.min(asked_until), now);
                    let over = ignored.then(|| ground.start_over(id)).flatten();
                    over.unwrap_or(landed)
                }
                Some(stretch) if ignored => ground.start_over(id).unwrap_or(stretch),
                Some(stretch) => stretch,
            }
        });
        // To be told with the first bytes, or before the first wait: some followers may need another fetch than this.
        self.landed = true;
        self.go_to(landed);
        Ok(())
    }
}

/// The end of what a body brings; beyond all bounds when upstream does not tell.
pub(super) fn reach(body: &BlobBody) -> u64 {
    body.end.or(body.size).unwrap_or(u64::MAX)
}

/// Whether upstream sent the whole though it was asked for `part`.
fn ignores(part: RangeSpec, offset: u64, reach: u64) -> bool {
    match part {
        RangeSpec::From(start) => offset < start,
        RangeSpec::FromTo(start, last) => offset < start || reach > last.saturating_add(1),
        RangeSpec::Suffix(length) => offset == 0 && reach > length,
    }
}
