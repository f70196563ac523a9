//! How we show who we are: what to send unasked, and how to meet a challenge.
//!
//! Credentials go to the upstream's own origin (Basic) or to an admitted token realm (Bearer),
//! and nowhere else. A challenge from a redirect target is met as nobody.

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::Url;

use super::realm::{self, BadRealm};
use super::settings::{BuildError, Credentials, Settings};
use super::token::{self, TokenKey, Tokens};
use super::watch::Question;
use super::wire::Wire;
use super::{ErrorKind, UpstreamError};
use crate::oci::{Challenge, Scheme};

/// Our standing with one upstream.
#[derive(Debug)]
pub(super) struct Access {
    upstream: Url,
    /// `Basic ...`, if we have an account.
    credentials: Option<HeaderValue>,
    listed: Vec<String>,
    tokens: Tokens,
    /// The upstream asked for Basic and took it: send it unasked from then on.
    basic: AtomicBool,
}

impl Access {
    pub(super) fn new(settings: &Settings) -> Result<Self, BuildError> {
        Ok(Self {
            upstream: settings.url.clone(),
            credentials: basic(&settings.credentials)?,
            listed: settings.realms.clone(),
            tokens: Tokens::new(),
            basic: AtomicBool::new(false),
        })
    }

    /// What to send unasked with a request of this scope.
    pub(super) async fn known(&self, scope: &str) -> Option<HeaderValue> {
        if let Some(token) = self.tokens.get(&key(&self.upstream, scope)).await {
            return Some(token.header);
        }
        let basic = self.basic.load(Ordering::Relaxed);
        self.credentials.clone().filter(|_| basic)
    }

    /// Drops what was sent and not accepted.
    pub(super) async fn forget(&self, scope: &str, refused: &HeaderValue) {
        if self.credentials.as_ref() == Some(refused) {
            self.basic.store(false, Ordering::Relaxed);
        } else {
            self.tokens
                .forget(&key(&self.upstream, scope), refused)
                .await;
        }
    }

    /// What to send to meet the upstream's own challenges, Bearer before Basic. `None`: nothing
    /// that we have meets them.
    pub(super) async fn meet(
        &self,
        wire: &Wire,
        place: &str,
        challenges: &[Challenge],
        scope: &str,
        question: &Question<'_>,
    ) -> Result<Option<HeaderValue>, UpstreamError> {
        let credentials = self.credentials.as_ref();
        if let Some(bearer) = find(challenges, &Scheme::Bearer) {
            let realm = realm::admit(&self.upstream, &self.listed, bearer.realm())
                .map_err(|bad| UpstreamError::because(kind(&bad), place, bad.to_string()))?;
            let service = bearer.service();
            let fetch = token::fetch(wire, &realm, service, scope, credentials, question);
            let token = self
                .tokens
                .obtain(key(&self.upstream, scope), fetch)
                .await?;
            return Ok(Some(token.header));
        }
        let basic = find(challenges, &Scheme::Basic).and(credentials);
        self.basic.store(basic.is_some(), Ordering::Relaxed);
        Ok(basic.cloned())
    }

    /// What to send to meet the challenges of a redirect target, as nobody: a token given to
    /// anyone, from a realm that belongs to the target, for the scope that the target names.
    pub(super) async fn meet_as_nobody(
        &self,
        wire: &Wire,
        target: &Url,
        challenges: &[Challenge],
        question: &Question<'_>,
    ) -> Result<Option<HeaderValue>, UpstreamError> {
        let Some(bearer) = find(challenges, &Scheme::Bearer) else {
            return Ok(None);
        };
        let Ok(mut realm) = realm::admit(target, &[], bearer.realm()) else {
            return Ok(None);
        };
        realm.declared = false;
        realm.is_own = false;
        let scope = bearer.scope().unwrap_or_default();
        let fetch = token::fetch(wire, &realm, bearer.service(), scope, None, question);
        let token = self.tokens.obtain(key(target, scope), fetch).await?;
        Ok(Some(token.header))
    }

    /// Drops a token that a redirect target did not accept.
    pub(super) async fn forget_as_nobody(
        &self,
        target: &Url,
        challenges: &[Challenge],
        refused: &HeaderValue,
    ) {
        let scope = find(challenges, &Scheme::Bearer).and_then(Challenge::scope);
        let key = key(target, scope.unwrap_or_default());
        self.tokens.forget(&key, refused).await;
    }
}

fn find<'a>(challenges: &'a [Challenge], scheme: &Scheme) -> Option<&'a Challenge> {
    challenges
        .iter()
        .find(|challenge| challenge.scheme() == scheme)
}

fn key(target: &Url, scope: &str) -> TokenKey {
    TokenKey {
        origin: target.origin().ascii_serialization(),
        scope: scope.to_owned(),
    }
}

/// A challenge that makes no sense is the upstream's fault, a realm elsewhere is our refusal.
fn kind(bad: &BadRealm) -> ErrorKind {
    match bad {
        BadRealm::Missing | BadRealm::Malformed => ErrorKind::Protocol,
        BadRealm::Insecure | BadRealm::Elsewhere(_) => ErrorKind::Refused,
    }
}

/// The header for Basic authentication (RFC 7617). A user name cannot hold a colon.
fn basic(credentials: &Credentials) -> Result<Option<HeaderValue>, BuildError> {
    let Credentials::Own { username, password } = credentials else {
        return Ok(None);
    };
    if username.contains(':') {
        return Err(BuildError::Credentials);
    }
    let pair = STANDARD.encode(format!("{username}:{password}"));
    let mut header =
        HeaderValue::try_from(format!("Basic {pair}")).map_err(|_| BuildError::Credentials)?;
    header.set_sensitive(true);
    Ok(Some(header))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn own(username: &str) -> Credentials {
        Credentials::Own {
            username: username.into(),
            password: "open sesame".into(),
        }
    }

    #[test]
    fn basic_credentials_are_encoded_and_never_printed() {
        let header = basic(&own("Aladdin")).unwrap().unwrap();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(!format!("{header:?}").contains("QWxh"));
        assert!(basic(&own("a:b")).is_err());
        assert!(basic(&Credentials::Anonymous).unwrap().is_none());
    }
}
