//! Entity tags: the digest in quotes (RFC 9110 section 8.8.3).
//!
//! Clients and caches in between send them back quoted, weak, bare or in a list; all of these name the digest.

use super::digest::Digest;

/// The value of an `ETag` header.
pub fn quoted(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Whether an `If-None-Match` value names `digest`, so that the answer is 304 (RFC 9110 section 13.1.2).
///
/// The comparison is weak. Bare digests are understood as well, because registries used to send them.
pub fn matches(if_none_match: &str, digest: &Digest) -> bool {
    if if_none_match.trim() == "*" {
        return true;
    }
    let mut rest = if_none_match;
    while let Some((tag, behind)) = next_tag(rest) {
        if tag == digest.as_str() {
            return true;
        }
        rest = behind;
    }
    false
}

/// Whether an `If-Range` value names `digest`, so that a range may be answered (RFC 9110 section 13.1.5).
///
/// The comparison is strong: one quoted tag and nothing else. A date never matches; content has none.
pub fn matches_strongly(if_range: &str, digest: &Digest) -> bool {
    let inner = if_range
        .trim()
        .strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'));
    inner == Some(digest.as_str())
}

/// The next tag of a list without its quotes, and what comes behind it. Commas inside quotes do not separate.
fn next_tag(list: &str) -> Option<(&str, &str)> {
    let list = list.trim_start_matches([',', ' ', '\t']);
    if list.is_empty() {
        return None;
    }
    let opaque = list.strip_prefix("W/").unwrap_or(list);
    if let Some(open) = opaque.strip_prefix('"') {
        return open.split_once('"');
    }
    let (bare, behind) = opaque.split_once(',').unwrap_or((opaque, ""));
    Some((bare.trim_end(), behind))
}
