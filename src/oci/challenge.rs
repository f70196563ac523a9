//! Authentication challenges: `WWW-Authenticate` read and written (RFC 9110 section 11.6.1).
//!
//! Reading is tolerant, since registries differ: several challenges on one line, any case, bare values. Writing
//! is strict, since the strictest client decides: `Bearer` in that case, every value quoted, commas without
//! blanks. Absent on purpose: what to do about a challenge.

use std::fmt::{self, Write as _};

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
        let mut cursor = Cursor { rest: value };
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

/// What is left of the line. Every step either takes something or says that there is nothing to take.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// The next token, passing over separators and anything that cannot begin one.
    fn next_word(&mut self) -> Option<&'a str> {
        let start = self.rest.find(is_token_char)?;
        self.rest = self.rest.get(start..)?;
        Some(self.take_while(is_token_char))
    }

    fn take_equals(&mut self) -> bool {
        let Some(behind) = self.rest.trim_start_matches(BLANK).strip_prefix('=') else {
            return false;
        };
        self.rest = behind.trim_start_matches(BLANK);
        true
    }

    /// A quoted string without its quotes and escapes, or everything up to the next comma or blank.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let bare = self.take_while(|c| c != ',' && !BLANK.contains(&c));
            return Some(bare.into());
        };
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next() {
                Some('"') => {
                    self.rest = chars.as_str();
                    return Some(value);
                }
                Some('\\') => value.extend(chars.next()),
                Some(c) => value.push(c),
                None => {
                    self.rest = "";
                    return None;
                }
            }
        }
    }

    /// `token68` (RFC 9110 section 11.2): it stands alone between the scheme and the next comma.
    fn token68(&mut self) -> Option<&'a str> {
        let text = self.rest.strip_prefix(BLANK)?.trim_start_matches(BLANK);
        let (text, behind) = text.split_once(',').unwrap_or((text, ""));
        let text = text.trim_end_matches(BLANK);
        let stem = text.trim_end_matches('=');
        let is_token68 = !stem.is_empty()
            && stem
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        is_token68.then(|| {
            self.rest = behind;
            text
        })
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// Blanks between parts (RFC 9110 section 5.6.3).
const BLANK: [char; 2] = [' ', '\t'];

/// RFC 9110 section 5.6.2, `tchar`.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
