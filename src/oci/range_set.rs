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

    /// The whole stretch of absent bytes that holds `offset`, cut at `size`; `None` when the byte is present, or not
    /// before `size`.
    pub fn hole_at(&self, offset: u64, size: u64) -> Option<ByteRange> {
        if offset >= size || self.contains(offset) {
            return None;
        }
        let behind = self.runs.partition_point(|run| run.end <= offset);
        let before = behind.checked_sub(1).and_then(|last| self.runs.get(last));
        let start = before.map_or(0, |run| run.end);
        let end = self
            .runs
            .get(behind)
            .map_or(size, |run| run.start.min(size));
        Some(ByteRange::new(start, end))
    }

    /// Number of bytes present without a hole directly before `offset`.
    pub fn run_before(&self, offset: u64) -> u64 {
        let Some(last) = offset.checked_sub(1) else {
            return 0;
        };
        self.run_ending_behind(last)
            .filter(|run| run.contains(last))
            .map_or(0, |run| offset - run.start)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::strategies;
    use super::*;

    const SIZE: u64 = 48;

    /// The same set, one flag a byte.
    fn model(ranges: &[ByteRange]) -> Vec<bool> {
        (0..SIZE)
            .map(|offset| ranges.iter().any(|range| range.contains(offset)))
            .collect()
    }

    fn first(model: &[bool], from: u64, wanted: bool) -> Option<u64> {
        (from..SIZE)
            .zip(
                model
                    .iter()
                    .skip(usize::try_from(from).unwrap_or(usize::MAX)),
            )
            .find_map(|(offset, present)| (*present == wanted).then_some(offset))
    }

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        ranges
            .iter()
            .map(|(start, end)| ByteRange::new(*start, *end))
            .collect()
    }

    #[test]
    fn neighbours_become_one_run() {
        assert_eq!(set(&[(0, 5), (10, 15), (5, 10)]), set(&[(0, 15)]));
        assert_eq!(set(&[(0, 1), (2, 3), (4, 5), (1, 9)]).iter().count(), 1);
        assert_eq!(set(&[(4, 4)]), RangeSet::new());
    }

    #[test]
    fn nothing_is_complete_for_content_without_bytes() {
        assert!(RangeSet::new().is_complete(0));
        assert!(!RangeSet::new().is_complete(1));
        assert_eq!(RangeSet::new().first_hole(0, 0), None);
    }

    #[test]
    fn a_hole_ends_with_the_content() {
        assert_eq!(set(&[(0, 5)]).first_hole(0, 9), Some(ByteRange::new(5, 9)));
        assert_eq!(
            set(&[(0, 5), (20, 30)]).first_hole(7, 9),
            Some(ByteRange::new(7, 9))
        );
        assert_eq!(set(&[(0, 5)]).first_hole(9, 9), None);
    }

    #[test]
    fn the_largest_offsets_do_not_overflow() {
        let set = set(&[(u64::MAX - 1, u64::MAX), (0, u64::MAX - 1)]);
        assert!(set.is_complete(u64::MAX));
        assert_eq!(set.len(), u64::MAX);
        assert_eq!(set.next_present(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn agrees_with_a_flag_for_each_byte(ranges in prop::collection::vec(strategies::byte_range(SIZE), 0..12)) {
            let set: RangeSet = ranges.iter().copied().collect();
            let model = model(&ranges);

            for offset in 0..SIZE {
                let present = model.get(usize::try_from(offset).unwrap_or(usize::MAX)).copied();
                prop_assert_eq!(Some(set.contains(offset)), present);
                prop_assert_eq!(set.next_present(offset), first(&model, offset, true));
                let run_end = set.contains(offset).then(|| first(&model, offset, false).unwrap_or(SIZE));
                prop_assert_eq!(set.run_end(offset), run_end);
                let hole = first(&model, offset, false)
                    .map(|start| ByteRange::new(start, first(&model, start, true).unwrap_or(SIZE)));
                prop_assert_eq!(set.first_hole(offset, SIZE), hole);
                let before = (0..offset).rev().take_while(|at| set.contains(*at)).count();
                prop_assert_eq!(set.run_before(offset), before as u64);
                let around = (!set.contains(offset)).then(|| {
                    let behind = (0..offset).rev().take_while(|at| !set.contains(*at)).count();
                    ByteRange::new(offset - behind as u64, first(&model, offset, true).unwrap_or(SIZE))
                });
                prop_assert_eq!(set.hole_at(offset, SIZE), around);
            }
            prop_assert_eq!(set.len(), model.iter().map(|present| u64::from(*present)).sum::<u64>());
            prop_assert_eq!(set.prefix(), first(&model, 0, false).unwrap_or(SIZE));
            prop_assert_eq!(set.is_complete(SIZE), model.iter().all(|present| *present));
            prop_assert_eq!(set.is_empty(), model.iter().all(|present| !present));
        }

        #[test]
        fn runs_are_sorted_and_apart(ranges in prop::collection::vec(strategies::byte_range(SIZE), 0..12)) {
            let set: RangeSet = ranges.into_iter().collect();
            let runs: Vec<_> = set.iter().collect();
            prop_assert!(runs.iter().all(|run| !run.is_empty()));
            prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert_eq!(runs.into_iter().rev().collect::<RangeSet>(), set);
        }
    }
}
