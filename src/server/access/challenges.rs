//! The challenge that a client is told, in the form that the strictest reader takes (wire reference 5.1). Pure.

use super::{Asks, TokenRealm};
use crate::oci::{Challenge, Scheme};

/// What is known of the client's request.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Told<'a> {
    /// The upstream's name.
    pub(in crate::server) upstream: &'a str,
    /// The mirror's own URL.
    pub(in crate::server) own_url: &'a str,
    /// The right needed, with the name as the client wrote it.
    pub(in crate::server) scope: Option<&'a str>,
    /// The right needed, with the name as the upstream knows it.
    pub(in crate::server) upstreams_scope: Option<&'a str>,
}

/// What is wrong with what the client showed (RFC 6750 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Complaint {
    /// It is no token of ours, or no longer one.
    InvalidToken,
    /// It is not for this.
    InsufficientScope,
}

impl Complaint {
    fn word(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

/// The challenge, if there is one to be made: where the upstream asks for nothing, showing something would not help.
pub(super) fn challenge(
    realm: TokenRealm,
    asks: &Asks,
    told: &Told<'_>,
    complaint: Option<Complaint>,
) -> Option<Challenge> {
    let bearer = match (asks, realm) {
        (Asks::Nothing, _) | (Asks::Unknown, TokenRealm::Upstream) => return None,
        (Asks::For(asked), _) if *asked.scheme() == Scheme::Basic => {
            return Some(Challenge::basic(told.upstream));
        }
        (Asks::Unknown | Asks::For(_), TokenRealm::Mirror) => {
            let realm = format!("{}/token", told.own_url);
            Challenge::bearer(&realm, told.upstream, told.scope)
        }
        (Asks::For(asked), TokenRealm::Upstream) => {
            // Some readers want a service, if only an empty one.
            let service = asked.service().unwrap_or_default();
            Challenge::bearer(asked.realm()?, service, told.upstreams_scope)
        }
    };
    Some(match complaint {
        Some(complaint) => bearer.with_param("error", complaint.word()),
        None => bearer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: Told<'_> = Told {
        upstream: "docker.io",
        own_url: "https://mirror.example",
        scope: Some("repository:docker.io/a:pull"),
        upstreams_scope: Some("repository:library/a:pull"),
    };

    fn line(realm: TokenRealm, asks: &Asks) -> Option<String> {
        challenge(realm, asks, &TOLD, None).map(|it| it.to_string())
    }

    #[test]
    fn item_58_and_59_a_challenge_is_in_the_form_of_the_strictest_reader() {
        let bearer = Asks::For(Challenge::bearer("https://auth/token", "hub", Some("x")));
        for asks in [&bearer, &Asks::Unknown] {
            assert_eq!(
                line(TokenRealm::Mirror, asks).as_deref(),
                Some(
                    r#"Bearer realm="https://mirror.example/token",service="docker.io",scope="repository:docker.io/a:pull""#
                )
            );
        }
        assert_eq!(
            line(TokenRealm::Upstream, &bearer).as_deref(),
            Some(
                r#"Bearer realm="https://auth/token",service="hub",scope="repository:library/a:pull""#
            )
        );
        assert_eq!(line(TokenRealm::Upstream, &Asks::Unknown), None);
        for realm in [TokenRealm::Mirror, TokenRealm::Upstream] {
            let basic = Asks::For(Challenge::basic("theirs"));
            assert_eq!(
                line(realm, &basic).as_deref(),
                Some(r#"Basic realm="docker.io""#)
            );
            assert_eq!(line(realm, &Asks::Nothing), None);
        }
    }

    #[test]
    fn what_is_wrong_comes_last() {
        for (complaint, word) in [
            (Complaint::InvalidToken, "invalid_token"),
            (Complaint::InsufficientScope, "insufficient_scope"),
        ] {
            let told = challenge(TokenRealm::Mirror, &Asks::Unknown, &TOLD, Some(complaint));
            let line = told.map(|it| it.to_string()).unwrap_or_default();
            assert!(line.ends_with(&format!(",error=\"{word}\"")), "{line}");
        }
    }
}
