//! `/token`: tokens for clients that are served as themselves, got from the upstream's own realm (Docker token
//! specification, "token" and "oauth2").

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, Uri};
use serde_json::json;
use tokio::time::timeout;

use super::answered::Answered;
use super::{RegistryApi, host};
use crate::mirror::{Outcome, Strayed, Who};
use crate::oci::ErrorCode;
use crate::server::access::{BadWish, Holds, Wanted, Wish};
use crate::server::errors::{self, Asked};
use crate::server::{Body, RequestBody};
use crate::upstream::{Grant, TokenRequest};

/// Where tokens are to be had.
const PATH: &str = "/token";

/// How long nobody's token is good. It opens what is open.
const NOBODYS: Duration = Duration::from_mins(5);

/// The shortest life that clients reckon with (Docker token specification).
const SHORTEST: Duration = Duration::from_mins(1);

/// Whether a request is for a token.
pub(super) fn is_wanted(uri: &Uri) -> bool {
    uri.path() == PATH
}

impl RegistryApi {
    /// Answers a request for a token, and says for which upstream it is.
    pub(super) async fn token(&self, request: &Parts) -> (Answered, Option<Arc<str>>) {
        let body = request.extensions.get::<RequestBody>();
        let wish = match Wish::read(request, body.map(|body| &*body.0)) {
            Ok(wish) => wish,
            Err(BadWish::Method) => return (Answered::read_only(), None),
            Err(bad) => return (Answered::bad_request(&bad.to_string()), None),
        };
        let scopes = wish.scopes.iter().map(String::as_str);
        let wanted = Wanted::of(
            scopes,
            wish.service.as_deref(),
            host(request),
            &self.namespaces,
        );
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(none) => {
                let blame = Outcome::Error(Who::Client);
                return (
                    Answered::refused(ErrorCode::NameUnknown, blame, &none.to_string()),
                    None,
                );
            }
        };
        let upstream = Arc::clone(&wanted.upstream);
        let is_form = request.method == Method::POST;
        let issued = timeout(self.policy.answer_within, self.issue(wish, wanted, is_form)).await;
        let answered = issued.unwrap_or_else(|_| Answered::too_late());
        (answered, Some(upstream))
    }

    async fn issue(&self, wish: Wish, wanted: Wanted, is_form: bool) -> Answered {
        let Wanted { upstream, scopes } = wanted;
        let granted = scopes.join(" ");
        let mut trouble = None;
        let (holds, lasts) = if wish.grant == Grant::Nobody {
            // What nobody may have is found out when it is asked for.
            (Holds::Nobody, NOBODYS)
        } else {
            let request = TokenRequest {
                grant: wish.grant,
                scopes,
                client_id: wish.client_id,
            };
            match self.access.token(&upstream, request).await {
                Ok(token) => (Holds::Client(token.authorization), token.expires_in),
                // Who cannot be known now may have what nobody may: docker and podman would go without that, too.
                Err(error) if error.outage().is_some() => {
                    trouble = Some(error.to_string());
                    (Holds::Nobody, SHORTEST)
                }
                Err(error) => {
                    let limited = self.policy.rate_limited;
                    return Answered {
                        response: errors::of_mirror(&error, Asked::Listing, limited),
                        outcome: error.outcome(),
                        error: Some(error.to_string()),
                        strayed: Strayed::default(),
                    };
                }
            }
        };
        let token = self.access.seal(&upstream, &holds, lasts);
        let issued_at = UNIX_EPOCH + Duration::from_secs(self.access.now());
        let mut document = json!({
            "token": token,
            "access_token": token,
            "expires_in": lasts.as_secs(),
            "issued_at": humantime::format_rfc3339_seconds(issued_at).to_string(),
        });
        if is_form {
            document["scope"] = granted.into();
        }
        Answered {
            error: trouble,
            ..Answered::well(secret(&document), Outcome::Bypass("token"))
        }
    }
}

/// A document that nobody may keep.
fn secret(document: &serde_json::Value) -> Response<Body> {
    let bytes = Bytes::from(document.to_string());
    let length = bytes.len().into();
    let mut response = Response::new(Body::Bytes(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
