//! How we show who we are: what to send unasked, and how to meet a challenge.
//!
//! Credentials go to the upstream's own origin (Basic) or to an admitted token realm (Bearer),
//! and nowhere else. A challenge from a redirect target is met as nobody.

use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use tokio::time::Instant;
use url::Url;

use super::account::Account;
use super::realm::{self, BadRealm, Realm};
use super::settings::{BuildError, Settings};
use super::token::{self, TokenAsk, TokenKey, Tokens};
use super::watch::Question;
use super::wire::Wire;
use super::{ErrorKind, UpstreamError};
use crate::oci::{Challenge, Scheme};

/// Our standing with one upstream.
#[derive(Debug)]
pub(super) struct Access {
    upstream: Url,
    account: Account,
    listed: Vec<String>,
    tokens: Tokens,
    /// The upstream asked for Basic and took it: send it unasked from then on.
    basic: AtomicBool,
}

impl Access {
    pub(super) fn new(settings: &Settings) -> Result<Self, BuildError> {
        Ok(Self {
            upstream: settings.url.clone(),
            account: Account::new(&settings.credentials, &settings.url)?,
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
        if !self.basic.load(Ordering::Relaxed) {
            return None;
        }
        // A helper that fails is told of when the upstream asks.
        let identity = self.account.identity().await.ok()??;
        identity.header().cloned()
    }

    /// Drops what was sent and not accepted.
    pub(super) async fn forget(&self, scope: &str, refused: &HeaderValue) {
        if refused.as_bytes().starts_with(b"Basic ") {
            self.basic.store(false, Ordering::Relaxed);
        } else {
            self.tokens
                .forget(&key(&self.upstream, scope), refused)
                .await;
        }
    }

    /// The upstream did not take who we said we are, in a question that began at `began`. Returns whether to say it
    /// anew may help.
    pub(super) async fn refused(&self, began: Instant) -> bool {
        self.account.refused(began).await
    }

    /// The realm of a challenge from the upstream, if it may be asked.
    pub(super) fn realm(&self, place: &str, bearer: &Challenge) -> Result<Realm, UpstreamError> {
        realm::admit(&self.upstream, &self.listed, bearer.realm())
            .map_err(|bad| UpstreamError::because(kind(&bad), place, bad.to_string()))
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
        let identity = async || {
            let known = self.account.identity().await;
            known.map_err(|error| {
                UpstreamError::because(ErrorKind::Credentials, place, error.to_string())
            })
        };
        if let Some(bearer) = find(challenges, &Scheme::Bearer) {
            let realm = self.realm(place, bearer)?;
            let fetch = async {
                let identity = identity().await?;
                let ask = TokenAsk {
                    service: bearer.service(),
                    identity: identity.as_ref(),
                    ..TokenAsk::of(scope)
                };
                token::fetch(wire, &realm, &ask, question).await
            };
            let token = self
                .tokens
                .obtain(key(&self.upstream, scope), fetch)
                .await?;
            return Ok(Some(token.header));
        }
        let basic = match find(challenges, &Scheme::Basic) {
            Some(_) => identity().await?,
            None => None,
        };
        let basic = basic.and_then(|identity| identity.header().cloned());
        self.basic.store(basic.is_some(), Ordering::Relaxed);
        Ok(basic)
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
        let ask = TokenAsk {
            service: bearer.service(),
            ..TokenAsk::of(scope)
        };
        let fetch = token::fetch(wire, &realm, &ask, question);
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

/// The first challenge of a scheme.
fn find<'a>(challenges: &'a [Challenge], scheme: &Scheme) -> Option<&'a Challenge> {
    challenges
        .iter()
        .find(|challenge| challenge.scheme() == scheme)
}

/// The challenge that is met where there are several: Bearer before Basic. Others we know nothing of.
pub(super) fn chosen(challenges: &[Challenge]) -> Option<Challenge> {
    let bearer = find(challenges, &Scheme::Bearer);
    bearer.or_else(|| find(challenges, &Scheme::Basic)).cloned()
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
