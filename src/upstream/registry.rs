//! A real registry over HTTP: how each question of [`Registry`] is put, and what its answers say.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, LINK};
use http::{HeaderName, HeaderValue, Method};
use url::Url;

use super::answer::Answer;
use super::exchange::{Ask, Exchange};
use super::failure;
use super::link::next_query;
use super::metrics::{Kind, Metrics};
use super::part::{self, Head, Reading};
use super::referrers;
use super::settings::{BuildError, Credentials, Settings, check_url};
use super::{
    BlobBody, BlobHead, ClientAuthorization, ErrorKind, ListBody, Listing, ManifestBody,
    ManifestHead, Registry, Standing, TokenAnswer, TokenRequest, UpstreamError,
};
use crate::oci::{
    Accepts, Challenge, ContentRange, ContentRangeError, Digest, Endpoint, RangeSpec, Reference,
    Repository,
};

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const X_CHECKSUM_SHA256: HeaderName = HeaderName::from_static("x-checksum-sha256");
const MANIFEST_LIMIT: usize = 16 * 1024 * 1024;
const LIST_LIMIT: usize = 8 * 1024 * 1024;

/// One registry over HTTP. Cheap to share behind an `Arc`; it keeps connections and tokens.
#[derive(Debug)]
pub struct HttpRegistry {
    upstream: Url,
    exchange: Arc<Exchange>,
    /// A HEAD of a blob was refused where the GET was not: do not try it again.
    refuses_head: Arc<AtomicBool>,
    /// Clients may ask in their own name: not where we have an account, whose rights are everyone's.
    takes_clients: bool,
    /// In whose name it is asked, if not in ours.
    client: Option<ClientAuthorization>,
}

impl HttpRegistry {
    /// Sets an upstream up. Nothing is sent, no name is looked up: the mirror starts without a
    /// network.
    ///
    /// # Errors
    /// When the settings cannot be used at all.
    pub fn new(settings: &Settings, metrics: &Metrics) -> Result<Self, BuildError> {
        check_url(&settings.url)?;
        Ok(Self {
            upstream: settings.url.clone(),
            exchange: Arc::new(Exchange::new(settings, metrics)?),
            refuses_head: Arc::default(),
            takes_clients: settings.credentials == Credentials::Anonymous,
            client: None,
        })
    }

    /// What a client shows, if it is asked in its name.
    fn client(&self) -> Option<&HeaderValue> {
        self.client.as_ref().map(ClientAuthorization::expose)
    }

    fn ask(&self, kind: Kind, method: Method, endpoint: &Endpoint) -> Ask {
        let mut url = self.upstream.clone();
        url.set_path(&endpoint.path());
        Ask {
            kind,
            method,
            url,
            accept: HeaderValue::from_static("*/*"),
            range: None,
            scope: match endpoint.repository() {
                Some(repository) => format!("repository:{repository}:pull"),
                None => "registry:catalog:*".to_owned(),
            },
        }
    }

