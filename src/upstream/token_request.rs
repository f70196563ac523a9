//! A client's wish for a token, and what the upstream's realm gave for it.

use std::fmt;
use std::time::Duration;

use super::ClientAuthorization;

/// By what a token is asked for. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Grant {
    /// By nothing: as nobody.
    Nobody,
    /// By name and password.
    Password {
        /// The client's name; it holds no colon.
        username: String,
        /// The client's password.
        password: String,
    },
    /// By what the realm gave the client in place of them.
    RefreshToken(String),
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Password { .. } => "Password { .. }",
            Self::RefreshToken(_) => "RefreshToken(..)",
        })
    }
}

/// What an upstream's token realm is asked for in a client's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// By what.
    pub grant: Grant,
    /// The rights wanted, each in the words of the upstream (`repository:library/alpine:pull`).
    pub scopes: Vec<String>,
    /// The client program's name, where it told one.
    pub client_id: Option<String>,
}

/// A token for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAnswer {
    /// What the upstream wants to see with each request.
    pub authorization: ClientAuthorization,
    /// How long it is good: 60 s at least, since nobody means less (Docker token specification).
    pub expires_in: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_shows_is_never_shown_on() {
        let password = Grant::Password {
            username: "robot".to_owned(),
            password: "hunter2".to_owned(),
        };
        let printed = format!("{password:?} {:?}", Grant::RefreshToken("hunter2".into()));
        assert!(!printed.contains("hunter2") && !printed.contains("robot"));
    }
}
