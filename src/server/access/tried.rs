//! The parsers of what clients show, by themselves: for who tries them on any bytes.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request};

use super::envelope::Envelopes;
use super::scopes::Wanted;
use super::shown::{Identified, Shown};
use super::wish::Wish;
use super::{Asks, Served, TokenRealm};
use crate::mirror::Asker;
use crate::oci::Challenge;
use crate::server::Namespaces;

/// Whether a value of `Authorization` makes somebody a client with a name of its own where only sealed tokens do, which no
/// bytes may that were not sealed here.
#[doc(hidden)]
pub fn passes_as_sealed(authorization: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(authorization) else {
        return false;
    };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    let Ok(shown) = Shown::of(&headers) else {
        return false;
    };
    let envelopes = Envelopes::new();
    let bearer = Challenge::bearer("https://a.example/token", "a.example", None);
    let asked = [
        Asks::Unknown,
        Asks::Nothing,
        Asks::For(bearer),
        Asks::For(Challenge::basic("a.example")),
    ];
    let ways = [
        Served::AsNobody,
        Served::AsTheMirror,
        Served::AsThemselves(TokenRealm::Upstream),
        Served::AsThemselves(TokenRealm::Mirror),
    ];
    let mut passes = false;
    for served in ways {
        for asks in &asked {
            let open = |sealed: &str| envelopes.open(sealed, "docker.io", 0);
            let identified = shown.identify(served, asks, open);
            let is_client = matches!(identified, Identified::As(Asker::Client(_)));
            let is_sealed = served == Served::AsThemselves(TokenRealm::Mirror)
                && matches!(shown, Shown::Bearer(_));
            passes |= is_client && (is_sealed || served == Served::AsTheMirror);
        }
    }
    passes
}

/// The upstream for which a form, or a query, asks for a token.
#[doc(hidden)]
pub fn wishes_for(form: &[u8], namespaces: &Namespaces) -> Option<String> {
    let request = Request::builder().method(Method::POST).uri("/token");
    let (request, ()) = request.body(()).ok()?.into_parts();
    let wish = Wish::read(&request, Some(form)).ok()?;
    let scopes = wish.scopes.iter().map(String::as_str);
    let wanted = Wanted::of(scopes, wish.service.as_deref(), None, namespaces).ok()?;
    Some(wanted.upstream.to_string())
}
