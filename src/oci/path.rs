//! Splitting a request path into decoded segments, refusing every path that could mean two things.
//!
//! Paths are never cleaned: a path that needs cleaning is one that some other reader (a proxy in front, an
//! access rule, a cache key) may read differently. Each segment is decoded once, after the split, so that an
//! encoded slash never becomes a separator.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Why a request path is refused before its meaning is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `//` inside the path.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..` as a segment, encoded or not.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A backslash or a control character, encoded or not.
    #[error("the path holds a forbidden character")]
    Character,
    /// `%` without two hexadecimal digits behind it.
    #[error("the path has a malformed escape")]
    Escape,
    /// The decoded bytes are not UTF-8.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// `%2F` where a separator would change the meaning.
    #[error("the path has an encoded slash")]
    EncodedSlash,
}

/// The decoded segments of a raw path that has no leading slash. Only the last one may be empty (`uploads/`).
/// A segment may hold a `/` that was encoded; the caller decides what that means where it stands.
pub(super) fn segments(raw: &str) -> Result<Vec<Cow<'_, str>>, PathError> {
    let segments = raw.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
    match segments.split_last() {
        Some((_, inner)) if inner.iter().any(|segment| segment.is_empty()) => {
            Err(PathError::EmptySegment)
        }
        _ => Ok(segments),
    }
}

fn decode(raw: &str) -> Result<Cow<'_, str>, PathError> {
    if raw.split('%').skip(1).any(|after| !begins_with_hex(after)) {
        return Err(PathError::Escape);
    }
    let segment = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| PathError::NotUtf8)?;
    if segment.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(PathError::Character);
    }
    // Also caught: `..` next to an encoded slash, which another reader might split.
    if segment.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(PathError::DotSegment);
    }
    Ok(segment)
}

fn begins_with_hex(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_once_and_after_the_split() {
        for (raw, expected) in [
            ("", vec![""]),
            ("a/b", vec!["a", "b"]),
            ("a/b/", vec!["a", "b", ""]),
            ("sha256%3Aab/%61", vec!["sha256:ab", "a"]),
            ("a%2Fb/c", vec!["a/b", "c"]),
            ("a%252Fb", vec!["a%2Fb"]),
            ("%C3%A9", vec!["\u{e9}"]),
        ] {
            let expected = expected.into_iter().map(Cow::from).collect();
            assert_eq!(segments(raw), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn refuses_what_could_mean_two_things() {
        for (raw, error) in [
            ("/", PathError::EmptySegment),
            ("a//b", PathError::EmptySegment),
            ("a//", PathError::EmptySegment),
            ("/a", PathError::EmptySegment),
            ("a/./b", PathError::DotSegment),
            ("a/../b", PathError::DotSegment),
            ("a/..", PathError::DotSegment),
            ("a/%2e%2E/b", PathError::DotSegment),
            ("a/.%2e/b", PathError::DotSegment),
            ("a/..%2fb", PathError::DotSegment),
            ("a\\b", PathError::Character),
            ("a%5cb", PathError::Character),
            ("a%00b", PathError::Character),
            ("a\0b", PathError::Character),
            ("a%0d%0ab", PathError::Character),
            ("a%7fb", PathError::Character),
            ("%ff", PathError::NotUtf8),
            ("%c0%ae%c0%ae", PathError::NotUtf8),
            ("%", PathError::Escape),
            ("a%2", PathError::Escape),
            ("a%zzb", PathError::Escape),
            ("a%2/b", PathError::Escape),
        ] {
            assert_eq!(segments(raw), Err(error), "{raw:?}");
        }
    }
}
