//! What a fetch sees to between two pieces: who waits, for this download or for another, and whether it is fast enough.

use std::sync::Arc;

use super::Fetch;
use crate::mirror::fills::error::FillError;
use crate::mirror::fills::fetcher::carry_out;

impl Fetch {
    /// Waits for a lane; on the way is only who has one: those that hold the lanes must not let by who waits for theirs.
    pub(super) async fn enter(&mut self) -> Result<(), FillError> {
        let fill = Arc::clone(&self.fill);
        if fill.state().borrow().seats == 0 {
            self.lets_by().await?;
        }
        self.turn.rest();
        if self.helps() {
            // Whoever waits for a lane comes before it.
            self.lane = Some(fill.fetcher().lanes.now().ok_or(FillError::Abandoned)?);
            return Ok(());
        }
        self.lane = fill.fetcher().lanes.lane(fill.joined()).await;
        let followed = fill.state().borrow().seats > 0;
        self.turn.is_now(followed, false);
        Ok(())
    }

    /// Gives the lane back.
    pub(super) fn leave(&mut self) {
        self.lane = None;
        self.turn.rest();
    }

    /// If it has time and nobody waits for it, nor for its lane, lets by who does.
    pub(super) async fn lets_by(&mut self) -> Result<(), FillError> {
        let (followed, has_time) = {
            let state = self.fill.state().borrow();
            (state.seats > 0, state.has_time)
        };
        let wanted = self.lane.is_some() && self.fetcher().lanes.are_wanted();
        if self.turn.is_now(followed, has_time && !wanted) {
            return Ok(());
        }
        self.publish()?;
        let fill = Arc::clone(&self.fill);
        self.turn.come(fill.joined()).await;
        Ok(())
    }

    /// Gives back the right to run ahead of the clients when one has come, and begins one more fetch beside this, where
    /// that would bring all of it sooner.
    pub(super) fn attend(&mut self) {
        if let Some(lane) = &mut self.lane
            && self.fill.state().borrow().seats > 0
        {
            lane.joined();
        }
        let most = self.fetcher().lanes.for_one_blob();
        if most > 1
            && let Some(next) = self.fill.split(most)
        {
            let fetcher = self.fetcher();
            fetcher.fills.metrics.split(&fetcher.link.origin.upstream);
            carry_out(&self.fill, next);
        }
    }
}
