//! Which bytes of some content are present.
//!
//! The arithmetic of a fill: where a reader may read on, where a fetch has to begin, and when all is there.
//! Absent on purpose: the bytes themselves, and how the set is kept on disk.

use super::range::ByteRange;

/// A set of byte offsets, kept as sorted runs that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    runs: Vec<ByteRange>,
}

impl RangeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the bytes of `range`; those already present stay. An empty range adds nothing.
    pub fn insert(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        // The runs that overlap or touch the new one become one run with it.
        let first = self.runs.partition_point(|run| run.end < range.start);
        let behind = self.runs.partition_point(|run| run.start <= range.end);
        let merged = match self.runs.get(first..behind) {
            Some([head, .., tail]) => {
                ByteRange::new(head.start.min(range.start), tail.end.max(range.end))
            }
            Some([only]) => ByteRange::new(only.start.min(range.start), only.end.max(range.end)),
            _ => range,
        };
        self.runs.splice(first..behind, [merged]);
    }

    /// Whether the byte at `offset` is present.
    pub fn contains(&self, offset: u64) -> bool {
        self.run_end(offset).is_some()
    }

    /// The end of the run that holds `offset`: bytes `offset..end` are present, the byte at `end` is not.
    /// `None` when the byte at `offset` is absent.
    pub fn run_end(&self, offset: u64) -> Option<u64> {
        self.run_ending_behind(offset)
            .filter(|run| run.contains(offset))
            .map(|run| run.end)
    }

    /// The first present offset that is not before `offset`.
    pub fn next_present(&self, offset: u64) -> Option<u64> {
        self.run_ending_behind(offset)
            .map(|run| run.start.max(offset))
    }

    /// The first stretch of absent bytes at or behind `from`, cut at `size`; `None` when all of `from..size` is
    /// present.
    pub fn first_hole(&self, from: u64, size: u64) -> Option<ByteRange> {
        let start = self.run_end(from).unwrap_or(from);
        let end = self.next_present(start).unwrap_or(size).min(size);
        Some(ByteRange::new(start, end)).filter(|hole| !hole.is_empty())
    }

    /// Number of bytes present without a hole from the beginning.
    pub fn prefix(&self) -> u64 {
        self.run_end(0).unwrap_or(0)
    }

    /// Number of bytes present.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(ByteRange::len).sum()
    }

    /// Whether no byte is present.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether every byte of content of `size` bytes is present.
    pub fn is_complete(&self, size: u64) -> bool {
        self.prefix() >= size
    }

    /// The runs, in order.
    pub fn iter(&self) -> impl Iterator<Item = ByteRange> + '_ {
        self.runs.iter().copied()
    }

    /// The first run that ends behind `offset`: it holds `offset`, or is the next one after it.
    fn run_ending_behind(&self, offset: u64) -> Option<&ByteRange> {
        self.runs
            .get(self.runs.partition_point(|run| run.end <= offset))
    }
}

impl FromIterator<ByteRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = ByteRange>>(ranges: I) -> Self {
        let mut set = Self::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}
