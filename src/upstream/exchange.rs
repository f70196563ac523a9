//! One question to an upstream, with all that it may take: a challenge and its token, redirects,
//! a signed URL that has just expired. Every step is bounded in number; nothing here loops on
//! the word of the other side.

use http::header::{ACCEPT, AUTHORIZATION, LOCATION, RANGE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::access::Access;
use super::answer::Answer;
use super::metrics::{Kind, Metrics};
use super::redirect::{BadRedirect, MAX_HOPS, is_redirect, next_hop, same_origin};
use super::settings::{BuildError, Settings};
use super::watch::{Question, Watch};
use super::wire::{Call, Wire};
use super::{Standing, UpstreamError};
use crate::oci::{Challenge, Endpoint, RangeSpec};

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
}

impl Exchange {
    pub(super) fn new(settings: &Settings, metrics: &Metrics) -> Result<Self, BuildError> {
        let meter = metrics.meter(&settings.name);
        Ok(Self {
            upstream: settings.url.clone(),
            wire: Wire::new(settings, meter.clone())?,
            access: Access::new(settings)?,
            watch: Watch::new(&settings.name, settings.rate_reserve, meter),
        })
    }

    /// See [`Registry::standing`](super::Registry::standing).
    pub(super) fn standing(&self) -> Standing {
        self.watch.standing()
    }

    /// Asks, and gives the last answer, which is neither a redirect nor a challenge that we could
    /// have met. Where asking is known to be vain it fails at once.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer, UpstreamError> {
        let question = self.watch.enter(ask.kind, &ask.method).map_err(|kind| {
            let place = self.wire.place(ask.kind, &ask.method, &ask.url);
            UpstreamError::because(kind, &place, "not asked this time")
        })?;
        let result = self.ask_to_the_end(ask, &question).await;
        question.ends(result.as_ref().err());
        result
    }

    async fn ask_to_the_end(
        &self,
        ask: &Ask,
        question: &Question<'_>,
    ) -> Result<Answer, UpstreamError> {
        let answer = self.ask_known(ask, question).await?;
        // A redirect target that refuses us most often means a signed URL past its time; the
        // upstream is asked for another. HEAD is left alone: such URLs may be for GET only.
        let refused = matches!(answer.status(), 401 | 403 | 410) && *answer.url() != ask.url;
        if refused && ask.method == Method::GET {
            return self.ask_known(ask, question).await;
        }
        Ok(answer)
    }

    /// Asks as who we are, meeting the upstream's challenge if there is one.
    async fn ask_known(&self, ask: &Ask, question: &Question<'_>) -> Result<Answer, UpstreamError> {
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
        let (wire, place) = (&self.wire, answer.place());
        let access = &self.access;
        let met = access.meet(wire, place, &challenges, &ask.scope, question);
        let Some(authorization) = met.await? else {
            return Ok(answer);
        };
        let answer = self.follow(ask, Some(&authorization), question).await?;
        if self.challenges_us(&answer) {
            self.access.forget(&ask.scope, &authorization).await;
        }
        Ok(answer)
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
        let mut url = self.upstream.clone();
        url.set_path(&Endpoint::Base.path());
        let call = Call {
            kind: Kind::Ping,
            method: &Method::GET,
            url: &url,
            headers: HeaderMap::new(),
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
