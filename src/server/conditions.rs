//! Conditional and range requests: what of a blob is to be sent. Pure, and in two steps: what the headers ask for is
//! known before the blob is, and decides whether and where its bytes are fetched; what that comes to needs its size.

use http::Method;
use http::header::{HeaderMap, IF_NONE_MATCH, IF_RANGE, RANGE};

use crate::oci::{ByteRange, Digest, RangeHeader, RangeSpec, etag};

/// What the headers ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Requested {
    /// Nothing, the client has it: 304.
    NotModified,
    /// All of it.
    Whole,
    /// These parts of it, one or more.
    Ranges(Vec<RangeSpec>),
    /// More ranges than anybody needs: 400, which clients answer by asking for fewer.
    TooMany,
}

/// What of a blob is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: 200.
    Whole,
    /// This much: 206.
    Part(ByteRange),
    /// These, each as a part: 206 with `multipart/byteranges`.
    Parts(Vec<ByteRange>),
    /// Nothing lies in any of the ranges: 416.
    Unsatisfiable,
}

/// Whether the client's copy is good (RFC 9110 section 13.1.2; weak comparison).
pub(super) fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| etag::matches(value, digest))
}

/// Reads what is asked of the blob `digest` (RFC 9110 sections 13.2.2 and 14.2).
///
/// `Range` counts for GET only, once, and not when `If-Range` names another version.
pub(super) fn requested(method: &Method, headers: &HeaderMap, digest: &Digest) -> Requested {
    if not_modified(headers, digest) {
        return Requested::NotModified;
    }
    let mut ranges = headers.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Requested::Whole;
    };
    let other_version = headers.get(IF_RANGE).is_some_and(|value| {
        !value
            .to_str()
            .is_ok_and(|value| etag::matches_strongly(value, digest))
    });
    if method != Method::GET || other_version {
        return Requested::Whole;
    }
    match range
        .to_str()
        .map_or(RangeHeader::Ignored, RangeHeader::parse)
    {
        RangeHeader::One(spec) => Requested::Ranges(vec![spec]),
        RangeHeader::Many(specs) => Requested::Ranges(specs),
        RangeHeader::TooMany => Requested::TooMany,
        RangeHeader::Ignored => Requested::Whole,
    }
}

/// What `specs` come to in a blob of `size` bytes; none of them is all of it.
///
/// Of several ranges each one that holds bytes is a part, also when it is the only one: partial pulls count the parts.
pub(super) fn select(specs: &[RangeSpec], size: u64) -> Selection {
    // Of no bytes there is no range; the whole says so more kindly than 416.
    if specs.is_empty() || size == 0 {
        return Selection::Whole;
    }
    if let [only] = specs {
        return only
            .resolve(size)
            .map_or(Selection::Unsatisfiable, Selection::Part);
    }
    let parts: Vec<_> = specs.iter().filter_map(|spec| spec.resolve(size)).collect();
    if parts.is_empty() {
        Selection::Unsatisfiable
    } else {
        Selection::Parts(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(method: &Method, fields: &[(&'static str, String)]) -> Requested {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        super::requested(method, &headers, &Digest::sha256_of(b"x"))
    }

    fn ranged(value: &str) -> Requested {
        requested(&Method::GET, &[("range", value.to_owned())])
    }

    /// What a `Range` of this value comes to in a blob of `size` bytes.
    fn selected(value: &str, size: u64) -> Selection {
        match ranged(value) {
            Requested::Ranges(specs) => select(&specs, size),
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn item_31_35_one_range_is_cut_out() {
        for (value, start, end) in [
            ("bytes=0-9", 0, 10),
            ("bytes=990-", 990, 1000),
            ("bytes=-10", 990, 1000),
            ("bytes=-2000", 0, 1000),
            ("bytes=990-2000", 990, 1000),
        ] {
            let part = Selection::Part(ByteRange::new(start, end));
            assert_eq!(selected(value, 1000), part, "{value}");
        }
        assert_eq!(selected("bytes=1000-", 1000), Selection::Unsatisfiable);
        assert_eq!(selected("bytes=-0", 1000), Selection::Unsatisfiable);
    }

    #[test]
    fn item_32_34_several_ranges_are_parts_in_their_order_without_those_that_hold_nothing() {
        for (value, parts) in [
            ("bytes=0-9,10-19", vec![(0, 10), (10, 20)]),
            (
                "bytes=-1, 5-9 ,0-9,5-9",
                vec![(999, 1000), (5, 10), (0, 10), (5, 10)],
            ),
            ("bytes=1000-,990-,-0", vec![(990, 1000)]),
        ] {
            let parts = parts
                .into_iter()
                .map(|(start, end)| ByteRange::new(start, end));
            let parts = Selection::Parts(parts.collect());
            assert_eq!(selected(value, 1000), parts, "{value}");
        }
        assert_eq!(selected("bytes=1000-,-0", 1000), Selection::Unsatisfiable);
    }

    #[test]
    fn item_30_of_no_bytes_and_without_ranges_the_whole_is_sent() {
        for value in ["bytes=0-", "bytes=-5", "bytes=0-1,3-4"] {
            assert_eq!(selected(value, 0), Selection::Whole, "{value}");
        }
        assert_eq!(select(&[], 1000), Selection::Whole);
    }

    #[test]
    fn item_31_what_is_no_range_is_ignored() {
        for value in [
            "bytes=9-0",
            "lines=0-1",
            "bytes",
            "bytes=a-b",
            "bytes=0-1,a",
        ] {
            assert_eq!(ranged(value), Requested::Whole, "{value}");
        }
    }

    #[test]
    fn item_32_33_the_number_of_ranges_has_an_end() {
        let ranges = |number: u64| {
            let ranges: Vec<_> = (0..number).map(|n| format!("{0}-{0}", 2 * n)).collect();
            format!("bytes={}", ranges.join(","))
        };
        assert!(matches!(
            selected(&ranges(1024), 5000),
            Selection::Parts(parts) if parts.len() == 1024
        ));
        for number in [1025, 5000] {
            assert_eq!(ranged(&ranges(number)), Requested::TooMany);
        }
    }

    #[test]
    fn item_36_head_and_repeated_ranges_get_the_whole() {
        let range = |value: &str| ("range", value.to_owned());
        for value in ["bytes=0-9", "bytes=0-9,20-29"] {
            assert_eq!(requested(&Method::HEAD, &[range(value)]), Requested::Whole);
            assert_eq!(
                requested(&Method::GET, &[range(value), range(value)]),
                Requested::Whole
            );
        }
    }

    #[test]
    fn conditions_come_before_ranges() {
        let (ours, other) = (Digest::sha256_of(b"x"), Digest::sha256_of(b"y"));
        let range = || ("range", "bytes=0-9".to_owned());
        let with = |name, value: String| requested(&Method::GET, &[range(), (name, value)]);
        let ranges = || Requested::Ranges(vec![RangeSpec::FromTo(0, 9)]);
        let weak = format!("W/{}", etag::quoted(&ours));
        for (name, value, asked) in [
            ("if-none-match", etag::quoted(&ours), Requested::NotModified),
            ("if-none-match", weak, Requested::NotModified),
            ("if-none-match", etag::quoted(&other), ranges()),
            ("if-range", etag::quoted(&ours), ranges()),
            ("if-range", etag::quoted(&other), Requested::Whole),
        ] {
            assert_eq!(with(name, value.clone()), asked, "{name}: {value}");
        }
    }
}
