use proptest::prelude::*;

use super::*;
use crate::oci::strategies;

mod examples;

const SIZE: u64 = 400;

/// Lengths at which everything happens within [`SIZE`] bytes.
const MEASURES: Measures = Measures {
    hold_back: 8,
    unit: 8,
    window: 32,
    widest: 64,
    near: 8,
    near_at_first: 64,
    read_over: 16,
    publish_every: 1,
    hash_behind: 1,
    noted_part: 1,
    noted_at_least: 1,
    noted_at_most: 1,
    synced_every: 1,
};

#[derive(Clone, Debug)]
struct Reader {
    ranges: Vec<ByteRange>,
    whole: bool,
}

impl Reader {
    fn wanted(&self) -> Option<Wanted<'_>> {
        let (first, then) = self.ranges.split_first()?;
        let (first, whole) = (*first, self.whole);
        Some(Wanted { first, then, whole })
    }
}

/// What may happen to a ground; `nth` names one of the fetches under way, counted around.
#[derive(Clone, Debug)]
enum Operation {
    Ask(Reader),
    /// A fetch is about to write so many bytes.
    Reserve(usize, u64),
    /// A fetch has written so many bytes.
    Bring(usize, u64),
    /// A fetch whose stretch is full reads on, up to so far behind it.
    Extend(usize, u64),
    Release(usize),
    StartOver(usize),
    Halt,
    GoOn,
    /// Milliseconds.
    Pass(u64),
}

