//! Chance that can be had again: every number follows from one seed, which is printed.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// A source of numbers (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Seeded by `ROADSTEAD_SEED`, or by chance; says which, under the name of the test.
    pub(crate) fn thrown_for(test: &str) -> Self {
        let seed = match std::env::var("ROADSTEAD_SEED") {
            Ok(seed) => seed.parse().expect("ROADSTEAD_SEED is a number"),
            Err(_) => RandomState::new().hash_one(test) >> 32,
        };
        println!("{test}: ROADSTEAD_SEED={seed}");
        Self(seed)
    }

    /// The next number in `range`; it must not be empty.
    pub(crate) fn within(&mut self, range: Range<usize>) -> usize {
        let width = (range.end - range.start) as u64;
        range.start + usize::try_from(self.next() % width).expect("less than a usize")
    }

    /// Dice of their own, which follow from these.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
