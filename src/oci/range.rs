//! Byte ranges as HTTP asks for them (RFC 9110 sections 14.1 and 14.2).
//!
//! Ranges are answered in the order they were asked, none merged with another: partial pulls count the parts
//! they get and fail when the number differs. Absent on purpose: multipart bodies, which are the server's.

use std::fmt;

/// The most ranges one header may name. Partial pulls of large blobs ask for up to this many.
const MAX_RANGES: usize = 1024;

/// Bytes `start..end` of some content: half-open, in bytes from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset just behind the last byte.
    pub end: u64,
}

impl ByteRange {
    /// The range `start..end`; empty when `end <= start`.
    pub fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether the range holds no byte.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// Whether the byte at `offset` belongs to the range.
    pub fn contains(&self, offset: u64) -> bool {
        self.start <= offset && offset < self.end
    }
}

/// A `Range` header, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeHeader {
    /// An unknown unit or a malformed value: to be treated as if it had not been sent (RFC 9110 section 14.2).
    Ignored,
    /// One range.
    One(RangeSpec),
    /// Several ranges, in request order.
    Many(Vec<RangeSpec>),
    /// More than 1024 ranges. To be refused with 400, on which clients ask for fewer.
    TooMany,
}

impl RangeHeader {
    /// Reads the value of a `Range` header. Numbers beyond 64 bits count as the largest one.
    pub fn parse(value: &str) -> Self {
        let Some((unit, list)) = value.trim().split_once('=') else {
            return Self::Ignored;
        };
        if !unit.eq_ignore_ascii_case("bytes") {
            return Self::Ignored;
        }
        let mut specs = Vec::new();
        // Empty list members carry no meaning (RFC 9110 section 5.6.1.2).
        for member in list
            .split(',')
            .map(trim_blank)
            .filter(|member| !member.is_empty())
        {
            if specs.len() == MAX_RANGES {
                return Self::TooMany;
            }
            match RangeSpec::parse(member) {
                Some(spec) => specs.push(spec),
                None => return Self::Ignored,
            }
        }
        match specs.as_slice() {
            [] => Self::Ignored,
            [only] => Self::One(*only),
            _ => Self::Many(specs),
        }
    }
}

/// One range as asked for, before the size of the content is known (RFC 9110 section 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeSpec {
    /// `a-b`: from the byte at `a` to the byte at `b`, both included.
    FromTo(u64, u64),
    /// `a-`: from the byte at `a` to the end.
    From(u64),
    /// `-n`: the last `n` bytes.
    Suffix(u64),
}

impl RangeSpec {
    /// The bytes meant, of content with `size` bytes; `None` when there are none (416).
    ///
    /// An end behind the content is clamped. Content without bytes satisfies no range.
    pub fn resolve(self, size: u64) -> Option<ByteRange> {
        let (start, end) = match self {
            Self::FromTo(first, last) => (first, last.saturating_add(1).min(size)),
            Self::From(first) => (first, size),
            Self::Suffix(length) => (size.saturating_sub(length), size),
        };
        Some(ByteRange { start, end }).filter(|range| !range.is_empty())
    }

    /// The whole value of a `Range` header that asks for this range alone.
    pub fn to_header(self) -> String {
        format!("bytes={self}")
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", length) => Some(Self::Suffix(parse_number(length)?)),
            (first, "") => Some(Self::From(parse_number(first)?)),
            (first, last) => {
                let (first, last) = (parse_number(first)?, parse_number(last)?);
                (first <= last).then_some(Self::FromTo(first, last))
            }
        }
    }
}

impl fmt::Display for RangeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromTo(first, last) => write!(f, "{first}-{last}"),
            Self::From(first) => write!(f, "{first}-"),
            Self::Suffix(length) => write!(f, "-{length}"),
        }
    }
}

/// Digits only (`u64::from_str` would take a sign); too large a number becomes the largest.
fn parse_number(text: &str) -> Option<u64> {
    is_digits(text).then(|| text.parse().unwrap_or(u64::MAX))
}

