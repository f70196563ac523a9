//! Objects as responses: the same headers for HEAD and GET, for a hit and a miss.

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, LINK, VARY,
};
use http::{Method, Response, StatusCode};

use super::conditions::{Selection, select};
use super::errors;
use super::{Body, Multipart, Pieces};
use crate::mirror::{Blob, ManifestSummary};
use crate::oci::{ByteRange, ContentRange, Digest, MediaType, RangeSpec, Reference, etag};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

const JSON: &str = "application/json";
/// Exactly this: clients take any other type for a registry that knows no referrers.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Content never changes under its digest.
const FOR_EVER: &str = "max-age=31536000, immutable";
/// The same, for the client alone: what was fetched with an account is not for caches that others share.
const FOR_EVER_PRIVATE: &str = "private, max-age=31536000, immutable";
/// A tag may change at any time: ask again.
const ASK_AGAIN: &str = "no-cache";
const ASK_AGAIN_PRIVATE: &str = "private, no-cache";

/// What a request says about the answer it wants.
pub(super) struct Wanted<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    /// Whether upstream is asked with an account, so that what it gives may be private (RFC 9111 section 5.2.2.7).
    pub(super) private: bool,
}

impl Wanted<'_> {
    /// Whether the head of the answer is all of it.
    pub(super) fn is_head(&self) -> bool {
        *self.method == Method::HEAD
    }

    /// How long other caches may keep an answer, by the reference it was asked with.
    fn cache_control(&self, by_digest: bool) -> HeaderValue {
        HeaderValue::from_static(match (by_digest, self.private) {
            (true, false) => FOR_EVER,
            (true, true) => FOR_EVER_PRIVATE,
            (false, false) => ASK_AGAIN,
            (false, true) => ASK_AGAIN_PRIVATE,
        })
    }
}

/// A small JSON document of our own.
pub(super) fn json(document: &'static str) -> Response<Body> {
    let bytes = Bytes::from_static(document.as_bytes());
    with_bytes(StatusCode::OK, JSON, bytes)
}

/// A page of tags or repositories; `next` is the target of the next page, on this mirror.
pub(super) fn listing(wanted: &Wanted<'_>, bytes: Bytes, next: Option<&str>) -> Response<Body> {
    page(wanted, JSON, bytes, next)
}

/// A page of referrers, as an OCI index; `is_filtered` when upstream left out those of other artifact types.
pub(super) fn referrers(
    wanted: &Wanted<'_>,
    bytes: Bytes,
    is_filtered: bool,
    next: Option<&str>,
) -> Response<Body> {
    let mut response = page(wanted, INDEX, bytes, next);
    let applied = is_filtered.then(|| HeaderValue::from_static("artifactType"));
    let applied = applied.map(|filter| (FILTERS_APPLIED, filter));
    response.headers_mut().extend(applied);
    response
}

fn page(
    wanted: &Wanted<'_>,
    media_type: &'static str,
    bytes: Bytes,
    next: Option<&str>,
) -> Response<Body> {
    let mut response = with_bytes(StatusCode::OK, media_type, bytes);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, wanted.cache_control(false));
    let link = next.and_then(|next| value(&format!("<{next}>; rel=\"next\"")));
    headers.extend(link.map(|link| (LINK, link)));
    response
}

/// A manifest; `bytes` are absent for a HEAD.
pub(super) fn manifest(
    wanted: &Wanted<'_>,
    reference: &Reference,
    summary: &ManifestSummary,
    bytes: Option<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    if super::conditions::not_modified(wanted.headers, &summary.digest) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *response.body_mut() = bytes.map_or(Body::Empty, Body::from);
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, summary.size.into());
        insert(headers, CONTENT_TYPE, summary.media_type.as_str());
    }
    let headers = response.headers_mut();
    name(headers, &summary.digest);
    let by_digest = matches!(reference, Reference::Digest(_));
    headers.insert(CACHE_CONTROL, wanted.cache_control(by_digest));
    if !by_digest {
        headers.insert(VARY, HeaderValue::from_static("Accept"));
    }
    response
}

