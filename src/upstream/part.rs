//! What the head of an answer says about the bytes of a blob: which of them follow, or why none do
//! (RFC 9110 sections 14.4 and 15.3.7). Pure: a question and a head in, a reading out.

use std::str::FromStr;

use crate::oci::{ByteRange, ContentRange, ContentRangeError, RangeSpec};

/// What of the head of an answer matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) status: u16,
    /// `Content-Range`
    pub(super) range: Option<&'a str>,
    /// `Content-Length`, in bytes.
    pub(super) length: Option<u64>,
    /// The body is not the blob's own bytes, but some coding of them.
    pub(super) is_encoded: bool,
}

/// Which bytes follow a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where in the blob they begin.
    pub(super) offset: u64,
    /// Where in the blob they end, where that is told.
    pub(super) end: Option<u64>,
    /// Bytes of the whole blob, where that is told.
    pub(super) size: Option<u64>,
}

impl Extent {
    /// How many bytes must follow, where that is told.
    pub(super) fn length(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.offset))
    }
}

/// What an answer to a GET of a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// These bytes of the blob.
    Bytes(Extent),
    /// Right to say that no byte lies in the range: the blob has so many.
    Unsatisfiable {
        /// In bytes.
        size: u64,
    },
    /// The range was not understood. The whole may still be had.
    NoRanges,
    /// Bytes of which it is not sure where they belong, or what they are.
    Nonsense(&'static str),
    /// No bytes of a blob.
    Other,
}

/// Reads the head of the answer to a GET of a blob; `asked` is the range in the question, if there was one.
///
/// A server may answer the whole to a ranged question, and fewer bytes than asked for, but no other ones. One that
/// refuses the range may still be asked for the whole: some know no ranges and say so with 400, 405 or 501.
pub(super) fn read(asked: Option<RangeSpec>, head: &Head<'_>) -> Reading {
    match (head.status, asked) {
        (200 | 206, _) if head.is_encoded => Reading::Nonsense("an encoded body"),
        (200, _) => Reading::Bytes(Extent {
            offset: 0,
            end: head.length,
            size: head.length,
        }),
        (206, None) => Reading::Nonsense("a range that was not asked for"),
        (206, Some(asked)) => partial(asked, head),
        (416, Some(asked)) => match head.range.map(ContentRange::from_str) {
            Some(Err(ContentRangeError::Unsatisfied { size })) if asked.resolve(size).is_none() => {
                Reading::Unsatisfiable { size }
            }
            _ => Reading::NoRanges,
        },
        (400 | 405 | 501, Some(_)) => Reading::NoRanges,
        _ => Reading::Other,
    }
}

/// Reads the head of a 206.
fn partial(asked: RangeSpec, head: &Head<'_>) -> Reading {
    let Some(Ok(ContentRange { range, size })) = head.range.map(ContentRange::from_str) else {
        return Reading::Nonsense("a part without a Content-Range");
    };
    if !lies_in(range, size, asked) {
        return Reading::Nonsense("another range than asked for");
    }
    if head.length.is_some_and(|length| length != range.len()) {
        return Reading::Nonsense("a Content-Length that contradicts the Content-Range");
    }
    Reading::Bytes(Extent {
        offset: range.start,
        end: Some(range.end),
        size,
    })
}

/// Whether the bytes of `range` were asked for, from where they were asked for.
fn lies_in(range: ByteRange, size: Option<u64>, asked: RangeSpec) -> bool {
    match asked {
        RangeSpec::FromTo(first, last) => {
            range.start == first && range.end <= last.saturating_add(1)
        }
        RangeSpec::From(first) => range.start == first,
        // Without the size nobody knows whether these are the last bytes.
        RangeSpec::Suffix(length) => size == Some(range.end) && range.len() <= length,
    }
}

#[cfg(test)]
mod tests {
    use RangeSpec::{From, FromTo, Suffix};
    use proptest::prelude::*;

    use super::*;