/// Digits only, and within 64 bits.
pub(super) fn parse_exact(text: &str) -> Option<u64> {
    if is_digits(text) {
        text.parse().ok()
    } else {
        None
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Optional white space of RFC 9110 section 5.6.3.
fn trim_blank(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RangeHeader::{Ignored, Many, One, TooMany};
    use super::RangeSpec::{From, FromTo, Suffix};
    use super::*;

    #[test]
    fn headers() {
        for (value, expected) in [
            ("bytes=0-9", One(FromTo(0, 9))),
            ("bytes=5-5", One(FromTo(5, 5))),
            ("bytes=7-", One(From(7))),
            ("bytes=-3", One(Suffix(3))),
            ("Bytes=0-9", One(FromTo(0, 9))),
            (" bytes=0-9 ", One(FromTo(0, 9))),
            ("bytes= 0-9 ,\t20-", Many(vec![FromTo(0, 9), From(20)])),
            ("bytes=,0-9,,", One(FromTo(0, 9))),
            // In request order, neighbours not merged, overlaps not either.
            (
                "bytes=10-19,0-9,-1",
                Many(vec![FromTo(10, 19), FromTo(0, 9), Suffix(1)]),
            ),
            ("bytes=0-9,10-19", Many(vec![FromTo(0, 9), FromTo(10, 19)])),
            ("bytes=0-9,0-9", Many(vec![FromTo(0, 9), FromTo(0, 9)])),
            // Numbers behind the end of everything.
            ("bytes=0-99999999999999999999", One(FromTo(0, u64::MAX))),
            ("bytes=99999999999999999999-", One(From(u64::MAX))),
            ("bytes=-99999999999999999999", One(Suffix(u64::MAX))),
            ("", Ignored),
            ("bytes", Ignored),
            ("bytes=", Ignored),
            ("bytes=,", Ignored),
            ("bytes=-", Ignored),
            ("bytes=5", Ignored),
            ("bytes=9-0", Ignored),
            ("bytes=a-b", Ignored),
            ("bytes=+1-2", Ignored),
            ("bytes=0 - 9", Ignored),
            ("bytes=0-9;10-19", Ignored),
            ("bytes=--1", Ignored),
            ("bytes=0-9,x", Ignored),
            ("bytes 0-9", Ignored),
            ("chunks=0-9", Ignored),
            ("bytes =0-9", Ignored),
        ] {
            assert_eq!(RangeHeader::parse(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_thousand_and_twenty_four_ranges_and_no_more() {
        let ranges = |count: u64| {
            let list: Vec<_> = (0..count)
                .map(|i| FromTo(i * 10, i * 10 + 1).to_string())
                .collect();
            RangeHeader::parse(&format!("bytes={}", list.join(",")))
        };
        assert!(matches!(ranges(1024), Many(specs) if specs.len() == 1024));
        assert_eq!(ranges(1025), TooMany);
        assert_eq!(ranges(5000), TooMany);
    }

    #[test]
    fn resolving() {
        let range = |start, end| Some(ByteRange::new(start, end));
        for (spec, size, expected) in [
            (FromTo(0, 0), 10, range(0, 1)),
            (FromTo(2, 5), 10, range(2, 6)),
            (FromTo(2, 10), 10, range(2, 10)),
            (FromTo(2, u64::MAX), 10, range(2, 10)),
            (FromTo(10, 20), 10, None),
            (From(9), 10, range(9, 10)),
            (From(10), 10, None),
            (From(u64::MAX), u64::MAX, None),
            (Suffix(3), 10, range(7, 10)),
            (Suffix(11), 10, range(0, 10)),
            (Suffix(0), 10, None),
            (From(0), 0, None),
            (FromTo(0, 0), 0, None),
            (Suffix(1), 0, None),
            (FromTo(0, u64::MAX), u64::MAX, range(0, u64::MAX)),
        ] {
            assert_eq!(spec.resolve(size), expected, "{spec} of {size}");
        }
    }

    fn spec() -> impl Strategy<Value = RangeSpec> {
        prop_oneof![
            (any::<u64>(), any::<u64>()).prop_map(|(a, b)| FromTo(a.min(b), a.max(b))),
            any::<u64>().prop_map(From),
            any::<u64>().prop_map(Suffix),
        ]
    }

    fn small_spec() -> impl Strategy<Value = RangeSpec> {
        prop_oneof![
            (0..40_u64, 0..40_u64).prop_map(|(a, b)| FromTo(a.min(b), a.max(b))),
            (0..40_u64).prop_map(From),
            (0..40_u64).prop_map(Suffix),
        ]
    }

    proptest! {
        #[test]
        fn headers_round_trip(spec in spec()) {
            prop_assert_eq!(RangeHeader::parse(&spec.to_header()), One(spec));
        }

        #[test]
        fn resolving_picks_the_bytes_a_filter_picks(spec in small_spec(), size in 0..40_u64) {
            let wanted: Vec<u64> = (0..size)
                .filter(|offset| match spec {
                    FromTo(first, last) => (first..=last).contains(offset),
                    From(first) => *offset >= first,
                    Suffix(length) => size - offset <= length,
                })
                .collect();
            let got: Vec<u64> = spec.resolve(size).map_or(Vec::new(), |range| (range.start..range.end).collect());
            prop_assert_eq!(got, wanted);
        }

        #[test]
        fn a_resolved_range_lies_within(spec in spec(), size: u64) {
            if let Some(range) = spec.resolve(size) {
                prop_assert!(!range.is_empty() && range.end <= size);
                prop_assert_eq!(range.len(), range.end - range.start);
                prop_assert!(range.contains(range.start) && !range.contains(range.end));
            }
        }

        #[test]
        fn any_text_is_read(text in "bytes=[0-9,\\- ]{0,24}|.{0,24}") {
            if let Many(specs) = RangeHeader::parse(&text) {
                prop_assert!(specs.len() > 1);
            }
        }
    }
}
