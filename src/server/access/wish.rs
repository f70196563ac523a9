//! What a request for a token says, in each of the forms that clients use (Docker token specification, "token" and
//! "oauth2"). Pure.

use http::request::Parts;
use http::{HeaderMap, Method};
use url::form_urlencoded;

use super::shown::{Shown, TwoHeaders};
use crate::upstream::Grant;

/// A wish for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Wish {
    /// For whom the token is to be, as the challenge named it.
    pub(in crate::server) service: Option<String>,
    /// The rights wanted, as the client wrote them.
    pub(in crate::server) scopes: Vec<String>,
    /// By what.
    pub(in crate::server) grant: Grant,
    /// The client program.
    pub(in crate::server) client_id: Option<String>,
}

/// Why a wish is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::server) enum BadWish {
    #[error(transparent)]
    TwoHeaders(#[from] TwoHeaders),
    #[error("tokens are asked for with GET or POST")]
    Method,
    #[error("the form is missing, too long, or not text")]
    Form,
    #[error("this kind of grant is not known here: password and refresh_token are")]
    Grant,
}

impl Wish {
    /// Reads a request for a token with its `body`, where one came.
    ///
    /// # Errors
    /// When it is in none of the forms.
    pub(in crate::server) fn read(request: &Parts, body: Option<&[u8]>) -> Result<Self, BadWish> {
        match request.method {
            Method::GET | Method::HEAD => {
                let query = request.uri.query().unwrap_or_default();
                let grant = shown(&request.headers)?;
                Ok(Self::of(query, grant))
            }
            Method::POST => {
                let form = std::str::from_utf8(body.ok_or(BadWish::Form)?);
                let form = form.map_err(|_| BadWish::Form)?;
                let grant = granted(form, &request.headers)?;
                Ok(Self::of(form, grant))
            }
            _ => Err(BadWish::Method),
        }
    }

    fn of(pairs: &str, grant: Grant) -> Self {
        // In a query each scope is a parameter, in a form all are in one; some clients mix that up.
        let scopes = all(pairs, "scope");
        let scopes = scopes.flat_map(|it| it.split(' ').map(str::to_owned).collect::<Vec<_>>());
        Self {
            service: first(pairs, "service"),
            scopes: scopes.filter(|it| !it.is_empty()).collect(),
            grant,
            client_id: first(pairs, "client_id"),
        }
    }
}

/// By what a form asks. nydus names no kind of grant.
fn granted(form: &str, headers: &HeaderMap) -> Result<Grant, BadWish> {
    let kind = first(form, "grant_type");
    if kind.as_deref() == Some("refresh_token") {
        let token = first(form, "refresh_token").ok_or(BadWish::Grant)?;
        return Ok(Grant::RefreshToken(token));
    }
    if !matches!(kind.as_deref(), None | Some("password" | "")) {
        return Err(BadWish::Grant);
    }
    match (first(form, "username"), first(form, "password")) {
        (Some(username), Some(password)) => Ok(Grant::Password { username, password }),
        _ => shown(headers),
    }
}

/// By what `Authorization` asks.
fn shown(headers: &HeaderMap) -> Result<Grant, BadWish> {
    Ok(match Shown::of(headers)?.pair() {
        Some((username, password)) => Grant::Password { username, password },
        None => Grant::Nobody,
    })
}

fn all(pairs: &str, name: &str) -> impl Iterator<Item = String> {
    form_urlencoded::parse(pairs.as_bytes())
        .filter(move |(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// The first value of that name that is not empty.
fn first(pairs: &str, name: &str) -> Option<String> {
    all(pairs, name).find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::Request;

    use super::*;

    const BASIC: &str = "Basic Ym9iOmh1bnRlcjI=";

    fn read(method: &str, target: &str, basic: &str, body: &str) -> Result<Wish, BadWish> {
        let mut request = Request::builder().method(method).uri(target);
        if !basic.is_empty() {
            request = request.header("authorization", basic);
        }
        Wish::read(
            &request.body(()).unwrap().into_parts().0,
            Some(body.as_bytes()),
        )
    }

    fn bob() -> Grant {
        Grant::Password {
            username: "bob".into(),
            password: "hunter2".into(),
        }
    }

    #[test]
    fn item_60_each_form_of_a_wish_is_understood() {
        let scopes = ["repository:a:pull", "repository:b:pull"].map(str::to_owned);
        let form = "service=s&scope=repository%3Aa%3Apull+repository%3Ab%3Apull&client_id=c";
        let query = "/token?service=s&scope=repository:a:pull&scope=repository:b:pull\
                     &account=bob&client_id=c&offline_token=true";
        let password = format!("grant_type=password&username=bob&password=hunter2&{form}");
        let refresh = format!("grant_type=refresh_token&refresh_token=r&{form}");
        let nydus = format!("username=bob&password=hunter2&{form}");
        for (method, target, basic, body, grant) in [
            ("GET", query, "", "", Grant::Nobody),
            ("GET", query, "Basic Og==", "", Grant::Nobody),
            ("GET", query, BASIC, "", bob()),
            ("POST", "/token", "", &*password, bob()),
            (
                "POST",
                "/token",
                "",
                &*refresh,
                Grant::RefreshToken("r".into()),
            ),
            ("POST", "/token", "", &*nydus, bob()),
            ("POST", "/token", BASIC, form, bob()),
            ("POST", "/token", "", form, Grant::Nobody),
        ] {
            let wish = read(method, target, basic, body).unwrap();
            assert_eq!(wish.grant, grant, "{method} {body}");
            assert_eq!(wish.service.as_deref(), Some("s"));
            assert_eq!(wish.client_id.as_deref(), Some("c"));
            assert_eq!(wish.scopes, scopes);
        }
    }

    #[test]
    fn what_is_in_no_form_is_refused() {
        assert_eq!(read("PUT", "/token", "", ""), Err(BadWish::Method));
        for grant in ["grant_type=authorization_code", "grant_type=refresh_token"] {
            assert_eq!(read("POST", "/token", "", grant), Err(BadWish::Grant));
        }
        let (request, ()) = Request::post("/token").body(()).unwrap().into_parts();
        assert_eq!(Wish::read(&request, None), Err(BadWish::Form));
        assert_eq!(Wish::read(&request, Some(&[0xff])), Err(BadWish::Form));
    }
}
