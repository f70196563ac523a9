//! For whom a token says that it is, where it is a JSON Web Token (RFC 7519 section 4.1). Pure.
//!
//! Nothing is proved by this, and nobody is let in for it: it is read to keep a token from those whom it is not for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// No claims are read beyond this, in characters.
const LONGEST: usize = 32 * 1024;

/// For whom a token is, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addressee {
    names: Vec<String>,
    /// Seconds since the Unix epoch.
    pub(super) expires_at: Option<u64>,
}

#[derive(Deserialize)]
struct Claims {
    aud: Names,
    exp: Option<serde_json::Number>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Addressee {
    /// Reads a token; `None` when it does not say for whom it is.
    pub(super) fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || claims.len() > LONGEST {
            return None;
        }
        let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        let names = match claims.aud {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        };
        Some(Self {
            names,
            expires_at: claims.exp.and_then(|exp| exp.as_u64()),
        })
    }

    /// Whether it is for the service of this name.
    pub(super) fn is(&self, service: &str) -> bool {
        self.names.iter().any(|name| name == service)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_names_one_or_many_or_none() {
        let one = Addressee::of(&token(r#"{"aud":"a","exp":5}"#)).unwrap();
        assert!(one.is("a") && !one.is("b") && one.expires_at == Some(5));
        let many = Addressee::of(&token(r#"{"aud":["a","b"],"exp":1.5}"#)).unwrap();
        assert!(many.is("a") && many.is("b") && !many.is("c"));
        assert_eq!(many.expires_at, None);
        for opaque in [
            "",
            "opaque",
            "a.b.c",
            "a.b.c.d",
            &token("{}"),
            &token(r#"{"aud":7}"#),
            &format!("{}.more", token(r#"{"aud":"a"}"#)),
        ] {
            assert_eq!(Addressee::of(opaque), None, "{opaque}");
        }
    }
}
