//! Answers of the operator's side: JSON, text, and the page's parts.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::trouble::Trouble;

/// The page takes everything from its own origin, runs no script and no style that stands within it, sends its
/// forms to its own origin, and is shown in no frame of another page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Response<Bytes> {
    status(StatusCode::OK, value)
}

/// A value as JSON, with a status.
pub(super) fn status<T: Serialize>(status: StatusCode, value: &T) -> Response<Bytes> {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    let mut response = text_of("application/json", text.into());
    *response.status_mut() = status;
    response
}

/// Trouble as JSON.
pub(super) fn trouble(trouble: &Trouble) -> Response<Bytes> {
    let mut response = status(trouble.status, &json!({"error": trouble.reason}));
    if trouble.status == StatusCode::UNAUTHORIZED {
        // Programs know the first; a browser asks its user by the second, and any user name will do.
        for scheme in [
            "Bearer realm=\"roadstead\"",
            "Basic realm=\"roadstead: any name, and the token\"",
        ] {
            let scheme = HeaderValue::from_static(scheme);
            response.headers_mut().append(WWW_AUTHENTICATE, scheme);
        }
    }
    response
}

/// The answer where only other methods are known.
pub(super) fn other_methods(methods: &[Method]) -> Response<Bytes> {
    let known: Vec<_> = methods.iter().map(Method::as_str).collect();
    let known = known.join(", ");
    let reason = format!("{known} only");
    let mut response = trouble(&Trouble::new(StatusCode::METHOD_NOT_ALLOWED, reason));
    insert(&mut response, ALLOW, &known);
    response
}

/// The status page.
pub(super) fn page(html: String) -> Response<Bytes> {
    let mut response = text_of("text/html; charset=utf-8", html.into());
    insert(&mut response, CONTENT_SECURITY_POLICY, POLICY);
    insert(&mut response, X_FRAME_OPTIONS, "DENY");
    insert(&mut response, REFERRER_POLICY, "no-referrer");
    response
}

/// A file of this program.
pub(super) fn file(media_type: &str, text: &'static str) -> Response<Bytes> {
    text_of(media_type, Bytes::from_static(text.as_bytes()))
}

/// Text of a type.
pub(super) fn text_of(media_type: &str, text: Bytes) -> Response<Bytes> {
    let mut response = Response::new(text);
    insert(&mut response, CONTENT_TYPE, media_type);
    insert(&mut response, CACHE_CONTROL, "no-store");
    insert(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

fn insert(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
