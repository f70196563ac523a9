//! Conditional and range requests: what of an object is to be sent. Pure.

use http::Method;
use http::header::{HeaderMap, IF_NONE_MATCH, IF_RANGE, RANGE};

use crate::oci::{ByteRange, Digest, RangeHeader, etag};

/// What of an object is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: 200.
    Whole,
    /// This much: 206.
    Part(ByteRange),
    /// Nothing, the client has it: 304.
    NotModified,
    /// Nothing lies in the range: 416.
    Unsatisfiable,
    /// More ranges than anybody needs: 400, which clients answer by asking for fewer.
    TooMany,
}

/// Whether the client's copy is good (RFC 9110 section 13.1.2; weak comparison).
pub(super) fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| etag::matches(value, digest))
}

/// Selects what to send of the blob `digest` with `size` bytes (RFC 9110 sections 13.2.2 and 14.2).
///
/// `Range` counts for GET only, once, and not when `If-Range` names another version. Several ranges are not
/// cut out so far: the whole is sent, as RFC 9110 section 14.2 allows.
pub(super) fn select(
    method: &Method,
    headers: &HeaderMap,
    digest: &Digest,
    size: u64,
) -> Selection {
    if not_modified(headers, digest) {
        return Selection::NotModified;
    }
    let mut ranges = headers.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Selection::Whole;
    };
    let other_version = headers.get(IF_RANGE).is_some_and(|value| {
        !value
            .to_str()
            .is_ok_and(|value| etag::matches_strongly(value, digest))
    });
    // Of no bytes there is no range; the whole says so more kindly than 416.
    if method != Method::GET || other_version || size == 0 {
        return Selection::Whole;
    }
    match range
        .to_str()
        .map_or(RangeHeader::Ignored, RangeHeader::parse)
    {
        RangeHeader::One(spec) => spec
            .resolve(size)
            .map_or(Selection::Unsatisfiable, Selection::Part),
        RangeHeader::TooMany => Selection::TooMany,
        RangeHeader::Many(_) | RangeHeader::Ignored => Selection::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(method: &Method, fields: &[(&'static str, String)]) -> Selection {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        select(method, &headers, &Digest::sha256_of(b"x"), 1000)
    }

    fn ranged(value: &str) -> Selection {
        selected(&Method::GET, &[("range", value.to_owned())])
    }

    #[test]
    fn one_range_is_cut_out() {
        assert_eq!(ranged("bytes=0-9"), Selection::Part(ByteRange::new(0, 10)));
        assert_eq!(
            ranged("bytes=990-"),
            Selection::Part(ByteRange::new(990, 1000))
        );
        assert_eq!(
            ranged("bytes=-10"),
            Selection::Part(ByteRange::new(990, 1000))
        );
        assert_eq!(
            ranged("bytes=990-2000"),
            Selection::Part(ByteRange::new(990, 1000))
        );
        assert_eq!(ranged("bytes=1000-"), Selection::Unsatisfiable);
    }

    #[test]
    fn what_is_no_range_is_ignored() {
        for value in ["bytes=9-0", "lines=0-1", "bytes", "bytes=a-b"] {
            assert_eq!(ranged(value), Selection::Whole, "{value}");
        }
        let ranges: Vec<String> = (0..2000).map(|n| format!("{n}-{n}")).collect();
        assert_eq!(
            ranged(&format!("bytes={}", ranges.join(","))),
            Selection::TooMany
        );
    }

    #[test]
    fn head_and_repeated_ranges_get_the_whole() {
        let range = || ("range", "bytes=0-9".to_owned());
        assert_eq!(selected(&Method::HEAD, &[range()]), Selection::Whole);
        assert_eq!(
            selected(&Method::GET, &[range(), range()]),
            Selection::Whole
        );
    }

    #[test]
    fn conditions_come_before_ranges() {
        let (ours, other) = (Digest::sha256_of(b"x"), Digest::sha256_of(b"y"));
        let range = || ("range", "bytes=0-9".to_owned());
        let with = |name, value: String| selected(&Method::GET, &[range(), (name, value)]);
        assert_eq!(
            with("if-none-match", etag::quoted(&ours)),
            Selection::NotModified
        );
        assert_eq!(
            with("if-none-match", format!("W/{}", etag::quoted(&ours))),
            Selection::NotModified
        );
        assert_eq!(
            with("if-none-match", etag::quoted(&other)),
            Selection::Part(ByteRange::new(0, 10))
        );
        assert_eq!(
            with("if-range", etag::quoted(&ours)),
            Selection::Part(ByteRange::new(0, 10))
        );
        assert_eq!(with("if-range", etag::quoted(&other)), Selection::Whole);
    }
}
