//! `${NAME}` in a text value stands for the environment variable NAME.
//!
//! A `$` that no `{` follows is itself, since user names such as `$oauthtoken` exist; `$${` is
//! how a literal `${` is written. There are no defaults and no nesting.

use std::borrow::Cow;

/// Why a text could not be expanded. Names the variable, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("the environment variable {0} is not set (or is not UTF-8)")]
    Unset(String),
    #[error("`${{` is not closed by a `}}`; a literal `${{` is written `$${{`")]
    Open,
    #[error("`${{{0}}}` does not name an environment variable")]
    Name(String),
}

/// Replaces each `${NAME}` of `text` by what `variable` says. What comes out of a variable is
/// taken as it is: it is not looked through again.
pub(super) fn expand(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Cow<'_, str>, ExpandError> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or(ExpandError::Open)?;
        if !is_name(name) {
            return Err(ExpandError::Name(name.to_owned()));
        }
        expanded.push_str(before);
        expanded.push_str(&variable(name).ok_or_else(|| ExpandError::Unset(name.to_owned()))?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

/// The portable form of a variable's name (POSIX.1-2017, section 8.1, lower case allowed).
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<Cow<'_, str>, ExpandError> {
        expand(text, |name| match name {
            "HOST" => Some("registry.test".to_owned()),
            "TRICK" => Some("${HOST}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn a_variable_stands_for_its_value() {
        for (text, meaning) in [
            ("", ""),
            ("plain", "plain"),
            ("https://${HOST}/", "https://registry.test/"),
            ("${HOST}${HOST}", "registry.testregistry.test"),
            ("a${EMPTY}b", "ab"),
            ("$oauthtoken", "$oauthtoken"),
            ("robot$", "robot$"),
            ("$$", "$$"),
            ("$${HOST}", "${HOST}"),
            ("$$${HOST}", "$${HOST}"),
            ("$${${HOST}}", "${registry.test}"),
            ("${TRICK}", "${HOST}"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(meaning), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_named() {
        assert_eq!(
            expanded("${GONE}"),
            Err(ExpandError::Unset("GONE".to_owned()))
        );
        assert_eq!(expanded("${HOST"), Err(ExpandError::Open));
        for name in ["", "1A", "A-B", "A B", "A:-b"] {
            let text = format!("${{{name}}}");
            assert_eq!(expanded(&text), Err(ExpandError::Name(name.to_owned())));
        }
        assert_eq!(
            expanded("${A-B}").map_err(|e| e.to_string()),
            Err("`${A-B}` does not name an environment variable".to_owned())
        );
    }
}