    /// Asks for a manifest and gives the answer if it is one.
    async fn manifest(
        &self,
        method: Method,
        repository: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<Answer, UpstreamError> {
        let endpoint = Endpoint::Manifest(repository.clone(), reference.clone());
        // By tag the types decide what is sent; by digest they could only get in the way.
        let taken = match reference {
            Reference::Tag(_) => accepts,
            Reference::Digest(_) => Accepts::EVERYTHING,
        };
        let ask = Ask {
            accept: accept(&taken.header()),
            ..self.ask(Kind::Manifest, method, &endpoint)
        };
        ok(self.exchange.ask(&ask, self.client()).await?).await
    }

    fn blob(&self, method: Method, repository: &Repository, digest: &Digest) -> Ask {
        let endpoint = Endpoint::Blob(repository.clone(), digest.clone());
        self.ask(Kind::Blob, method, &endpoint)
    }

    /// The size of a blob by way of its first byte. What comes of the body is dropped, and with
    /// it the connection, if the upstream sends more than that byte.
    async fn probe_blob(&self, ask: Ask) -> Result<BlobHead, UpstreamError> {
        let ask = Ask {
            method: Method::GET,
            range: Some(RangeSpec::FromTo(0, 0)),
            ..ask
        };
        let answer = self.exchange.ask(&ask, self.client()).await?;
        let size = match (answer.status(), content_range(&answer)) {
            (206, Some(Ok(range))) => range.size,
            // An empty blob has no first byte.
            (416, Some(Err(ContentRangeError::Unsatisfied { size }))) => Some(size),
            (206 | 416, _) => None,
            _ => return ok(answer).await.and_then(|answer| head(&answer)),
        };
        size.map(|size| BlobHead { size })
            .ok_or_else(|| answer.error(ErrorKind::Protocol, "no size in the range of the answer"))
    }
}

#[async_trait]
impl Registry for HttpRegistry {
    async fn head_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestHead, UpstreamError> {
        match self
            .manifest(Method::HEAD, repository, reference, accepts)
            .await
        {
            Ok(answer) => Ok(ManifestHead {
                digest: claimed_digest(&answer),
                media_type: answer.parsed(&CONTENT_TYPE),
                size: manifest_size(&answer),
            }),
            // Some registries know no HEAD here; a GET costs more and tells the same.
            Err(error) if matches!(error.kind(), ErrorKind::Status(405 | 501)) => {
                let body = self.get_manifest(repository, reference, accepts).await?;
                Ok(ManifestHead {
                    digest: body.digest,
                    media_type: body.media_type,
                    size: Some(body.bytes.len() as u64),
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestBody, UpstreamError> {
        let answer = self
            .manifest(Method::GET, repository, reference, accepts)
            .await?;
        Ok(ManifestBody {
            digest: claimed_digest(&answer),
            media_type: answer.parsed(&CONTENT_TYPE),
            bytes: answer.bytes(MANIFEST_LIMIT).await?,
        })
    }

    async fn head_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<BlobHead, UpstreamError> {
        let ask = self.blob(Method::HEAD, repository, digest);
        if self.refuses_head.load(Ordering::Relaxed) {
            return self.probe_blob(ask).await;
        }
        let answer = self.exchange.ask(&ask, self.client()).await?;
        // HEAD may be refused where GET is not (ECR Public), or lead to a URL signed for GET.
        let refused = matches!(answer.status(), 401 | 403 | 405 | 501);
        let silent = answer.status() == 200 && answer.length().is_none();
        if refused || silent {
            let head = self.probe_blob(ask).await?;
            self.refuses_head.store(true, Ordering::Relaxed);
            return Ok(head);
        }
        head(&ok(answer).await?)
    }

    async fn get_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        part: Option<RangeSpec>,
    ) -> Result<BlobBody, UpstreamError> {
        let mut ask = Ask {
            range: part,
            ..self.blob(Method::GET, repository, digest)
        };
        let mut answer = self.exchange.ask(&ask, self.client()).await?;
        let mut reading = read(&ask, &answer);
        if reading == Reading::NoRanges {
            ask.range = None;
            answer = self.exchange.ask(&ask, self.client()).await?;
            reading = read(&ask, &answer);
        }
        match reading {
            Reading::Bytes(_) if answer.status() == 200 && answer.is_html() => Err(html(&answer)),
            Reading::Bytes(extent) => Ok(BlobBody {
                offset: extent.offset,
                end: extent.end,
                size: extent.size,
                sends_parts: answer.status() == 206
                    || answer.header(&ACCEPT_RANGES) == Some("bytes"),
                stream: answer.stream(extent.length()),
            }),
            Reading::Unsatisfiable { size } => {
                let kind = ErrorKind::Unsatisfiable { size };
                Err(UpstreamError::new(kind, answer.place()))
            }
            Reading::Nonsense(cause) => Err(answer.error(ErrorKind::Protocol, cause)),
            Reading::NoRanges | Reading::Other => Err(failure::of_answer(answer).await),
        }
    }

    async fn list(
        &self,
        listing: &Listing,
        query: Option<&str>,
    ) -> Result<ListBody, UpstreamError> {
        let (kind, endpoint) = match listing {
            Listing::Tags(repository) => (Kind::Tags, Endpoint::Tags(repository.clone())),
            Listing::Catalog => (Kind::Catalog, Endpoint::Catalog),
            Listing::Referrers(repository, digest) => (
                Kind::Referrers,
                Endpoint::Referrers(repository.clone(), digest.clone()),
            ),
        };
        let mut ask = self.ask(kind, Method::GET, &endpoint);
        ask.url.set_query(query);
        if kind == Kind::Referrers {
            ask.accept = accept(referrers::TYPE.as_str());
        }
        let answer = self.exchange.ask(&ask, self.client()).await?;
        let media_type = answer.parsed(&CONTENT_TYPE);
        let is_page = answer.status() == 200 && answer.is_html();
        if kind == Kind::Referrers
            && !is_page
            && referrers::is_lacking(answer.status(), media_type.as_ref())
        {
            let kind = ErrorKind::NotFound { code: None };
            return Err(answer.error(kind, "no list of referrers"));
        }
        let answer = ok(answer).await?;
        let next = answer.headers(&LINK).find_map(next_query);
        let is_filtered = referrers::is_filtered(answer.headers(&OCI_FILTERS_APPLIED));
        let bytes = answer.bytes(LIST_LIMIT).await?;
        Ok(ListBody {
            bytes,
            next,
            is_filtered,
        })
    }

    fn on_behalf(&self, authorization: &ClientAuthorization) -> Option<Arc<dyn Registry>> {
        let bound = || Self {
            upstream: self.upstream.clone(),
            exchange: Arc::clone(&self.exchange),
            refuses_head: Arc::clone(&self.refuses_head),
            takes_clients: true,
            client: Some(authorization.clone()),
        };
        self.takes_clients.then(|| Arc::new(bound()) as _)
    }

    async fn challenge(&self) -> Result<Option<Challenge>, UpstreamError> {
        self.exchange.challenge(self.client()).await
    }

    async fn token(&self, request: &TokenRequest) -> Result<TokenAnswer, UpstreamError> {
        self.exchange.token(request).await
    }

    fn standing(&self) -> Standing {
        self.exchange.standing()
    }
}

/// The value of `Accept`. Types have no character that a header could not hold.
fn accept(types: &str) -> HeaderValue {
    HeaderValue::from_str(types).unwrap_or(HeaderValue::from_static("*/*"))
}

/// The digest that an answer claims for a manifest. Artifactory leaves the usual header out of some answers and
/// tells the hash of the bytes in its own.
fn claimed_digest(answer: &Answer) -> Option<Digest> {
    answer.parsed(&DOCKER_CONTENT_DIGEST).or_else(|| {
        let hash = answer.header(&X_CHECKSUM_SHA256)?;
        format!("sha256:{}", hash.trim()).parse().ok()
    })
}

/// The size that the head of an answer tells of a manifest. Some registries and gateways say 0 to a HEAD, or how long
/// the compressed body would be: neither is a manifest's.
fn manifest_size(answer: &Answer) -> Option<u64> {
    let told = answer.length().filter(|_| !answer.is_encoded());
    told.filter(|&size| size > 0)
}

/// The answer, if it is a 200 of a registry.
async fn ok(answer: Answer) -> Result<Answer, UpstreamError> {
    if answer.status() != 200 {
        Err(failure::of_answer(answer).await)
    } else if answer.is_html() {
        Err(html(&answer))
    } else {
        Ok(answer)
    }
}

fn html(answer: &Answer) -> UpstreamError {
    answer.error(ErrorKind::Protocol, "a page in HTML")
}

/// What the answer to a GET of a blob is.
fn read(ask: &Ask, answer: &Answer) -> Reading {
    let head = Head {
        status: answer.status(),
        range: answer.header(&CONTENT_RANGE),
        length: answer.length(),
        is_encoded: answer.is_encoded(),
    };
    part::read(ask.range, &head)
}

fn head(answer: &Answer) -> Result<BlobHead, UpstreamError> {
    answer
        .length()
        .map(|size| BlobHead { size })
        .ok_or_else(|| answer.error(ErrorKind::Protocol, "no length in the answer"))
}

fn content_range(answer: &Answer) -> Option<Result<ContentRange, ContentRangeError>> {
    answer.header(&CONTENT_RANGE).map(ContentRange::from_str)
}
