//! One question to an upstream, with all that it may take: a challenge and its token, redirects,
//! a signed URL that has just expired. Every step is bounded in number; nothing here loops on
//! the word of the other side.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, LOCATION, RANGE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};
use moka::future::Cache;
use tokio::time::Instant;
use url::Url;

use super::access::{self, Access};
use super::answer::Answer;
use super::failure;
use super::identity::Identity;
use super::metrics::{Kind, Metrics};
use super::redirect::{BadRedirect, MAX_HOPS, is_redirect, next_hop, same_origin};
use super::settings::{BuildError, Settings};
use super::token::{self, TokenAsk};
use super::token_request::{Grant, TokenAnswer, TokenRequest};
use super::watch::{Question, Watch};
use super::wire::{Call, Wire};
use super::{ClientAuthorization, ErrorKind, Standing, UpstreamError};
use crate::oci::{Challenge, Endpoint, RangeSpec, Scheme};

/// How long what the upstream asks for is believed to stay that.
const REMEMBERED: Duration = Duration::from_mins(5);

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) kind: Kind,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: HeaderValue,
    pub(super) range: Option<RangeSpec>,
    /// What a token must allow (`repository:library/alpine:pull`).
    pub(super) scope: String,
}

/// The way to ask one upstream.
#[derive(Debug)]
pub(super) struct Exchange {
    upstream: Url,
    wire: Wire,
    access: Access,
    watch: Watch,
    /// What the upstream asks of those who want to read, as last seen.
    asked_for: Cache<(), Option<Challenge>>,
}

impl Exchange {
    pub(super) fn new(settings: &Settings, metrics: &Metrics) -> Result<Self, BuildError> {
        let meter = metrics.meter(&settings.name);
        Ok(Self {
            upstream: settings.url.clone(),
            wire: Wire::new(settings, meter.clone())?,
            access: Access::new(settings)?,
            watch: Watch::new(&settings.name, settings.rate_reserve, meter),
            asked_for: Cache::builder()
                .max_capacity(1)
                .time_to_live(REMEMBERED)
                .build(),
        })
    }

    /// See [`Registry::standing`](super::Registry::standing).
    pub(super) fn standing(&self) -> Standing {
        self.watch.standing()
    }

    /// Asks, and gives the last answer, which is neither a redirect nor a challenge that we could
    /// have met. Where asking is known to be vain it fails at once.
    ///
    /// `client` is what a client shows: then nothing of ours is shown in its place, and a challenge is final.
    pub(super) async fn ask(
        &self,
        ask: &Ask,
        client: Option<&HeaderValue>,
    ) -> Result<Answer, UpstreamError> {
        let question = self.enter(ask, client.is_none())?;
        let result = self.ask_to_the_end(ask, client, &question).await;
        question.ends(result.as_ref().err());
        result
    }

    /// What the upstream asks of those who want to read; see [`Registry::challenge`](super::Registry::challenge).
    pub(super) async fn challenge(
        &self,
        client: Option<&HeaderValue>,
    ) -> Result<Option<Challenge>, UpstreamError> {
        if client.is_some() {
            return self.ping(client).await;
        }
        let ping = Box::pin(self.ping(None));
        let asked_for = self.asked_for.try_get_with((), ping).await;
        asked_for.map_err(|error| (*error).clone())
    }

    /// Asks the upstream's realm for a token; see [`Registry::token`](super::Registry::token).
    pub(super) async fn token(&self, request: &TokenRequest) -> Result<TokenAnswer, UpstreamError> {
        let ask = self.base(Kind::Token);
        let place = self.wire.place(Kind::Ping, &ask.method, &ask.url);
        let challenge = self.challenge(None).await?;
        let Some(bearer) = challenge.filter(|it| *it.scheme() == Scheme::Bearer) else {
            let kind = ErrorKind::NotFound { code: None };
            return Err(UpstreamError::because(kind, &place, "it names no realm"));
        };
        let realm = self.access.realm(&place, &bearer)?;
        let identity = match &request.grant {
            Grant::Nobody => None,
            Grant::Password { username, password } => {
                let identity = Identity::basic(username, password);
                let unspeakable = || UpstreamError::new(ErrorKind::Unauthorized, &*place);
                Some(identity.ok_or_else(unspeakable)?)
            }
            Grant::RefreshToken(token) => Some(Identity::Refresh(token.clone())),
        };
        let client_id = request.client_id.as_deref();
        let wanted = TokenAsk {
            service: bearer.service(),
            scopes: request.scopes.iter().map(String::as_str).collect(),
            identity: identity.as_ref(),
            more: client_id.map(|it| ("client_id", it)).into_iter().collect(),
        };
        let question = self.enter(&ask, false)?;
        let token = token::fetch(&self.wire, &realm, &wanted, &question).await;
        question.ends(token.as_ref().err());
        let token = token?;
        Ok(TokenAnswer {
            authorization: ClientAuthorization::of(token.header),
            expires_in: token.expires_in,
        })
    }

