//! Who is shown to a registry or to its token realm: the value itself, never printed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// Somebody who can be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// Name and password: the value of `Authorization` (RFC 7617).
    Basic(HeaderValue),
    /// What a token realm takes in place of them.
    Refresh(String),
}

impl Identity {
    /// By name and password. `None` when they cannot be sent: a name cannot hold a colon.
    pub(super) fn basic(username: &str, password: &str) -> Option<Self> {
        if username.contains(':') {
            return None;
        }
        let pair = STANDARD.encode(format!("{username}:{password}"));
        let mut header = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
        header.set_sensitive(true);
        Some(Self::Basic(header))
    }

    /// What a registry that asks for Basic is shown.
    pub(super) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::Basic(header) => Some(header),
            Self::Refresh(_) => None,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[identity]")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn basic_credentials_are_encoded_and_never_printed() {
        let identity = Identity::basic("Aladdin", "open sesame").unwrap();
        let header = identity.header().unwrap();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(!format!("{identity:?} {header:?}").contains("QWxh"));
        assert_eq!(Identity::basic("a:b", "c"), None);
        let token = Identity::Refresh("s3cret".to_owned());
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
