//! One request's part in a fill, whoever began it: counted from the table to the last byte.

use std::sync::Arc;

use super::fetcher::settle;
use super::fill::Fill;
use crate::mirror::metrics::InGauge;

/// A request takes part in the fill as long as this lives.
pub(in crate::mirror) struct Seat(
    Arc<Fill>,
    #[expect(dead_code, reason = "it counts while it lives")] InGauge,
);

impl Seat {
    /// Takes a seat; the caller holds the table, so that the fill cannot be laid down meanwhile.
    pub(super) fn take(fill: &Arc<Fill>, whole: bool) -> Self {
        fill.sit(whole);
        let counted = InGauge::of(&fill.fetcher().fills.metrics.followers);
        Self(Arc::clone(fill), counted)
    }

    /// From now on the fill goes on to its end whoever follows.
    pub(in crate::mirror) fn finish_alone(&self) {
        self.0.quietly(|state| state.finish = true);
    }

    pub(in crate::mirror) fn fill(&self) -> &Arc<Fill> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.0.rise() {
            settle(&self.0);
        }
    }
}