/// What a HEAD of a blob of `size` bytes gets.
pub(super) fn blob_summary(wanted: &Wanted<'_>, digest: &Digest, size: u64) -> Response<Body> {
    whole_blob(wanted, digest, size, Body::Empty)
}

/// The answer to a client whose copy of a blob is good.
pub(super) fn blob_not_modified(wanted: &Wanted<'_>, digest: &Digest) -> Response<Body> {
    blob_response(wanted, digest, StatusCode::NOT_MODIFIED, Body::Empty)
}

/// A blob, or the parts of it that `specs` ask for; none of them is all of it.
pub(super) fn blob(
    wanted: &Wanted<'_>,
    digest: &Digest,
    blob: &Blob,
    specs: &[RangeSpec],
) -> Response<Body> {
    let size = blob.size();
    match select(specs, size) {
        Selection::Whole => {
            let body = body_of(blob, ByteRange::new(0, size));
            whole_blob(wanted, digest, size, body)
        }
        Selection::Part(range) => {
            let body = body_of(blob, range);
            let mut response = blob_response(wanted, digest, StatusCode::PARTIAL_CONTENT, body);
            let headers = response.headers_mut();
            insert(headers, CONTENT_TYPE, MediaType::OCTET_STREAM.as_str());
            headers.insert(CONTENT_LENGTH, range.len().into());
            let content_range = ContentRange {
                range,
                size: Some(size),
            };
            insert(headers, CONTENT_RANGE, &content_range.to_string());
            response
        }
        Selection::Parts(ranges) => blob_parts(wanted, digest, blob, ranges),
        Selection::Unsatisfiable => {
            let mut response = errors::unsatisfiable(size);
            name(response.headers_mut(), digest);
            response
        }
    }
}

/// Several ranges: the `Content-Range` is each part's own, and none is the answer's (RFC 9110 section 15.3.7.2).
fn blob_parts(
    wanted: &Wanted<'_>,
    digest: &Digest,
    blob: &Blob,
    ranges: Vec<ByteRange>,
) -> Response<Body> {
    let pieces = match blob {
        Blob::Content(content) => Pieces::Content(content.clone()),
        Blob::Fill(joined, _) => Pieces::Follow(joined.follow(ranges.clone())),
    };
    let Some(frame) = Multipart::new(digest, blob.size(), ranges) else {
        return errors::too_many_ranges();
    };
    let (media_type, length) = (frame.content_type(), frame.length());
    let body = Body::Parts(frame, pieces);
    let mut response = blob_response(wanted, digest, StatusCode::PARTIAL_CONTENT, body);
    let headers = response.headers_mut();
    insert(headers, CONTENT_TYPE, &media_type);
    headers.insert(CONTENT_LENGTH, length.into());
    response
}

fn whole_blob(wanted: &Wanted<'_>, digest: &Digest, size: u64, body: Body) -> Response<Body> {
    let mut response = blob_response(wanted, digest, StatusCode::OK, body);
    let headers = response.headers_mut();
    insert(headers, CONTENT_TYPE, MediaType::OCTET_STREAM.as_str());
    headers.insert(CONTENT_LENGTH, size.into());
    response
}

/// What every answer about a blob says.
fn blob_response(
    wanted: &Wanted<'_>,
    digest: &Digest,
    status: StatusCode,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    name(headers, digest);
    headers.insert(CACHE_CONTROL, wanted.cache_control(true));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

fn body_of(blob: &Blob, range: ByteRange) -> Body {
    match blob {
        _ if range.is_empty() => Body::Empty,
        Blob::Content(content) => Body::Content(content.clone(), range),
        Blob::Fill(joined, _) => Body::Follow(joined.follow(vec![range])),
    }
}

fn with_bytes(status: StatusCode, media_type: &'static str, bytes: Bytes) -> Response<Body> {
    let length = bytes.len().into();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// The object's name, in both headers that tell it.
fn name(headers: &mut HeaderMap, digest: &Digest) {
    insert(headers, CONTENT_DIGEST, digest.as_str());
    insert(headers, ETAG, &etag::quoted(digest));
}

/// Inserts a value made of parsed parts; what is no header value is left out rather than sent broken.
pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Some(value) = value(text) {
        headers.insert(name, value);
    }
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}
