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
