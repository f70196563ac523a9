//! Authentication challenges: `WWW-Authenticate` read and written (RFC 9110 section 11.6.1).
//!
//! Reading is tolerant, since registries differ: several challenges on one line, any case, bare values. Writing
//! is strict, since the strictest client decides: `Bearer` in that case, every value quoted, commas without
//! blanks. Absent on purpose: what to do about a challenge.

mod cursor;

use std::fmt::{self, Write as _};

use cursor::Cursor;

/// An authentication scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Name and password (RFC 7617).
    Basic,
    /// A token, here got from the challenge's realm (RFC 6750).
    Bearer,
    /// Anything else, in lower case.
    Other(String),
}

/// One challenge: a scheme with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: Scheme,
    /// Names in lower case, in the order they came.
    params: Vec<(String, String)>,
    /// What some schemes carry instead of parameters.
    token68: Option<String>,
}

impl Challenge {
    /// A challenge for a token: where to get it, for which service, and for what (`repository:a/b:pull`).
    pub fn bearer(realm: &str, service: &str, scope: Option<&str>) -> Self {
        Self::new(Scheme::Bearer)
            .with_param("realm", realm)
            .with_param("service", service)
            .with_params(scope.map(|scope| ("scope", scope)))
    }

    /// A challenge for name and password.
    pub fn basic(realm: &str) -> Self {
        Self::new(Scheme::Basic).with_param("realm", realm)
    }

    /// The challenge with one more parameter, such as `error`. Control characters are left out of the value:
    /// it ends up in a header.
    #[must_use]
    pub fn with_param(self, name: &str, value: &str) -> Self {
        self.with_params([(name, value)])
    }

    /// The scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Where a token is to be got, or what the password is for.
    pub fn realm(&self) -> Option<&str> {
        self.param("realm")
    }

    /// The service the token is for.
    pub fn service(&self) -> Option<&str> {
        self.param("service")
    }

    /// The rights the token needs; several are separated by blanks.
    pub fn scope(&self) -> Option<&str> {
        self.param("scope")
    }

    /// Why the credentials that were sent do not do, such as `insufficient_scope`.
    pub fn error(&self) -> Option<&str> {
        self.param("error")
    }

    /// Any parameter by its name in lower case; the first one if it is repeated.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every challenge on one header line. What cannot be read is passed over, and a value cut short is
    /// dropped: half a realm must not be asked for a token.
    pub fn parse_all(value: &str) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        let mut cursor = Cursor::new(value);
        while let Some(word) = cursor.next_word() {
            if cursor.take_equals() {
                // A parameter belongs to the scheme before it; without one it means nothing.
                let value = cursor.value();
                if let (Some(challenge), Some(value)) = (challenges.last_mut(), value) {
                    challenge.push(word, &value);
                }
            } else {
                let mut challenge = Self::new(Scheme::named(word));
                challenge.token68 = cursor.token68().map(Into::into);
                challenges.push(challenge);
            }
        }
        challenges
    }

    fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            params: Vec::new(),
            token68: None,
        }
    }

    fn with_params<'a>(mut self, params: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        params
            .into_iter()
            .for_each(|(name, value)| self.push(name, value));
        self
    }

    fn push(&mut self, name: &str, value: &str) {
        let value = value.chars().filter(|c| !c.is_control()).collect();
        self.params.push((name.to_ascii_lowercase(), value));
    }
}

impl Scheme {
    fn named(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "basic" => Self::Basic,
            "bearer" => Self::Bearer,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic => "Basic",
            Self::Bearer => "Bearer",
            Self::Other(name) => name,
        })
    }
}

