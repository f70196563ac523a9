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
mod tests;
