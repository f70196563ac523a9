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
mod tests;
