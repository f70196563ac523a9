//! What a request shows of who sends it, and in whose name it is answered. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::addressee::Addressee;
use super::envelope::{BadEnvelope, Holds, Opened};
use super::{Asks, Served, TokenRealm};
use crate::mirror::{Asker, ClientCredential};
use crate::oci::Scheme;
use crate::upstream::ClientAuthorization;

/// What a request shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown<'a> {
    /// Nothing, or nothing that we know: nobody's name and password, too, which podman sends in place of none.
    Nothing,
    /// Name and password, still coded.
    Basic(&'a str),
    /// A token.
    Bearer(&'a str),
}

/// A request that shows two things leaves open which one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request has two Authorization headers")]
pub(in crate::server) struct TwoHeaders;

/// In whose name a request is answered.
#[derive(Debug, Clone)]
pub(in crate::server) enum Identified {
    /// In this one.
    As(Asker),
    /// In none: what it shows is not good here.
    Refused,
}

impl<'a> Shown<'a> {
    /// Reads `Authorization`.
    ///
    /// # Errors
    /// When there are two of it.
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Self, TwoHeaders> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (first, second) = (values.next(), values.next());
        if second.is_some() {
            return Err(TwoHeaders);
        }
        let value = first.and_then(|value| value.to_str().ok());
        let Some((scheme, rest)) = value.and_then(|value| value.trim().split_once(' ')) else {
            return Ok(Self::Nothing);
        };
        let rest = rest.trim();
        Ok(if scheme.eq_ignore_ascii_case("bearer") {
            Self::Bearer(rest)
        } else if scheme.eq_ignore_ascii_case("basic") && pair(rest).is_some_and(|it| it != EMPTY) {
            Self::Basic(rest)
        } else {
            Self::Nothing
        })
    }

    /// Name and password; `None` when it shows neither.
    pub(super) fn pair(self) -> Option<(String, String)> {
        match self {
            Self::Basic(coded) => pair(coded),
            Self::Nothing | Self::Bearer(_) => None,
        }
    }

    /// Whether it takes what the upstream asks for to say whose name this is.
    pub(super) fn depends_on_upstream(self, served: Served) -> bool {
        matches!(
            (served, self),
            (
                Served::AsNobody | Served::AsThemselves(TokenRealm::Upstream),
                Self::Bearer(_)
            ) | (Served::AsThemselves(_), Self::Basic(_))
        )
    }

    /// In whose name the request is answered. `open` opens an envelope that must be for this upstream.
    pub(super) fn identify(
        self,
        served: Served,
        asks: &Asks,
        open: impl FnOnce(&str) -> Result<Opened, BadEnvelope>,
    ) -> Identified {
        let asker = match (served, self) {
            // What is sent unasked is nobody's business (Basic above all), and never sent on.
            (Served::AsTheMirror, _) | (Served::AsNobody, Self::Nothing | Self::Basic(_)) => {
                Some(Asker::Mirror)
            }
            (Served::AsNobody, Self::Bearer(token)) => {
                let addressee = Addressee::of(token);
                let is_for = |it: &Addressee| service(asks).is_some_and(|name| it.is(name));
                let own = addressee.as_ref().filter(|it| is_for(it));
                own.and_then(|own| client(ClientAuthorization::bearer(token), own.expires_at))
                    .or(Some(Asker::Mirror))
            }
            (Served::AsThemselves(_), Self::Nothing) => Some(Asker::Nobody),
            (Served::AsThemselves(_), Self::Basic(coded)) => match asks {
                Asks::For(it) if *it.scheme() == Scheme::Basic => {
                    client(ClientAuthorization::basic(coded), None)
                }
                // It asked for something else, or for nothing.
                _ => Some(Asker::Nobody),
            },
            (Served::AsThemselves(TokenRealm::Mirror), Self::Bearer(sealed)) => {
                open(sealed).ok().map(|opened| match opened.holds {
                    Holds::Nobody => Asker::Nobody,
                    Holds::Client(authorization) => Asker::Client(ClientCredential {
                        authorization,
                        expires_at: Some(opened.until),
                    }),
                })
            }
            (Served::AsThemselves(TokenRealm::Upstream), Self::Bearer(token)) => {
                let addressee = Addressee::of(token);
                let is_anothers = |it: &Addressee| service(asks).is_some_and(|name| !it.is(name));
                if addressee.as_ref().is_some_and(is_anothers) {
                    None
                } else {
                    let expires_at = addressee.and_then(|it| it.expires_at);
                    client(ClientAuthorization::bearer(token), expires_at)
                }
            }
        };
        asker.map_or(Identified::Refused, Identified::As)
    }
}

/// Nobody's name and password: `Og==`.
const EMPTY: (String, String) = (String::new(), String::new());