    fn enter(&self, ask: &Ask, is_ours: bool) -> Result<Question<'_>, UpstreamError> {
        let entered = self.watch.enter(ask.kind, &ask.method, is_ours);
        entered.map_err(|kind| {
            let place = self.wire.place(ask.kind, &ask.method, &ask.url);
            UpstreamError::because(kind, &place, "not asked this time")
        })
    }

    /// A question to the base endpoint.
    fn base(&self, kind: Kind) -> Ask {
        let mut url = self.upstream.clone();
        url.set_path(&Endpoint::Base.path());
        Ask {
            kind,
            method: Method::GET,
            url,
            accept: HeaderValue::from_static("*/*"),
            range: None,
            scope: String::new(),
        }
    }

    /// Asks the base endpoint what it asks for; `None` when it is content with what it was shown.
    async fn ping(&self, shown: Option<&HeaderValue>) -> Result<Option<Challenge>, UpstreamError> {
        let ask = self.base(Kind::Ping);
        let question = self.enter(&ask, shown.is_none())?;
        let answer = self.follow(&ask, shown, &question).await;
        question.ends(answer.as_ref().err());
        let answer = answer?;
        match answer.status() {
            401 if self.is_own(answer.url()) => Ok(access::chosen(&challenges_of(&answer))),
            200 => Ok(None),
            _ => Err(failure::of_answer(answer).await),
        }
    }

    /// Remembers what the upstream asked for.
    async fn learn(&self, challenges: &[Challenge]) {
        if let Some(challenge) = access::chosen(challenges) {
            self.asked_for.insert((), Some(challenge)).await;
        }
    }

    async fn ask_to_the_end(
        &self,
        ask: &Ask,
        client: Option<&HeaderValue>,
        question: &Question<'_>,
    ) -> Result<Answer, UpstreamError> {
        let answer = self.ask_once(ask, client, question).await?;
        // A redirect target that refuses us most often means a signed URL past its time; the
        // upstream is asked for another. HEAD is left alone: such URLs may be for GET only.
        let refused = matches!(answer.status(), 401 | 403 | 410) && *answer.url() != ask.url;
        if refused && ask.method == Method::GET {
            return self.ask_once(ask, client, question).await;
        }
        Ok(answer)
    }

    /// Asks as the client, or as who we are.
    async fn ask_once(
        &self,
        ask: &Ask,
        client: Option<&HeaderValue>,
        question: &Question<'_>,
    ) -> Result<Answer, UpstreamError> {
        if client.is_none() {
            return self.ask_known(ask, question).await;
        }
        let answer = self.follow(ask, client, question).await?;
        if self.challenges_us(&answer) {
            self.learn(&challenges_of(&answer)).await;
        }
        Ok(answer)
    }

    /// Asks as who we are, meeting the upstream's challenge if there is one.
    async fn ask_known(&self, ask: &Ask, question: &Question<'_>) -> Result<Answer, UpstreamError> {
        let began = Instant::now();
        let known = self.access.known(&ask.scope).await;
        let mut answer = self.follow(ask, known.as_ref(), question).await?;
        if !self.challenges_us(&answer) {
            return Ok(answer);
        }
        if let Some(refused) = known {
            // The token has expired. A challenge to an expired token may name another realm than
            // the first one did, so ask again as if there had never been a token.
            self.access.forget(&ask.scope, &refused).await;
            answer = self.follow(ask, None, question).await?;
            if !self.challenges_us(&answer) {
                return Ok(answer);
            }
        }
        let challenges = self.challenges(&answer, question).await?;
        self.learn(&challenges).await;
        let (first, may_renew) = self.meet(ask, &answer, &challenges, question).await;
        let is_refused = match &first {
            Ok(met) => met.as_ref().is_some_and(|met| self.challenges_us(met)),
            Err(error) => *error.kind() == ErrorKind::Unauthorized,
        };
        let met = if is_refused && may_renew && self.access.refused(began).await {
            self.meet(ask, &answer, &challenges, question).await.0
        } else {
            first
        };
        Ok(met?.unwrap_or(answer))
    }

    /// Meets a challenge with what we have: the answer to that, or `None` if we have nothing. Also, whether it was
    /// tried at all.
    async fn meet(
        &self,
        ask: &Ask,
        answer: &Answer,
        challenges: &[Challenge],
        question: &Question<'_>,
    ) -> (Result<Option<Answer>, UpstreamError>, bool) {
        let (wire, place) = (&self.wire, answer.place());
        let access = &self.access;
        let met = access.meet(wire, place, challenges, &ask.scope, question);
        let authorization = match met.await {
            Ok(Some(authorization)) => authorization,
            Ok(None) => return (Ok(None), false),
            Err(error) => return (Err(error), true),
        };
        let answer = match self.follow(ask, Some(&authorization), question).await {
            Ok(answer) => answer,
            Err(error) => return (Err(error), false),
        };
        if self.challenges_us(&answer) {
            access.forget(&ask.scope, &authorization).await;
        }
        (Ok(Some(answer)), true)
    }

    /// Sends a request and follows redirects. Credentials stay with the origin that they are for
    /// and do not come back once the way has left it.
    async fn follow(
        &self,
        ask: &Ask,
        authorization: Option<&HeaderValue>,
        question: &Question<'_>,
    ) -> Result<Answer, UpstreamError> {
        let mut url = ask.url.clone();
        let mut authorization = authorization.cloned();
        for _ in 0..=MAX_HOPS {
            let mut answer = self
                .send(ask, &url, authorization.as_ref(), question)
                .await?;
            if answer.status() == 401 && !self.is_own(&url) {
                answer = self.ask_as_nobody(ask, &url, answer, question).await?;
            }
            if !is_redirect(answer.status()) {
                return Ok(answer);
            }
            let next = next_hop(&url, answer.header(&LOCATION))
                .map_err(|bad| answer.error(bad.kind(), bad.to_string()))?;
            if !same_origin(&url, &next) {
                authorization = None;
            }
            url = next;
        }
        let place = self.wire.place(ask.kind, &ask.method, &ask.url);
        let bad = BadRedirect::TooMany;
        Err(UpstreamError::because(bad.kind(), &place, bad.to_string()))
    }

    /// Meets the challenge of a redirect target once, without any credentials.
    async fn ask_as_nobody(
        &self,
        ask: &Ask,
        url: &Url,
        answer: Answer,
        question: &Question<'_>,
    ) -> Result<Answer, UpstreamError> {
        let challenges = challenges_of(&answer);
        let access = &self.access;
        let met = access.meet_as_nobody(&self.wire, url, &challenges, question);
        let Some(authorization) = met.await? else {
            return Ok(answer);
        };
        let answer = self.send(ask, url, Some(&authorization), question).await?;
        if answer.status() == 401 {
            access
                .forget_as_nobody(url, &challenges, &authorization)
                .await;
        }
        Ok(answer)
    }

    async fn send(
        &self,
        ask: &Ask,
        url: &Url,
        authorization: Option<&HeaderValue>,
        question: &Question<'_>,
    ) -> Result<Answer, UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, ask.accept.clone());
        let range = ask.range.and_then(|range| range.to_header().parse().ok());
        headers.extend(range.map(|range| (RANGE, range)));
        headers.extend(authorization.map(|value| (AUTHORIZATION, value.clone())));
        let call = Call {
            kind: ask.kind,
            method: &ask.method,
            url,
            headers,
            form: None,
            declared: false,
            question: self.is_own(url).then_some(question),
        };
        self.wire.send(&call).await
    }

    /// The challenges of a 401. One that brings none (old Google registries) is explained by the
    /// base endpoint, where registries must challenge.
    async fn challenges(
        &self,
        answer: &Answer,
        question: &Question<'_>,
    ) -> Result<Vec<Challenge>, UpstreamError> {
        let found = challenges_of(answer);
        if !found.is_empty() {
            return Ok(found);
        }
        let base = self.base(Kind::Ping);
        let call = Call {
            kind: base.kind,
            method: &base.method,
            url: &base.url,
            headers: HeaderMap::new(),
            form: None,
            declared: true,
            question: Some(question),
        };
        let answer = self.wire.send(&call).await?;
        // Some registries send challenges with other statuses too; they mean nothing there.
        Ok(if answer.status() == 401 {
            challenges_of(&answer)
        } else {
            Vec::new()
        })
    }

    /// Whether an answer is a challenge from the upstream itself.
    fn challenges_us(&self, answer: &Answer) -> bool {
        answer.status() == 401 && self.is_own(answer.url())
    }

    fn is_own(&self, url: &Url) -> bool {
        same_origin(&self.upstream, url)
    }
}

fn challenges_of(answer: &Answer) -> Vec<Challenge> {
    let values = answer.headers(&WWW_AUTHENTICATE);
    values.flat_map(Challenge::parse_all).collect()
}