fn reader() -> impl Strategy<Value = Reader> {
    let range = prop_oneof![
        3 => strategies::byte_range(SIZE),
        2 => (0..SIZE).prop_map(|start| ByteRange::new(start, SIZE)),
        1 => (0..SIZE, 1..9_u64).prop_map(|(start, len)| ByteRange::new(start, (start + len).min(SIZE))),
    ];
    prop_oneof![
        1 => Just(Reader { ranges: vec![ByteRange::new(0, SIZE)], whole: true }),
        3 => prop::collection::vec(range, 1..5).prop_map(|ranges| Reader { ranges, whole: false }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => reader().prop_map(Operation::Ask),
        3 => (0..4_usize, 1..40_u64).prop_map(|(nth, bytes)| Operation::Reserve(nth, bytes)),
        8 => (0..4_usize, 1..80_u64).prop_map(|(nth, bytes)| Operation::Bring(nth, bytes)),
        3 => (0..4_usize, 1..200_u64).prop_map(|(nth, bytes)| Operation::Extend(nth, bytes)),
        2 => (0..4_usize).prop_map(Operation::Release),
        1 => Just(Operation::Halt),
        1 => Just(Operation::GoOn),
        3 => (0..5_000_u64).prop_map(Operation::Pass),
    ]
}

fn operations(sequential: bool) -> impl Strategy<Value = Vec<Operation>> {
    let over = (0..4_usize).prop_map(Operation::StartOver);
    let weight = u32::from(sequential);
    let any = prop_oneof![20 => operation(), weight => over];
    prop::collection::vec(any, 0..60)
}

/// A ground, and a flag for each byte that was brought.
struct Model {
    ground: Ground,
    present: Vec<bool>,
    now: Instant,
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl Model {
    fn new() -> Self {
        let mut ground = Ground::new(MEASURES);
        ground.learn_size(SIZE).unwrap();
        Self {
            ground,
            present: vec![false; index(SIZE)],
            now: Instant::now(),
        }
    }

    fn claim_of(&self, id: FetchId) -> &Claim {
        self.ground.claims.iter().find(|it| it.id == id).unwrap()
    }

    fn nth(&self, nth: usize) -> Option<FetchId> {
        let count = self.ground.claims.len();
        (count > 0).then(|| self.ground.claims[nth % count].id)
    }

    fn stretches(&self) -> Vec<ByteRange> {
        self.ground.claims.iter().map(|it| it.stretch).collect()
    }

    fn holder(&self, offset: u64) -> Option<&Claim> {
        self.ground
            .claims
            .iter()
            .find(|it| it.stretch.contains(offset))
    }

    /// Whether the byte at `offset` is here, or some fetch holds it.
    fn taken(&self, offset: u64) -> bool {
        self.present[index(offset)] || self.holder(offset).is_some()
    }

    /// The first byte at or behind `offset` that is taken.
    fn next_taken(&self, offset: u64) -> u64 {
        (offset..SIZE).find(|at| self.taken(*at)).unwrap_or(SIZE)
    }

    /// Number of bytes that are here directly before `offset`.
    fn run_before(&self, offset: u64) -> u64 {
        let run = (0..offset).rev().take_while(|at| self.present[index(*at)]);
        run.count() as u64
    }

    /// The byte that `reader` lacks and that neither arrives soon nor is being written, with the range it is of.
    fn lacks(&self, reader: &Reader) -> Option<(u64, ByteRange)> {
        reader.ranges.iter().find_map(|range| {
            let absent = |at: &u64| !self.present[index(*at)];
            let at = (range.start..range.end).find(absent)?;
            let waits = self.holder(at).is_some_and(|claim| {
                at < claim.reserved || claim.arrives_soon(at, self.now, &MEASURES)
            });
            (!waits).then_some((at, *range))
        })
    }

    fn ask(&mut self, reader: &Reader) -> Option<FetchId> {
        let lacks = self.lacks(reader);
        let before = self.stretches();
        let most = if self.ground.sequential { 1 } else { 4 };
        let full = before.len() >= most;
        let sequential = self.ground.sequential;
        let claimed = self.ground.claim(reader.wanted()?, self.now);
        let Some((id, stretch)) = claimed else {
            assert!(
                full || sequential || lacks.is_none(),
                "{reader:?} lacks {lacks:?} and gets no fetch"
            );
            assert_eq!(
                before,
                self.stretches(),
                "nothing was claimed, and something changed"
            );
            return None;
        };
        assert!(!full, "too many fetches: {before:?}");
        assert!(!stretch.is_empty());
        // What is laid lies in nobody's way; the fetch that held the byte ends before it.
        let claims = &mut self.ground.claims;
        let own = claims.pop().unwrap();
        assert_eq!((own.id, own.stretch), (id, stretch));
        if sequential {
            assert_eq!(
                stretch.start,
                self.present.iter().take_while(|it| **it).count() as u64
            );
        } else {
            let (at, range) = lacks.expect("a fetch for nothing");
            self.check_laid(reader, at, range, stretch);
        }
        self.ground.claims.push(own);
        Some(id)
    }

    /// The rules for a `stretch` that is laid for a reader of `range` who lacks the byte at `at`.
    fn check_laid(&self, reader: &Reader, at: u64, range: ByteRange, stretch: ByteRange) {
        let unit = MEASURES.unit;
        assert!(stretch.contains(at), "{stretch:?} for the byte at {at}");
        assert!(
            at - stretch.start < unit,
            "{stretch:?} begins too early for {at}"
        );
        let aligned = stretch.start.is_multiple_of(unit);
        assert!(
            aligned || self.taken(stretch.start - 1),
            "{stretch:?} is not laid to a unit"
        );
        let free = self.next_taken(at);
        let expected = if reader.whole {
            free
        } else if range.end == SIZE {
            let window = self
                .run_before(stretch.start)
                .clamp(MEASURES.window, MEASURES.widest);
            free.min(at + window)
        } else {
            assert!(
                stretch.end >= free.min(range.end),
                "{stretch:?} ends within {range:?}"
            );
            let all = reader.ranges.iter().map(|it| it.end).max().unwrap();
            assert!(
                stretch.end <= all.next_multiple_of(unit),
                "{stretch:?} brings what nobody wants"
            );
            assert!(stretch.end == free || stretch.end.is_multiple_of(unit));
            return;
        };
        assert_eq!(stretch.end, expected, "{stretch:?} for {reader:?}");
    }

    /// As a fetch does it: reserve, write, publish.
    fn bring(&mut self, id: FetchId, bytes: u64) {
        let start = self.claim_of(id).stretch.start;
        let end = self.ground.reserve(id, start + bytes);
        let to = end.min(start + bytes);
        if to > start {
            for at in start..to {
                assert!(!self.present[index(at)], "{at} is brought twice");
                self.present[index(at)] = true;
            }
            self.ground.publish(id, to);
        }
    }

    fn extend(&mut self, id: FetchId, reach: u64) {
        let before = self.claim_of(id).stretch;
        if !before.is_empty() {
            return;
        }
        let full = before.end;
        let reach = (full + reach).min(SIZE);
        let free = (full..reach).find(|at| !self.taken(*at));
        let close = free.filter(|at| self.ground.sequential || at - full <= MEASURES.read_over);
        let expected = close
            .filter(|_| !self.ground.halted)
            .map(|at| ByteRange::new(at, self.next_taken(at).min(reach)));
        assert_eq!(self.ground.extend(id, reach), expected);
        let now = self.claim_of(id).stretch;
        assert_eq!(now, expected.unwrap_or(before));
    }

    fn halt(&mut self) {
        self.ground.halt();
        for claim in &self.ground.claims {
            assert!(claim.stretch.end <= claim.reserved + MEASURES.window);
        }
    }

    fn start_over(&mut self, id: FetchId) {
        let alone = self.ground.claims.len() == 1;
        let hole = self.present.iter().position(|it| !it);
        let given = self.ground.start_over(id);
        assert_eq!(given.is_some(), alone && hole.is_some());
        if let Some(given) = given {
            assert_eq!(given.start, hole.unwrap() as u64);
            assert!(!self.ground.halted || given.len() <= MEASURES.window);
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Ask(reader) => {
                self.ask(reader);
            }
            Operation::Halt => self.halt(),
            Operation::GoOn => self.ground.go_on(),
            Operation::Pass(milliseconds) => self.now += Duration::from_millis(*milliseconds),
            Operation::Reserve(nth, bytes) => {
                if let Some(id) = self.nth(*nth) {
                    let start = self.claim_of(id).stretch.start;
                    self.ground.reserve(id, start + bytes);
                }
            }
            Operation::Bring(nth, bytes) => {
                if let Some(id) = self.nth(*nth) {
                    self.bring(id, *bytes);
                }
            }
            Operation::Extend(nth, reach) => {
                if let Some(id) = self.nth(*nth) {
                    self.extend(id, *reach);
                }
            }
            Operation::Release(nth) => {
                if let Some(id) = self.nth(*nth) {
                    self.ground.release(id);
                }
            }
            Operation::StartOver(nth) => {
                if let Some(id) = self.nth(*nth) {
                    self.start_over(id);
                }
            }
        }
        self.check();
    }

    /// What holds at every instant.
    fn check(&self) {
        let mut held = vec![false; index(SIZE)];
        for claim in &self.ground.claims {
            let Claim {
                stretch, reserved, ..
            } = claim;
            assert!(stretch.start <= *reserved, "{claim:?}");
            assert!(stretch.is_empty() || *reserved <= stretch.end, "{claim:?}");
            for at in stretch.start..stretch.end {
                assert!(
                    !self.present[index(at)],
                    "{claim:?} holds {at}, which is here"
                );
                assert!(!held[index(at)], "two fetches hold {at}");
                held[index(at)] = true;
            }
        }
        let flags = (0..SIZE).map(|at| self.ground.present.contains(at));
        assert!(
            flags.eq(self.present.iter().copied()),
            "not what was brought"
        );
    }

    /// Every fetch comes to its end; then the readers ask again, until they have all.
    fn finish(&mut self, readers: &[Reader]) {
        self.ground.go_on();
        for _ in 0..SIZE {
            while let Some(id) = self.nth(0) {
                self.bring(id, SIZE);
                self.ground.release(id);
                self.check();
            }
            let ids: Vec<_> = readers.iter().filter_map(|it| self.ask(it)).collect();
            if ids.is_empty() {
                break;
            }
        }
        for range in readers.iter().flat_map(|it| &it.ranges) {
            let missing = (range.start..range.end).find(|at| !self.present[index(*at)]);
            assert_eq!(missing, None, "of {range:?}");
        }
    }
}

proptest! {
    #[test]
    fn claims_keep_their_rules_and_bring_all_that_is_wanted(operations in operations(false)) {
        play(&operations);
    }

    #[test]
    fn so_do_those_on_an_upstream_without_ranges(operations in operations(true)) {
        play(&operations);
    }
}

fn play(operations: &[Operation]) {
    let mut model = Model::new();
    for operation in operations {
        model.apply(operation);
    }
    let asked = operations.iter().filter_map(|it| match it {
        Operation::Ask(reader) => Some(reader.clone()),
        _ => None,
    });
    model.finish(&asked.collect::<Vec<_>>());
}
