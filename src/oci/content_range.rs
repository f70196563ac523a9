//! Byte ranges as HTTP answers them (RFC 9110 section 14.4).

use std::fmt;
use std::str::FromStr;

use super::range::{ByteRange, parse_exact};

/// Where the bytes of a 206 answer belong (RFC 9110 section 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The bytes in the answer. Never empty: the header cannot say so.
    pub range: ByteRange,
    /// The size of the whole content in bytes, when told.
    pub size: Option<u64>,
}

/// Why a text is not the range of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentRangeError {
    /// Not `bytes a-b/size`, or the numbers contradict each other.
    #[error("malformed Content-Range")]
    Malformed,
    /// `bytes */size`: the answer says that the request matched nothing.
    #[error("range not satisfiable, the content has {size} bytes")]
    Unsatisfied {
        /// The size of the content in bytes.
        size: u64,
    },
}

impl ContentRange {
    /// The header value that goes with 416.
    pub fn unsatisfied(size: u64) -> String {
        format!("bytes */{size}")
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bytes {}-{}/",
            self.range.start,
            self.range.end.saturating_sub(1)
        )?;
        match self.size {
            Some(size) => write!(f, "{size}"),
            None => f.write_str("*"),
        }
    }
}

impl FromStr for ContentRange {
    type Err = ContentRangeError;

    fn from_str(value: &str) -> Result<Self, ContentRangeError> {
        use ContentRangeError::Malformed;

        let (unit, rest) = value.trim().split_once(' ').ok_or(Malformed)?;
        let (range, size) = rest.trim().split_once('/').ok_or(Malformed)?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return Err(Malformed);
        }
        let size = match size {
            "*" => None,
            number => Some(parse_exact(number).ok_or(Malformed)?),
        };
        if range == "*" {
            return Err(size.map_or(Malformed, |size| ContentRangeError::Unsatisfied { size }));
        }
        let (first, last) = range.split_once('-').ok_or(Malformed)?;
        let start = parse_exact(first).ok_or(Malformed)?;
        let end = parse_exact(last)
            .and_then(|last| last.checked_add(1))
            .ok_or(Malformed)?;
        let range = ByteRange { start, end };
        if range.is_empty() || size.is_some_and(|size| end > size) {
            return Err(Malformed);
        }
        Ok(Self { range, size })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_servers_send() {
        let parsed = |start, end, size| {
            Ok(ContentRange {
                range: ByteRange::new(start, end),
                size,
            })
        };
        for (value, expected) in [
            ("bytes 0-9/100", parsed(0, 10, Some(100))),
            ("bytes 90-99/100", parsed(90, 100, Some(100))),
            ("bytes 0-0/*", parsed(0, 1, None)),
            ("Bytes  0-9/100 ", parsed(0, 10, Some(100))),
            (
                "bytes */100",
                Err(ContentRangeError::Unsatisfied { size: 100 }),
            ),
            ("bytes */*", Err(ContentRangeError::Malformed)),
            ("bytes 90-100/100", Err(ContentRangeError::Malformed)),
            ("bytes 9-0/100", Err(ContentRangeError::Malformed)),
            ("bytes 0-/100", Err(ContentRangeError::Malformed)),
            ("bytes -9/100", Err(ContentRangeError::Malformed)),
            ("bytes 0-9", Err(ContentRangeError::Malformed)),
            ("bytes 0-9/", Err(ContentRangeError::Malformed)),
            ("bytes=0-9/100", Err(ContentRangeError::Malformed)),
            ("chunks 0-9/100", Err(ContentRangeError::Malformed)),
            (
                "bytes 0-18446744073709551615/*",
                Err(ContentRangeError::Malformed),
            ),
            (
                "bytes 0-9/99999999999999999999",
                Err(ContentRangeError::Malformed),
            ),
            ("bytes +0-9/100", Err(ContentRangeError::Malformed)),
            ("", Err(ContentRangeError::Malformed)),
        ] {
            assert_eq!(value.parse::<ContentRange>(), expected, "{value:?}");
        }
    }

    #[test]
    fn an_unsatisfied_range_names_the_size() {
        assert_eq!(ContentRange::unsatisfied(42), "bytes */42");
        assert_eq!(
            ContentRange::unsatisfied(42).parse::<ContentRange>(),
            Err(ContentRangeError::Unsatisfied { size: 42 })
        );
    }

    proptest! {
        #[test]
        fn round_trips(start in 0..u64::MAX, length in 1..u64::MAX, size: Option<u64>) {
            let end = start.saturating_add(length);
            let size = size.map(|size| size.max(end));
            let range = ContentRange { range: ByteRange::new(start, end), size };
            prop_assert_eq!(range.to_string().parse::<ContentRange>().unwrap(), range);
        }

        #[test]
        fn what_parses_is_consistent(text in "bytes [0-9*]{0,3}-?[0-9*]{0,3}/?[0-9*]{0,3}|.{0,24}") {
            if let Ok(ContentRange { range, size }) = text.parse() {
                prop_assert!(!range.is_empty());
                prop_assert!(size.is_none_or(|size| range.end <= size));
            }
        }
    }
}
