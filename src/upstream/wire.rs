//! One request, one answer: time-outs, counting, and the choice of the client by who named the
//! host. What the answer means is not known here.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::{Instant, timeout};
use url::Url;

use super::address::literal;
use super::answer::Answer;
use super::client::Clients;
use super::fault;
use super::metrics::{Kind, Meter};
use super::reach::{OnlyPrivate, Reach};
use super::redirect::{same_host, same_origin};
use super::settings::{BuildError, Settings};
use super::watch::Question;
use super::{ErrorKind, Phase, UpstreamError};

/// One request to send.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) kind: Kind,
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) headers: HeaderMap,
    /// What is sent as a form (`application/x-www-form-urlencoded`): token requests alone have one.
    pub(super) form: Option<Bytes>,
    /// The owner of the mirror named this host. The upstream's own host always counts as named.
    pub(super) declared: bool,
    /// Who is to learn how it goes, if it goes to the upstream itself or to its own realm. Of others nothing is learnt.
    pub(super) question: Option<&'a Question<'a>>,
}

/// The line to one upstream and to those it sends us to.
#[derive(Debug)]
pub(super) struct Wire {
    name: String,
    upstream: Url,
    reach: Reach,
    clients: Clients,
    header: Duration,
    idle: Duration,
    meter: Meter,
}

impl Wire {
    pub(super) fn new(settings: &Settings, meter: Meter) -> Result<Self, BuildError> {
        let reach = Reach::new(settings.private_redirects, &settings.url);
        Ok(Self {
            name: settings.name.clone(),
            upstream: settings.url.clone(),
            clients: Clients::new(&reach, settings)?,
            reach,
            header: settings.timeouts.header,
            idle: settings.timeouts.idle,
            meter,
        })
    }

    /// Sends a request and waits for the headers of the answer, whatever its status.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, UpstreamError> {
        let waiting = call.question.map(|it| it.begins(call.kind, call.method));
        let result = match self.once(call).await {
            // A kept connection may be closed by the other side in the moment that we use it.
            // All our requests may be repeated; a second one finds or makes another connection.
            Err(error) if *error.kind() == ErrorKind::Cut => self.once(call).await,
            result => result,
        };
        if let Some(waiting) = waiting {
            match &result {
                Ok(answer) => waiting.answered(answer),
                Err(error) => waiting.failed(error.kind()),
            }
        }
        result
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answer, UpstreamError> {
        let place = self.place(call.kind, call.method, call.url);
        let client = if call.declared || same_host(&self.upstream, call.url) {
            &self.clients.declared
        } else if literal(call.url).is_none_or(|address| self.reach.allows(address)) {
            &self.clients.foreign
        } else {
            let cause = OnlyPrivate.to_string();
            return Err(UpstreamError::because(ErrorKind::Refused, &place, cause));
        };
        let mut request = reqwest::Request::new(call.method.clone(), call.url.clone());
        request.headers_mut().extend(call.headers.clone());
        if let Some(form) = &call.form {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form_type);
            *request.body_mut() = Some(form.clone().into());
        }

        let began = Instant::now();
        let (kind, cause) = match timeout(self.header, client.execute(request)).await {
            Ok(Ok(response)) => {
                let status = response.status();
                self.meter.request(call.kind, status.as_str());
                self.meter.head(call.kind, began.elapsed());
                let received = self.meter.received(call.kind);
                return Ok(Answer::new(response, place, self.idle, received));
            }
            Ok(Err(error)) => (fault::of_request(&error), Some(fault::cause(&error))),
            Err(_) => (ErrorKind::Timeout(Phase::Header), None),
        };
        self.meter.request(call.kind, kind.word());
        Err(match cause {
            Some(cause) => UpstreamError::because(kind, &place, cause),
            None => UpstreamError::new(kind, place),
        })
    }

    /// Where a request goes, for people. The query stays out: it may be a signature. So does the path of a
    /// redirect target, where some registries keep theirs.
    pub(super) fn place(&self, kind: Kind, method: &Method, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}"));
        let port = port.unwrap_or_default();
        let api = same_origin(&self.upstream, url) && url.path().starts_with("/v2/");
        let path = if api || kind == Kind::Token {
            url.path()
        } else {
            "/..."
        };
        format!("{}: {method} {host}{port}{path}", self.name)
    }
}
