//! What a fetch sees to between two pieces: who has come meanwhile, and whether it is fast enough for them.

use super::Fetch;
use crate::mirror::fills::fetcher::carry_out;

impl Fetch {
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
