//! What a fetch sees to between two pieces: who waits, for this download or for another, and whether it is fast enough.

use std::sync::Arc;

use super::Fetch;
use crate::mirror::fills::error::FillError;
use crate::mirror::fills::fetcher::carry_out;

impl Fetch {
    /// If it has time and nobody waits for it, lets by who does.
    pub(super) async fn lets_by(&mut self) -> Result<(), FillError> {
        let (followed, has_time) = {
            let state = self.fill.state().borrow();
            (state.seats > 0, state.has_time)
        };
        if self.turn.is_now(followed, has_time) {
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
            self.fetcher().fills.metrics.splits.inc();
            carry_out(&self.fill, next);
        }
    }
}
