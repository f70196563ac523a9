//! Bearer tokens: asking a realm for one, and remembering it until it expires.
//!
//! For each origin and scope at most one request for a token is under way; everybody else who
//! needs that token waits for it. A request that fails is not remembered.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use moka::Expiry;
use moka::future::Cache;
use moka::ops::compute::Op;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::identity::Identity;
use super::metrics::Kind;
use super::realm::Realm;
use super::redirect::{BadRedirect, MAX_HOPS, is_redirect, next_hop, same_origin};
use super::watch::Question;
use super::wire::{Call, Wire};
use super::{ErrorKind, UpstreamError, failure};

/// A token body beyond this is not read.
const BODY_LIMIT: usize = 64 * 1024;

/// No token is believed to be good for longer, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// How many tokens are remembered for one upstream: one for each repository in use.
const CAPACITY: u64 = 10_000;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    /// Scheme, host and port of whom it is sent to.
    pub(super) origin: String,
    /// What it allows, as asked.
    pub(super) scope: String,
}

/// What a realm is asked for.
#[derive(Debug)]
pub(super) struct TokenAsk<'a> {
    /// As the challenge names it. An absent service is left out: some realms take an empty one for a name.
    pub(super) service: Option<&'a str>,
    /// The rights wanted (`repository:library/alpine:pull`); there may be none.
    pub(super) scopes: Vec<&'a str>,
    /// Who wants it; `None` for nobody.
    pub(super) identity: Option<&'a Identity>,
    /// What else the one who asks said of itself: `account`, `client_id`.
    pub(super) more: Vec<(&'static str, &'a str)>,
}

impl<'a> TokenAsk<'a> {
    /// For one scope (none if it is empty), as nobody.
    pub(super) fn of(scope: &'a str) -> Self {
        Self {
            service: None,
            scopes: Some(scope)
                .filter(|it| !it.is_empty())
                .into_iter()
                .collect(),
            identity: None,
            more: Vec::new(),
        }
    }

    /// Puts it into the form that the identity needs: a token in place of a password is posted and never in a URL
    /// (Docker token specification, "oauth2").
    fn put(&self, url: &mut Url) -> (Method, HeaderMap, Option<Bytes>) {
        let mut headers = HeaderMap::new();
        if let Some(Identity::Refresh(secret)) = self.identity {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", secret)
                .extend_pairs(self.service.map(|service| ("service", service)))
                .append_pair("scope", &self.scopes.join(" "))
                .extend_pairs(&self.more);
            if !self.more.iter().any(|(name, _)| *name == "client_id") {
                form.append_pair("client_id", "roadstead");
            }
            return (Method::POST, headers, Some(form.finish().into()));
        }
        let scopes = self.scopes.iter().map(|scope| ("scope", *scope));
        let pairs: Vec<_> = self
            .service
            .map(|service| ("service", service))
            .into_iter()
            .chain(scopes)
            .chain(self.more.iter().copied())
            .collect();
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let shown = self.identity.and_then(Identity::header).cloned();
        headers.extend(shown.map(|shown| (AUTHORIZATION, shown)));
        (Method::GET, headers, None)
    }
}

/// A token, ready to be sent. It is never printed.
#[derive(Clone)]
pub(super) struct Token {
    /// The value of `Authorization`.
    pub(super) header: HeaderValue,
    /// How long it is good, from now, as its realm said: 60 s at least, which is also the default.
    pub(super) expires_in: Duration,
    /// How long it is used, from now.
    lifetime: Duration,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token {{ lifetime: {:?}, .. }}", self.lifetime)
    }
}

/// Whether the body of a realm's answer is a token: the parser alone, for who tries it on any bytes.
#[doc(hidden)]
pub fn reads_as_token(body: &[u8]) -> bool {
    Token::parse(body).is_some()
}

impl Token {
    /// Reads the body of a token answer (Docker token authentication specification, "Requesting
    /// a Token"): `token`, or its `OAuth2` name `access_token`.
    fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<serde_json::Value>,
        }

        let body: Body = serde_json::from_slice(body).ok()?;
        let named = [body.token, body.access_token].into_iter().flatten();
        let secret = named.into_iter().find(|text| !text.is_empty())?;
        let mut header = HeaderValue::try_from(format!("Bearer {secret}")).ok()?;
        header.set_sensitive(true);
        let expires_in = body.expires_in.and_then(|value| value.as_u64());
        let expires_in = expires_in.unwrap_or(60).clamp(60, DAY);
        let expires_in = Duration::from_secs(expires_in);
        Some(Self {
            header,
            expires_in,
            lifetime: lifetime(expires_in),
        })
    }
}

/// How long a token is used: the last tenth is left alone, for clocks and for requests on their way.
fn lifetime(expires_in: Duration) -> Duration {
    expires_in * 9 / 10
}

struct Lifetime;

impl Expiry<TokenKey, Token> for Lifetime {
    fn expire_after_create(&self, _: &TokenKey, token: &Token, _: Instant) -> Option<Duration> {
        Some(token.lifetime)
    }
}

/// The tokens in use.
#[derive(Debug)]
pub(super) struct Tokens(Cache<TokenKey, Token>);

impl Tokens {
    pub(super) fn new() -> Self {
        let cache = Cache::builder().max_capacity(CAPACITY);
        Self(cache.expire_after(Lifetime).build())
    }