/// Name and password out of their coding (RFC 7617 section 2).
fn pair(coded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(coded).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// The name by which the upstream's tokens call it.
fn service(asks: &Asks) -> Option<&str> {
    match asks {
        Asks::For(challenge) => challenge.service(),
        Asks::Unknown | Asks::Nothing => None,
    }
}

fn client(authorization: Option<ClientAuthorization>, expires_at: Option<u64>) -> Option<Asker> {
    let authorization = authorization?;
    Some(Asker::Client(ClientCredential {
        authorization,
        expires_at,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use http::HeaderValue;

    use super::*;
    use crate::oci::Challenge;

    const BASIC: &str = "Basic Ym9iOmh1bnRlcjI=";
    const THEMSELVES: [Served; 2] = [
        Served::AsThemselves(TokenRealm::Upstream),
        Served::AsThemselves(TokenRealm::Mirror),
    ];

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|it| HeaderValue::from_str(it).unwrap());
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    /// In whose name a request with this header is answered, in a word.
    fn whose(served: Served, asks: &Asks, value: &str) -> String {
        let headers = headers(if value.is_empty() {
            &[]
        } else {
            std::slice::from_ref(&value)
        });
        let open = |sealed: &str| match sealed {
            "envelope" => Ok(Opened {
                holds: Holds::Client(ClientAuthorization::bearer("inner").unwrap()),
                until: 77,
            }),
            "nobodys" => Ok(Opened {
                holds: Holds::Nobody,
                until: 77,
            }),
            _ => Err(BadEnvelope),
        };
        match Shown::of(&headers).unwrap().identify(served, asks, open) {
            Identified::Refused => "refused".to_owned(),
            Identified::As(Asker::Mirror) => "mirror".to_owned(),
            Identified::As(Asker::Nobody) => "nobody".to_owned(),
            Identified::As(Asker::Client(client)) => {
                client.authorization.expose().to_str().unwrap().to_owned()
            }
        }
    }

    fn bearer() -> Asks {
        Asks::For(Challenge::bearer("https://a/token", "a.example", None))
    }

    fn basic() -> Asks {
        Asks::For(Challenge::basic("a"))
    }

    fn jwt(audience: &str) -> String {
        let claims = format!(r#"{{"aud":"{audience}","exp":99}}"#);
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn item_62_nobodys_name_and_password_are_nobody() {
        for served in THEMSELVES {
            for asks in [basic(), bearer(), Asks::Nothing, Asks::Unknown] {
                for value in [
                    "",
                    "Basic Og==",
                    "basic Og==",
                    "Basic ???",
                    "Negotiate abc",
                    "Basic",
                ] {
                    assert_eq!(whose(served, &asks, value), "nobody", "{value:?}");
                }
            }
        }
    }

    #[test]
    fn item_63_unasked_basic_is_ignored() {
        for asks in [basic(), bearer(), Asks::Nothing, Asks::Unknown] {
            assert_eq!(whose(Served::AsNobody, &asks, BASIC), "mirror");
            assert_eq!(whose(Served::AsTheMirror, &asks, BASIC), "mirror");
        }
        for served in THEMSELVES {
            for asks in [bearer(), Asks::Nothing, Asks::Unknown] {
                assert_eq!(whose(served, &asks, BASIC), "nobody");
            }
            assert_eq!(whose(served, &basic(), BASIC), BASIC);
        }
    }

    #[test]
    fn with_an_account_of_the_mirrors_nothing_that_is_shown_matters() {
        let token = format!("Bearer {}", jwt("a.example"));
        for value in ["", BASIC, "Bearer envelope", &token] {
            assert_eq!(whose(Served::AsTheMirror, &bearer(), value), "mirror");
        }
    }

    #[test]
    fn item_68_a_token_for_another_upstream_goes_nowhere() {
        let (own, others) = (jwt("a.example"), jwt("b.example"));
        let (own, others) = (format!("Bearer {own}"), format!("Bearer {others}"));
        // An upstream that everybody reads as nobody: a token must say that it is for it.
        assert_eq!(whose(Served::AsNobody, &bearer(), &own), own);
        for value in [&*others, "Bearer opaque"] {
            assert_eq!(whose(Served::AsNobody, &bearer(), value), "mirror");
        }
        assert_eq!(whose(Served::AsNobody, &Asks::Unknown, &own), "mirror");

        let upstream = Served::AsThemselves(TokenRealm::Upstream);
        assert_eq!(whose(upstream, &bearer(), &own), own);
        assert_eq!(whose(upstream, &bearer(), "Bearer opaque"), "Bearer opaque");
        assert_eq!(whose(upstream, &bearer(), &others), "refused");

        let mirror = Served::AsThemselves(TokenRealm::Mirror);
        for value in [&*own, &*others, "Bearer opaque", "Bearer "] {
            assert!(
                ["refused", "nobody"].contains(&&*whose(mirror, &bearer(), value)),
                "{value}"
            );
        }
        assert_eq!(whose(mirror, &bearer(), "Bearer envelope"), "Bearer inner");
        assert_eq!(whose(mirror, &bearer(), "bearer nobodys"), "nobody");
    }

    #[test]
    fn two_headers_are_refused() {
        let two = headers(&["Bearer a", BASIC]);
        assert!(matches!(Shown::of(&two), Err(TwoHeaders)));
    }
}
