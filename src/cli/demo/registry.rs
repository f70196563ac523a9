//! The demo's upstream: a registry of a few images in memory that counts what it sends.
//!
//! Absent: ranges, pushes, credentials. A mirror does without.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use super::images::Image;
use crate::oci::{Digest, Endpoint, ErrorCode, MediaType, Reference, Repository};
use crate::server::{Body, Handler, Peer, Refusal, Sent};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Answers for its images.
pub(super) struct ImageRegistry {
    images: Vec<Image>,
    uplink: Uplink,
}

/// What a registry has sent. Clones look at the same registry.
#[derive(Clone, Default)]
pub(super) struct Uplink(watch::Sender<Traffic>);

#[derive(Clone, Copy, Default)]
struct Traffic {
    /// Answers on their way.
    open: u64,
    /// Bytes of bodies that went out.
    bytes: u64,
}

impl Uplink {
    /// Waits until no answer is on its way, and gives the bytes of bodies sent so far.
    pub(super) async fn quiet(&self) -> u64 {
        let mut traffic = self.0.subscribe();
        let quiet = traffic.wait_for(|traffic| traffic.open == 0).await;
        // The sender is in `self`, so the wait does not fail.
        quiet.map_or(0, |traffic| traffic.bytes)
    }
}

impl ImageRegistry {
    /// A registry of `images` that counts into `uplink`.
    pub(super) fn new(images: Vec<Image>, uplink: Uplink) -> Self {
        Self { images, uplink }
    }

    fn answer(&self, request: &Request<()>) -> Result<Response<Bytes>, ErrorCode> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(ErrorCode::Unsupported);
        }
        match Endpoint::parse(request.uri().path()).map_err(|error| error.code())? {
            Endpoint::Base => Ok(Response::new(Bytes::from_static(b"{}"))),
            Endpoint::Manifest(repository, reference) => {
                manifest(self.image(&repository)?, &reference).ok_or(ErrorCode::ManifestUnknown)
            }
            Endpoint::Blob(repository, digest) => {
                let blob = self.image(&repository)?.blobs.get(&digest);
                let bytes = blob.ok_or(ErrorCode::BlobUnknown)?.clone();
                Ok(content(&digest, &MediaType::OCTET_STREAM, bytes))
            }
            Endpoint::Tags(repository) => {
                let tags = json!({"name": self.image(&repository)?.repository, "tags": ["latest"]});
                Ok(Response::new(tags.to_string().into()))
            }
            _ => Err(ErrorCode::Unsupported),
        }
    }

    fn image(&self, repository: &Repository) -> Result<&Image, ErrorCode> {
        (self.images.iter())
            .find(|image| image.repository == repository.as_str())
            .ok_or(ErrorCode::NameUnknown)
    }
}

fn manifest(image: &Image, reference: &Reference) -> Option<Response<Bytes>> {
    let digest = match reference {
        Reference::Digest(digest) => digest,
        Reference::Tag(tag) if tag.as_str() == "latest" => &image.latest,
        Reference::Tag(_) => return None,
    };
    let document = image.manifests.get(digest)?;
    Some(content(
        digest,
        &document.media_type,
        document.bytes.clone(),
    ))
}

/// What a digest names.
fn content(digest: &Digest, media_type: &MediaType, bytes: Bytes) -> Response<Bytes> {
    let mut response = Response::new(bytes);
    for (name, text) in [
        (CONTENT_TYPE, media_type.as_str()),
        (CONTENT_DIGEST, digest.as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn refusal(code: ErrorCode) -> Response<Bytes> {
    let mut response = Response::new(code.body("there is no more here than a few images").into());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

#[async_trait]
impl Handler for ImageRegistry {
    type Ticket = ();

    async fn handle(&self, request: Request<()>) -> (Response<Body>, ()) {
        // Counted as open before the first byte can leave, and nothing here waits: each answer is in `sent`.
        self.uplink.0.send_modify(|traffic| traffic.open += 1);
        let answer = self.answer(&request).unwrap_or_else(refusal);
        let (mut head, bytes) = answer.into_parts();
        head.headers.insert(CONTENT_LENGTH, bytes.len().into());
        let body = if request.method() == Method::HEAD {
            Body::Empty
        } else {
            bytes.into()
        };
        (Response::from_parts(head, body), ())
    }

    fn sent(&self, (): (), sent: Sent) {
        self.uplink.0.send_modify(|traffic| {
            traffic.open -= 1;
            traffic.bytes += sent.bytes;
        });
    }

    fn refuse(&self, refusal: Refusal, _: Option<Peer>) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = refusal.status();
        response
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::FutureExt;

    use super::*;

    fn registry() -> (ImageRegistry, Uplink, Digest) {
        let uplink = Uplink::default();
        let image = Image::plain("a/plain", 0, 0);
        let latest = image.latest.clone();
        (
            ImageRegistry::new(vec![image], uplink.clone()),
            uplink,
            latest,
        )
    }

    async fn ask(registry: &ImageRegistry, method: Method, path: &str) -> Response<Body> {
        let request = Request::builder().method(method).uri(path).body(());
        registry.handle(request.unwrap()).await.0
    }

    #[tokio::test]
    async fn a_tag_and_its_digest_have_the_same_manifest() {
        let (registry, _, latest) = registry();
        for reference in ["latest", latest.as_str()] {
            let path = format!("/v2/a/plain/manifests/{reference}");
            let head = ask(&registry, Method::HEAD, &path).await;
            let get = ask(&registry, Method::GET, &path).await;
            assert_eq!(head.headers(), get.headers());
            assert_eq!(get.headers()[CONTENT_DIGEST], latest.as_str());
            assert_eq!(
                get.headers()[CONTENT_TYPE],
                MediaType::OCI_MANIFEST.as_str()
            );
            assert!(head.body().is_empty());
            let Body::Bytes(bytes) = get.into_body() else {
                panic!("no manifest");
            };
            assert_eq!(Digest::sha256_of(&bytes), latest);
        }
    }

    #[tokio::test]
    async fn the_tags_are_listed() {
        let (registry, ..) = registry();
        let answer = ask(&registry, Method::GET, "/v2/a/plain/tags/list").await;
        let Body::Bytes(bytes) = answer.into_body() else {
            panic!("no list");
        };
        assert_eq!(bytes, r#"{"name":"a/plain","tags":["latest"]}"#);
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found() {
        let (registry, _, latest) = registry();
        for path in [
            "/v2/a/plain/manifests/other".to_owned(),
            format!("/v2/another/manifests/{latest}"),
            format!("/v2/a/plain/blobs/{latest}"),
            "/".to_owned(),
        ] {
            let answer = ask(&registry, Method::GET, &path).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let push = ask(&registry, Method::PUT, "/v2/a/plain/manifests/latest").await;
        assert_eq!(push.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn the_uplink_is_quiet_when_each_answer_has_gone() {
        let (registry, uplink, _) = registry();
        assert_eq!(uplink.quiet().await, 0);
        ask(&registry, Method::GET, "/v2/").await;
        ask(&registry, Method::GET, "/v2/").await;
        let sent = Sent {
            status: StatusCode::OK,
            bytes: 2,
            end: crate::server::End::Whole,
        };
        registry.sent((), sent.clone());
        // One is still on its way.
        let mut quiet = Box::pin(uplink.quiet());
        assert_eq!(quiet.as_mut().now_or_never(), None);
        registry.sent((), sent);
        assert_eq!(quiet.await, 4);
    }
}