    /// A token that is still good, as far as we know.
    pub(super) async fn get(&self, key: &TokenKey) -> Option<Token> {
        self.0.get(key).await
    }

    /// The token for `key`, fetched if there is none. Of many who ask at a time, one fetches.
    pub(super) async fn obtain(
        &self,
        key: TokenKey,
        fetch: impl Future<Output = Result<Token, UpstreamError>>,
    ) -> Result<Token, UpstreamError> {
        let result = self.0.try_get_with(key, fetch).await;
        result.map_err(|error| (*error).clone())
    }

    /// Drops a token that was not accepted, unless another has taken its place meanwhile.
    pub(super) async fn forget(&self, key: &TokenKey, refused: &HeaderValue) {
        let entry = self.0.entry_by_ref(key);
        entry
            .and_compute_with(|entry| {
                let same = entry.is_some_and(|entry| entry.value().header == *refused);
                std::future::ready(if same { Op::Remove } else { Op::Nop })
            })
            .await;
    }
}

/// Asks a realm for a token. The identity goes to that realm's origin and nowhere else: a
/// redirect that leaves it is refused.
pub(super) async fn fetch(
    wire: &Wire,
    realm: &Realm,
    ask: &TokenAsk<'_>,
    question: &Question<'_>,
) -> Result<Token, UpstreamError> {
    let mut url = realm.url.clone();
    let (method, headers, form) = ask.put(&mut url);
    for _ in 0..=MAX_HOPS {
        let call = Call {
            kind: Kind::Token,
            method: &method,
            url: &url,
            headers: headers.clone(),
            form: form.clone(),
            declared: realm.declared,
            question: realm.is_own.then_some(question),
        };
        let answer = wire.send(&call).await?;
        let refuse = |bad: BadRedirect| answer.error(bad.kind(), bad.to_string());
        match answer.status() {
            200 => {
                let place = answer.place().to_owned();
                let body = answer.note(BODY_LIMIT).await?;
                return Token::parse(&body).ok_or_else(|| {
                    UpstreamError::because(ErrorKind::Protocol, &place, "no token in the answer")
                });
            }
            status if is_redirect(status) => {
                let next = next_hop(&url, answer.header(&LOCATION)).map_err(refuse)?;
                if !same_origin(&url, &next) {
                    return Err(refuse(BadRedirect::TokenElsewhere));
                }
                url = next;
            }
            // That the realm is not there says nothing about what we wanted the token for.
            404 => return Err(answer.error(ErrorKind::Status(404), "no such token realm")),
            _ => return Err(failure::of_answer(answer).await),
        }
    }
    let place = wire.place(Kind::Token, &method, &realm.url);
    let bad = BadRedirect::TooMany;
    Err(UpstreamError::because(bad.kind(), &place, bad.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn header(body: &str) -> Option<String> {
        let token = Token::parse(body.as_bytes())?;
        Some(token.header.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_token_is_read_under_both_names() {
        assert_eq!(header(r#"{"token":"a"}"#).unwrap(), "Bearer a");
        assert_eq!(header(r#"{"access_token":"b"}"#).unwrap(), "Bearer b");
        assert_eq!(
            header(r#"{"token":"a","access_token":"b"}"#).unwrap(),
            "Bearer a"
        );
        assert_eq!(
            header(r#"{"token":"","access_token":"b"}"#).unwrap(),
            "Bearer b"
        );
    }

    #[test]
    fn what_holds_no_token_is_refused() {
        for body in ["", "<html>", "{}", r#"{"token":""}"#, r#"{"token":"a\nb"}"#] {
            assert_eq!(header(body), None, "{body}");
        }
    }

    #[test]
    fn a_token_is_used_for_nine_tenths_of_its_life() {
        let seconds = |body: &str| Token::parse(body.as_bytes()).unwrap().lifetime.as_secs();
        assert_eq!(seconds(r#"{"token":"a"}"#), 54);
        assert_eq!(seconds(r#"{"token":"a","expires_in":1}"#), 54);
        assert_eq!(seconds(r#"{"token":"a","expires_in":300}"#), 270);
        assert_eq!(seconds(r#"{"token":"a","expires_in":"odd"}"#), 54);
        assert_eq!(
            seconds(r#"{"token":"a","expires_in":18446744073709551615}"#),
            77_760
        );
    }

    #[test]
    fn a_token_is_not_printed() {
        let token = Token::parse(br#"{"token":"s3cret"}"#).unwrap();
        assert!(!format!("{token:?} {:?}", token.header).contains("s3cret"));
    }

    #[tokio::test]
    async fn only_the_refused_token_is_forgotten() {
        let tokens = Tokens::new();
        let key = TokenKey {
            origin: "https://r.example".into(),
            scope: "repository:a:pull".into(),
        };
        let put = async |body: &str| {
            let token = Token::parse(body.as_bytes()).unwrap();
            tokens
                .obtain(key.clone(), async { Ok(token) })
                .await
                .unwrap()
        };
        let first = put(r#"{"token":"first"}"#).await;
        tokens.forget(&key, &first.header).await;
        assert!(tokens.get(&key).await.is_none());

        let second = put(r#"{"token":"second"}"#).await;
        tokens.forget(&key, &first.header).await;
        assert_eq!(tokens.get(&key).await.unwrap().header, second.header);
    }
}
