//! In whose name a request is answered, and what is told to who must say so first.

use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::Scheme;

use super::answered::Answered;
use super::endpoints::Question;
use super::{RegistryApi, host};
use crate::mirror::Asker;
use crate::oci::Endpoint;
use crate::server::access::{self, Asks, Identified, Served, TokenRealm, Told};
use crate::server::errors;
use crate::server::route::Route;

/// Why a token is not taken.
const BAD_TOKEN: &str = "the token is none of this mirror's for this upstream, or has expired";
/// Why the base endpoint refuses.
const SAY_WHO: &str = "authentication required";

impl RegistryApi {
    /// Answers a GET or HEAD that has a route, in the name of who asks.
    pub(super) async fn admit(&self, request: &Parts, route: &Route) -> Answered {
        let identified = match self.access.identify(&request.headers, route).await {
            Ok(identified) => identified,
            Err(two) => return Answered::bad_request(&two.to_string()),
        };
        let asker = match identified {
            Identified::As(asker) => Some(asker),
            Identified::Refused => None,
        };
        let Served::AsThemselves(realm) = route.served else {
            return match asker {
                Some(asker) => self.ask(request, route, &asker).await,
                None => Answered::unauthorized(BAD_TOKEN),
            };
        };
        let mut answered = match &asker {
            None => Answered::unauthorized(BAD_TOKEN),
            Some(asker) if route.endpoint == Endpoint::Base => {
                self.base(request, route, asker).await
            }
            Some(asker) => self.ask(request, route, asker).await,
        };
        let status = answered.response.status();
        let by_nobody = matches!(asker, Some(Asker::Nobody));
        // Some token servers refuse nobody outright; who has not said yet who it is must hear that it can.
        let to_be_told =
            status == StatusCode::UNAUTHORIZED || (status == StatusCode::FORBIDDEN && by_nobody);
        if to_be_told {
            self.tell(request, route, asker.as_ref(), realm, &mut answered)
                .await;
        }
        answered
    }

    async fn ask(&self, request: &Parts, route: &Route, asker: &Asker) -> Answered {
        let question = Question {
            mirror: &self.mirror,
            request,
            route,
            asker,
            rate_limited: self.policy.rate_limited,
        };
        question.answer().await
    }

    /// The base endpoint of an upstream whose clients are served as themselves: docker and podman learn here how to sign
    /// in, and here alone whether a name and a password are right.
    async fn base(&self, request: &Parts, route: &Route, asker: &Asker) -> Answered {
        let is_refused = match asker {
            Asker::Client(client) if is_basic(client.authorization.expose()) => {
                let shown = &client.authorization;
                self.access.turns_away(&route.upstream, shown).await
            }
            Asker::Client(_) | Asker::Mirror => false,
            // An envelope that says nobody is something to show, too.
            Asker::Nobody if shows_bearer(request) => false,
            Asker::Nobody => match self.access.asks(&route.upstream).await {
                Asks::For(_) => true,
                Asks::Nothing => false,
                // Where there is nobody to send it to, what is public is served without.
                Asks::Unknown => {
                    matches!(route.served, Served::AsThemselves(TokenRealm::Mirror))
                }
            },
        };
        if is_refused {
            Answered::unauthorized(SAY_WHO)
        } else {
            self.ask(request, route, asker).await
        }
    }

    /// Adds the challenge to a refusal, which is a 401 then.
    async fn tell(
        &self,
        request: &Parts,
        route: &Route,
        asker: Option<&Asker>,
        realm: TokenRealm,
        answered: &mut Answered,
    ) {
        let Some(own_url) = self.access.own_url(scheme(request), host(request)) else {
            return;
        };
        let scope = |name: &str| format!("repository:{name}:pull");
        let of_all = matches!(route.endpoint, Endpoint::Catalog);
        let catalog = || of_all.then(|| "registry:catalog:*".to_owned());
        let written = route.written.as_deref().map(scope).or_else(catalog);
        let upstreams = route.endpoint.repository();
        let upstreams = upstreams.map(|it| scope(it.as_str())).or_else(catalog);
        let told = Told {
            upstream: &route.upstream,
            own_url: &own_url,
            scope: written.as_deref(),
            upstreams_scope: upstreams.as_deref(),
        };
        let asks = self.access.asks(&route.upstream).await;
        let challenge = access::challenge(asker, realm, &asks, &told);
        let line = challenge.and_then(|it| HeaderValue::from_str(&it.to_string()).ok());
        let Some(line) = line else {
            return;
        };
        if answered.response.status() != StatusCode::UNAUTHORIZED {
            let reason = answered.error.clone();
            let reason = reason.unwrap_or_else(|| SAY_WHO.to_owned());
            let code = crate::oci::ErrorCode::Unauthorized;
            answered.response = errors::coded(code, &reason);
        }
        answered
            .response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, line);
    }
}

/// By which scheme the client came.
fn scheme(request: &Parts) -> &Scheme {
    request.extensions.get().unwrap_or(&Scheme::HTTP)
}

fn is_basic(shown: &HeaderValue) -> bool {
    shown.as_bytes().starts_with(b"Basic ")
}

fn shows_bearer(request: &Parts) -> bool {
    let shown = request.headers.get(http::header::AUTHORIZATION);
    let scheme = shown.and_then(|value| value.as_bytes().get(..7));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}
