//! A share of a whole: half of it, a fifth of it.

use super::setting::{Refusal, Setting, Value};

/// A share of a whole, from 0 (nothing) to 1 (all of it).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

/// It is a number: a share is equal to itself.
impl Eq for Share {}

impl Share {
    /// Half.
    pub(super) const HALF: Self = Self(0.5);
    /// Where eviction begins.
    pub(super) const HIGH_WATER: Self = Self(0.95);
    /// Where it ends.
    pub(super) const LOW_WATER: Self = Self(0.9);
    /// A fifth.
    pub(super) const FIFTH: Self = Self(0.2);

    /// So much of `whole`, rounded down.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of bytes need not be exact, and lies between 0 and the whole"
    )]
    pub fn of(self, whole: u64) -> u64 {
        (whole as f64 * self.0) as u64
    }

    /// The share as a number from 0 to 1, both included.
    pub fn as_f64(self) -> f64 {
        self.0
    }
}

impl Setting for Share {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let share = match value {
            Value::Float(number) => number,
            Value::Integer(0) => 0.0,
            Value::Integer(1) => 1.0,
            _ => f64::NAN,
        };
        if (0.0..=1.0).contains(&share) {
            Ok(Self(share))
        } else {
            Err("is not a share: write a number from 0 to 1, such as 0.5".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_from_nothing_to_all() {
        use Value::{Flag, Float, Integer, Other, Text};
        for (value, share) in [
            (Float(0.5), 0.5),
            (Float(0.0), 0.0),
            (Float(1.0), 1.0),
            (Integer(0), 0.0),
            (Integer(1), 1.0),
        ] {
            assert_eq!(Share::read(value), Ok(Share(share)), "{value:?}");
        }
        for value in [
            Float(-0.1),
            Float(1.1),
            Float(f64::NAN),
            Float(f64::INFINITY),
            Integer(2),
            Integer(-1),
            Text("0.5"),
            Text("50%"),
            Flag(true),
            Other,
        ] {
            assert!(Share::read(value).is_err(), "{value:?}");
        }
    }
}
