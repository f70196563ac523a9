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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::strategies;
    use super::*;

    #[test]
    fn every_form_of_the_digest_matches() {
        let digest = Digest::sha256_of(b"a");
        let other = Digest::sha256_of(b"b");
        for value in [
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            format!("{digest}"),
            format!("W/{digest}"),
            format!("\"{other}\", \"{digest}\""),
            format!("\"{other}\",W/\"{digest}\""),
            format!("{other} , {digest} "),
            format!(", ,\"{digest}\""),
            format!("\"a,b\", \"{digest}\""),
            " * ".into(),
        ] {
            assert!(matches(&value, &digest), "{value}");
        }
    }

    #[test]
    fn anything_else_does_not_match() {
        let digest = Digest::sha256_of(b"a");
        let other = Digest::sha256_of(b"b");
        for value in [
            String::new(),
            ",".into(),
            "\"*\"".into(),
            format!("\"{other}\""),
            format!("\"{digest}"),
            format!("\"x{digest}\""),
            // One opaque tag that happens to hold commas.
            format!("\"a,{digest},b\""),
            format!("w/\"{digest}\""),
            format!("\"{}\"", digest.encoded()),
        ] {
            assert!(!matches(&value, &digest), "{value}");
        }
    }

    #[test]
    fn a_range_needs_the_strong_form() {
        let digest = Digest::sha256_of(b"a");
        assert!(matches_strongly(&quoted(&digest), &digest));
        assert!(matches_strongly(&format!(" {} ", quoted(&digest)), &digest));
        for value in [
            format!("W/\"{digest}\""),
            digest.to_string(),
            format!("\"{digest}\", \"{digest}\""),
            "*".into(),
            "\"".into(),
            "Sat, 29 Oct 1994 19:43:31 GMT".into(),
        ] {
            assert!(!matches_strongly(&value, &digest), "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_digest_matches_itself_only(a in strategies::digest(), b in strategies::digest()) {
            prop_assert!(matches(&quoted(&a), &a) && matches_strongly(&quoted(&a), &a));
            prop_assert_eq!(matches(&quoted(&a), &b), a == b);
        }

        #[test]
        fn any_text_is_read(text in "[\", W/*a,]{0,16}|.{0,24}", digest in strategies::digest()) {
            prop_assert_eq!(matches(&text, &digest), text.trim() == "*");
        }
    }
}
