//! A client's own credentials on their way to the upstream that they are for.

use std::fmt;

use http::HeaderValue;

/// What a client authenticates itself with: the value of `Authorization` for the upstream's own origin, and for
/// nobody else. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientAuthorization(HeaderValue);

impl ClientAuthorization {
    /// A token that the upstream's realm issued (RFC 6750 section 2.1). `None` when it cannot be sent in a header.
    pub fn bearer(token: &str) -> Option<Self> {
        Self::read(&format!("Bearer {token}"))
    }

    /// Name and password, in the coding of RFC 7617 section 2. `None` when they cannot be sent in a header.
    pub fn basic(coded: &str) -> Option<Self> {
        Self::read(&format!("Basic {coded}"))
    }

    fn read(value: &str) -> Option<Self> {
        HeaderValue::from_str(value).ok().map(Self::of)
    }

    pub(super) fn of(mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        Self(value)
    }

    /// The value, for the one place that sends it and for keyed hashes.
    pub fn expose(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for ClientAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[authorization]")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_is_never_shown_and_goes_out_as_it_is() {
        let token = ClientAuthorization::bearer("s3cret").unwrap();
        assert_eq!(token.expose().to_str().unwrap(), "Bearer s3cret");
        assert!(!format!("{token:?} {:?}", token.expose()).contains("s3cret"));
        assert_eq!(ClientAuthorization::basic("a\nb"), None);
    }
}