    const HEAD: Head<'_> = Head {
        status: 200,
        range: None,
        length: None,
        is_encoded: false,
    };

    fn status(status: u16) -> Head<'static> {
        Head { status, ..HEAD }
    }

    fn ranged(status: u16, range: &str) -> Head<'_> {
        Head {
            status,
            range: Some(range),
            ..HEAD
        }
    }

    fn bytes(offset: u64, end: Option<u64>, size: Option<u64>) -> Reading {
        Reading::Bytes(Extent { offset, end, size })
    }

    #[track_caller]
    fn is_nonsense(asked: impl Into<Option<RangeSpec>>, head: &Head<'_>) {
        let reading = read(asked.into(), head);
        assert!(matches!(reading, Reading::Nonsense(_)), "{reading:?}");
    }

    #[test]
    fn the_whole_is_the_whole_whatever_was_asked() {
        let head = Head {
            length: Some(10),
            ..HEAD
        };
        for asked in [None, Some(FromTo(4, 5)), Some(From(4)), Some(Suffix(2))] {
            assert_eq!(read(asked, &head), bytes(0, Some(10), Some(10)));
            assert_eq!(read(asked, &status(200)), bytes(0, None, None));
        }
    }

    #[test]
    fn a_part_begins_where_it_was_asked_for_and_may_end_early() {
        for (asked, range, reading) in [
            (FromTo(4, 6), "bytes 4-6/10", bytes(4, Some(7), Some(10))),
            (FromTo(4, 6), "bytes 4-5/10", bytes(4, Some(6), Some(10))),
            (FromTo(4, 99), "bytes 4-9/10", bytes(4, Some(10), Some(10))),
            (FromTo(4, 6), "bytes 4-6/*", bytes(4, Some(7), None)),
            (FromTo(4, u64::MAX), "bytes 4-9/*", bytes(4, Some(10), None)),
            (From(0), "bytes 0-9/10", bytes(0, Some(10), Some(10))),
            (From(4), "bytes 4-7/10", bytes(4, Some(8), Some(10))),
            (From(4), "bytes 4-9/*", bytes(4, Some(10), None)),
            (Suffix(3), "bytes 7-9/10", bytes(7, Some(10), Some(10))),
            (Suffix(3), "bytes 8-9/10", bytes(8, Some(10), Some(10))),
            (Suffix(99), "bytes 0-9/10", bytes(0, Some(10), Some(10))),
        ] {
            let head = ranged(206, range);
            assert_eq!(read(Some(asked), &head), reading, "{asked:?} {range}");
        }
    }

    #[test]
    fn other_bytes_than_asked_for_are_nonsense() {
        for (asked, range) in [
            (FromTo(4, 6), "bytes 3-6/10"),
            (FromTo(4, 6), "bytes 5-6/10"),
            (FromTo(4, 6), "bytes 4-7/10"),
            (FromTo(4, 6), "bytes 4-7/*"),
            (From(4), "bytes 0-9/10"),
            (From(4), "bytes 4-10/10"),
            (From(4), "bytes */10"),
            (From(4), "nonsense"),
            (Suffix(3), "bytes 0-3/10"),
            (Suffix(3), "bytes 6-9/10"),
            (Suffix(3), "bytes 6-8/10"),
            (Suffix(3), "bytes 7-9/*"),
        ] {
            is_nonsense(asked, &ranged(206, range));
        }
        is_nonsense(From(4), &status(206));
        is_nonsense(None, &ranged(206, "bytes 0-9/10"));
    }

    #[test]
    fn the_length_agrees_with_the_range() {
        let head = |length| Head {
            length: Some(length),
            ..ranged(206, "bytes 4-9/10")
        };
        assert_eq!(read(Some(From(4)), &head(6)), bytes(4, Some(10), Some(10)));
        is_nonsense(From(4), &head(5));
        is_nonsense(From(4), &head(10));
    }

    #[test]
    fn an_encoded_body_is_nonsense() {
        let encoded = |head| Head {
            is_encoded: true,
            ..head
        };
        is_nonsense(None, &encoded(status(200)));
        is_nonsense(From(4), &encoded(status(200)));
        is_nonsense(From(4), &encoded(ranged(206, "bytes 4-9/10")));
        // Of an error there is nothing to decode.
        assert_eq!(read(None, &encoded(status(404))), Reading::Other);
    }

    #[test]
    fn a_range_is_unsatisfiable_only_if_it_lies_outside() {
        let told = ContentRange::unsatisfied;
        for (asked, size) in [
            (From(10), 10),
            (From(99), 10),
            (From(0), 0),
            (FromTo(10, 12), 10),
            (Suffix(0), 10),
            (Suffix(3), 0),
        ] {
            let reading = read(Some(asked), &ranged(416, &told(size)));
            assert_eq!(reading, Reading::Unsatisfiable { size }, "{asked:?}");
        }
        for (asked, size) in [(From(9), 10), (FromTo(0, 99), 10), (Suffix(3), 1)] {
            let reading = read(Some(asked), &ranged(416, &told(size)));
            assert_eq!(reading, Reading::NoRanges, "{asked:?}");
        }
        for head in [
            status(416),
            ranged(416, "bytes */*"),
            ranged(416, "bytes 0-9/10"),
            ranged(416, "nonsense"),
        ] {
            assert_eq!(read(Some(From(99)), &head), Reading::NoRanges);
        }
    }

    #[test]
    fn who_knows_no_ranges_may_say_so_only_when_asked_for_one() {
        for refused in [400, 405, 416, 501] {
            assert_eq!(read(Some(From(4)), &status(refused)), Reading::NoRanges);
            assert_eq!(read(None, &status(refused)), Reading::Other);
        }
        for other in [204, 304, 401, 403, 404, 429, 500, 503] {
            assert_eq!(read(Some(From(4)), &status(other)), Reading::Other);
        }
    }

    fn specs() -> impl Strategy<Value = RangeSpec> {
        prop_oneof![
            (0..20_u64, 0..20_u64).prop_map(|(first, more)| FromTo(first, first + more)),
            (0..20_u64).prop_map(From),
            (0..20_u64).prop_map(Suffix),
        ]
    }

    proptest! {
        #[test]
        fn a_server_that_does_it_right_is_understood(asked in specs(), size in 0..20_u64) {
            let reading = match asked.resolve(size) {
                Some(range) => {
                    let told = ContentRange { range, size: Some(size) }.to_string();
                    let head = Head { length: Some(range.len()), ..ranged(206, &told) };
                    let expected = bytes(range.start, Some(range.end), Some(size));
                    prop_assert_eq!(read(Some(asked), &head), expected);
                    return Ok(());
                }
                None => read(Some(asked), &ranged(416, &ContentRange::unsatisfied(size))),
            };
            prop_assert_eq!(reading, Reading::Unsatisfiable { size });
        }

        #[test]
        fn bytes_are_never_others_than_asked_for(
            asked in specs(), start in 0..20_u64, length in 1..20_u64, more in 0..5_u64,
        ) {
            let range = ByteRange::new(start, start + length);
            let size = range.end + more;
            let told = ContentRange { range, size: Some(size) }.to_string();
            if let Reading::Bytes(extent) = read(Some(asked), &ranged(206, &told)) {
                let asked = asked.resolve(size).map(|asked| (asked.start, asked.end));
                let (from, to) = asked.unwrap_or_default();
                prop_assert!(from <= extent.offset && extent.end <= Some(to));
            }
        }
    }
}
