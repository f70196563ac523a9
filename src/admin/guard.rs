//! Who may do what on the operator's side: a decision on values.
//!
//! Two kinds of visitor are kept apart. A program is who it says it is: it brings the token, or stands on this
//! machine. A browser is sent by whatever page its user looks at, and brings along what it has: so a page of another
//! origin is refused by its `Origin`, and one whose name was made to point here (DNS rebinding) by its `Host`.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// What of a request matters to the guard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor<'a> {
    /// Whether it came by a socket that only the operator can open.
    pub(super) is_operator: bool,
    /// The address it comes from, if it has one.
    pub(super) peer: Option<IpAddr>,
    /// `Host`, or the authority of an absolute target.
    pub(super) host: Option<&'a str>,
    /// `Origin`.
    pub(super) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`, of a request that would change something: to be led here by a link is no harm, for no page
    /// can read what another origin is answered.
    pub(super) site: Option<&'a str>,
    /// `Authorization`.
    pub(super) authorization: Option<&'a str>,
}

/// Why a visitor is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("a token is asked for: Authorization: Bearer TOKEN")]
    NoToken,
    #[error("the token is wrong")]
    WrongToken,
    #[error("without admin.token_file this is for the mirror's own machine only")]
    NotHere,
    #[error("the request was sent by a page of another origin")]
    OtherOrigin,
    #[error(
        "the request calls this machine by a name that may be anybody's; without admin.token_file only localhost and addresses are taken"
    )]
    OtherName,
}

/// Whether `visitor` may see and do what is not open to all. `token` is what it must bring, if there is one.
pub(super) fn admit(visitor: &Visitor<'_>, token: Option<&str>) -> Result<(), TurnedAway> {
    if is_foreign(visitor) {
        return Err(TurnedAway::OtherOrigin);
    }
    if visitor.is_operator {
        return Ok(());
    }
    let Some(token) = token else {
        // No token tells a program from a page: only a name that cannot be made to point here does.
        if !visitor.host.is_some_and(is_unmistakable) {
            return Err(TurnedAway::OtherName);
        }
        let here = visitor
            .peer
            .is_some_and(|peer| peer.to_canonical().is_loopback());
        return if here {
            Ok(())
        } else {
            Err(TurnedAway::NotHere)
        };
    };
    let brought = visitor.authorization.and_then(brought);
    let brought = brought.ok_or(TurnedAway::NoToken)?;
    if brought.ct_eq(token.as_bytes()).into() {
        Ok(())
    } else {
        Err(TurnedAway::WrongToken)
    }
}

/// Whether a browser says that a page of another origin sent it.
fn is_foreign(visitor: &Visitor<'_>) -> bool {
    let other_site = matches!(visitor.site, Some("cross-site" | "same-site"));
    other_site
        || visitor.origin.is_some_and(|origin| {
            let place = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            // `null` is an origin too: that of a page that hides its own.
            !place
                .zip(visitor.host)
                .is_some_and(|(place, host)| place.eq_ignore_ascii_case(host))
        })
}

/// Whether `host`, with a port or without, names this machine in a way that no name server has a say in.
fn is_unmistakable(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    })
}

/// The token that a value of `Authorization` brings: a bearer's (RFC 6750 section 2.1), or the password that a
/// browser was given (RFC 7617 section 2), whatever the user name.
fn brought(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, value) = authorization.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(value).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: Visitor<'_> = Visitor {
        is_operator: false,
        peer: Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        host: Some("127.0.0.1:5001"),
        origin: None,
        site: None,
        authorization: None,
    };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_a_token_only_this_machine_is_served() {
        assert_eq!(admit(&HERE, None), Ok(()));
        for (from, answer) in [
            ("127.8.8.8", Ok(())),
            ("::1", Ok(())),
            ("::ffff:127.0.0.1", Ok(())),
            ("10.0.0.7", Err(TurnedAway::NotHere)),
            ("::ffff:10.0.0.7", Err(TurnedAway::NotHere)),
        ] {
            let visitor = Visitor {
                peer: Some(ip(from)),
                ..HERE
            };
            assert_eq!(admit(&visitor, None), answer, "{from}");
        }
        assert_eq!(
            admit(&Visitor { peer: None, ..HERE }, None),
            Err(TurnedAway::NotHere)
        );
    }

    #[test]
    fn without_a_token_a_name_that_may_be_anybodys_is_refused() {
        for (host, answer) in [
            (Some("localhost"), Ok(())),
            (Some("LocalHost:5001"), Ok(())),
            (Some("[::1]:5001"), Ok(())),
            (Some("192.168.0.9"), Ok(())),
            (Some("evil.test:5001"), Err(TurnedAway::OtherName)),
            (Some("127.0.0.1.evil.test"), Err(TurnedAway::OtherName)),
            (Some("localhost.evil.test"), Err(TurnedAway::OtherName)),
            (Some(""), Err(TurnedAway::OtherName)),
            (None, Err(TurnedAway::OtherName)),
        ] {
            let visitor = Visitor { host, ..HERE };
            assert_eq!(admit(&visitor, None), answer, "{host:?}");
            let with_token = Visitor {
                authorization: Some("Bearer t"),
                ..visitor
            };
            assert_eq!(admit(&with_token, Some("t")), Ok(()), "{host:?}");
        }
    }

    #[test]
    fn with_a_token_whoever_brings_it_is_served_from_anywhere() {
        for (authorization, answer) in [
            (Some("Bearer s3cret"), Ok(())),
            (Some("bearer  s3cret"), Ok(())),
            // operator:s3cret, and :s3cret
            (Some("Basic b3BlcmF0b3I6czNjcmV0"), Ok(())),
            (Some("Basic OnMzY3JldA=="), Ok(())),
            (Some("Bearer s3cre"), Err(TurnedAway::WrongToken)),
            (Some("Bearer s3cret2"), Err(TurnedAway::WrongToken)),
            (Some("Bearer "), Err(TurnedAway::WrongToken)),
            (Some("Basic !"), Err(TurnedAway::NoToken)),
            (Some("Digest s3cret"), Err(TurnedAway::NoToken)),
            (Some("s3cret"), Err(TurnedAway::NoToken)),
            (None, Err(TurnedAway::NoToken)),
        ] {
            for from in ["127.0.0.1", "10.0.0.7"] {
                let visitor = Visitor {
                    peer: Some(ip(from)),
                    authorization,
                    ..HERE
                };
                assert_eq!(
                    admit(&visitor, Some("s3cret")),
                    answer,
                    "{from} {authorization:?}"
                );
            }
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused_whatever_it_brings() {
        for (origin, site, answer) in [
            (Some("http://127.0.0.1:5001"), Some("same-origin"), Ok(())),
            (None, Some("none"), Ok(())),
            (
                Some("http://127.0.0.1:8080"),
                None,
                Err(TurnedAway::OtherOrigin),
            ),
            (Some("http://evil.test"), None, Err(TurnedAway::OtherOrigin)),
            (Some("null"), None, Err(TurnedAway::OtherOrigin)),
            (Some(""), None, Err(TurnedAway::OtherOrigin)),
            (None, Some("cross-site"), Err(TurnedAway::OtherOrigin)),
            (None, Some("same-site"), Err(TurnedAway::OtherOrigin)),
        ] {
            let authorization = Some("Bearer t");
            let visitor = Visitor {
                origin,
                site,
                authorization,
                ..HERE
            };
            assert_eq!(admit(&visitor, None), answer, "{origin:?} {site:?}");
            assert_eq!(admit(&visitor, Some("t")), answer, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn who_can_open_the_socket_needs_no_token_and_is_no_page() {
        let visitor = Visitor {
            is_operator: true,
            peer: None,
            host: None,
            ..HERE
        };
        assert_eq!(admit(&visitor, None), Ok(()));
        assert_eq!(admit(&visitor, Some("t")), Ok(()));
        let page = Visitor {
            origin: Some("http://evil.test"),
            ..visitor
        };
        assert_eq!(admit(&page, Some("t")), Err(TurnedAway::OtherOrigin));
    }

    proptest! {
        #[test]
        fn nothing_but_the_token_is_the_token(header in "\\PC{0,40}", token in "[!-~]{1,20}") {
            let visitor = Visitor { authorization: Some(&header), ..HERE };
            let admitted = admit(&visitor, Some(&token)).is_ok();
            let brings = brought(&header).is_some_and(|it| it == token.as_bytes());
            prop_assert_eq!(admitted, brings);
        }
    }
}