/// The header value, in the form the strictest clients read.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scheme.fmt(f)?;
        if let Some(token) = &self.token68 {
            write!(f, " {token}")?;
        }
        for (index, (name, value)) in self.params.iter().enumerate() {
            f.write_str(if index == 0 && self.token68.is_none() {
                " "
            } else {
                ","
            })?;
            write!(f, "{name}=\"")?;
            for c in value.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(c)?;
            }
            f.write_char('"')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Vec<String> {
        Challenge::parse_all(value)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn writes_the_form_every_client_reads() {
        let challenge = Challenge::bearer("https://m/token", "m", Some("repository:a/b:pull"));
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="https://m/token",service="m",scope="repository:a/b:pull""#
        );
        assert_eq!(
            Challenge::bearer("https://m/token", "m", None)
                .with_param("error", "insufficient_scope")
                .to_string(),
            r#"Bearer realm="https://m/token",service="m",error="insufficient_scope""#
        );
        assert_eq!(
            Challenge::basic(r#"a "b" \"#).to_string(),
            r#"Basic realm="a \"b\" \\""#
        );
        assert_eq!(
            Challenge::basic("a\r\nSet-Cookie: b").to_string(),
            r#"Basic realm="aSet-Cookie: b""#
        );
    }

    #[test]
    fn reads_what_registries_send() {
        for (value, expected) in [
            (
                r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#,
                vec![
                    r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#,
                ],
            ),
            (
                r#"bearer REALM="r", Service = "s" , scope=x:y:pull"#,
                vec![r#"Bearer realm="r",service="s",scope="x:y:pull""#],
            ),
            (
                r#"Bearer realm="r" service="s""#,
                vec![r#"Bearer realm="r",service="s""#],
            ),
            (
                r#"Bearer realm=https://r.example/t?a=b,service=s"#,
                vec![r#"Bearer realm="https://r.example/t?a=b",service="s""#],
            ),
            (
                r#"Basic realm="x", Bearer realm="y",service="z""#,
                vec![r#"Basic realm="x""#, r#"Bearer realm="y",service="z""#],
            ),
            (
                r#"Negotiate, Basic realm="x""#,
                vec!["negotiate", r#"Basic realm="x""#],
            ),
            (
                r#"Negotiate YWJj+/==, Basic realm="x""#,
                vec!["negotiate YWJj+/==", r#"Basic realm="x""#],
            ),
            (r#"Negotiate YWJj"#, vec!["negotiate YWJj"]),
            (
                r#"Basic realm="a \"b\", c=\"d\"""#,
                vec![r#"Basic realm="a \"b\", c=\"d\"""#],
            ),
            (r#", ,Basic realm="x",,"#, vec![r#"Basic realm="x""#]),
            ("Basic", vec!["Basic"]),
            ("", vec![]),
            (r#"realm="x""#, vec![]),
            // Cut short: the value is dropped, the scheme is not.
            (
                r#"Bearer service="s",realm="https://r.exa"#,
                vec![r#"Bearer service="s""#],
            ),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn parameters_are_found_by_name() {
        let value =
            r#"Bearer Realm="r",service="s",scope="a b",error="insufficient_scope",realm="second""#;
        let challenges = Challenge::parse_all(value);
        let [challenge] = challenges.as_slice() else {
            panic!("one challenge expected: {challenges:?}");
        };
        assert_eq!(challenge.scheme(), &Scheme::Bearer);
        assert_eq!(challenge.realm(), Some("r"));
        assert_eq!(challenge.service(), Some("s"));
        assert_eq!(challenge.scope(), Some("a b"));
        assert_eq!(challenge.error(), Some("insufficient_scope"));
        assert_eq!(challenge.param("nonce"), None);
    }

    fn challenge() -> impl Strategy<Value = Challenge> {
        let scheme = prop_oneof![
            Just(Scheme::Basic),
            Just(Scheme::Bearer),
            "x[a-z0-9-]{0,6}".prop_map(Scheme::Other)
        ];
        let params = prop::collection::vec(("[a-z][a-z0-9_]{0,6}", "[ -~]{0,12}|\\PC{0,6}"), 0..4);
        let token68 = prop::option::of("[A-Za-z0-9._~+/-]{1,12}={0,2}");
        (scheme, params, token68).prop_map(|(scheme, params, token68)| Challenge {
            scheme,
            params,
            token68,
        })
    }

    proptest! {
        #[test]
        fn round_trips(challenges in prop::collection::vec(challenge(), 0..4)) {
            let lines: Vec<_> = challenges.iter().map(ToString::to_string).collect();
            prop_assert_eq!(Challenge::parse_all(&lines.join(", ")), challenges);
        }

        #[test]
        fn any_text_is_read_and_written_without_line_breaks(text in "[Ba =\",\\\\\r\n]{0,24}|(?s).{0,24}") {
            for challenge in Challenge::parse_all(&text) {
                let line = challenge.to_string();
                prop_assert!(!line.contains(char::is_control));
                prop_assert_eq!(Challenge::parse_all(&line), vec![challenge]);
            }
        }
    }
}
