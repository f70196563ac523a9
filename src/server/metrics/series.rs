//! The series that an answer is counted in, looked up once: a hit must not pay for finding its counters.

use std::array;
use std::sync::OnceLock;

use prometheus::{Histogram, IntCounter};

use super::Kind;
use crate::mirror::Outcome;

/// What one answer is counted in.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) requests: IntCounter,
    pub(super) served: IntCounter,
    pub(super) first_byte: Histogram,
    pub(super) duration: Histogram,
}

const OUTCOMES: usize = Outcome::WORDS.len();

/// The series of one upstream, by kind and outcome. Each is made when it is first needed: most never are, and a scrape
/// is no longer than what there was.
#[derive(Debug)]
pub(super) struct SeriesTable([[OnceLock<Series>; OUTCOMES]; Kind::COUNT]);

impl Default for SeriesTable {
    fn default() -> Self {
        Self(array::from_fn(|_| array::from_fn(|_| OnceLock::new())))
    }
}

impl SeriesTable {
    /// Where the series of this kind and outcome is, or is to be put.
    pub(super) fn place(&self, kind: Kind, outcome: Outcome) -> &OnceLock<Series> {
        &self.0[kind as usize][outcome.place()]
    }
}
