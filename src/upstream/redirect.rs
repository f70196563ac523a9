//! Where a redirect may lead. Pure decisions; the exchange walks the hops.
//!
//! A redirect is followed with the method and the headers of the request, whatever its status
//! (301, 302, 303, 307, 308), except for the credentials: those stay with the origin they were
//! meant for, which is scheme, host and port together.

use url::{Host, Origin, Url};

use super::ErrorKind;

/// How many redirects one request may go through.
pub(super) const MAX_HOPS: usize = 5;

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRedirect {
    #[error("a redirect without a location")]
    NoLocation,
    #[error("a redirect to something that is no URL")]
    Malformed,
    #[error("more than {MAX_HOPS} redirects")]
    TooMany,
    #[error("a redirect from https to http")]
    Downgrade,
    #[error("a redirect to another scheme than http or https")]
    Scheme,
    #[error("a redirect with credentials in its URL")]
    UserInfo,
    #[error("a redirect of a token request to another origin")]
    TokenElsewhere,
}

impl BadRedirect {
    /// Nonsense of the upstream, or something that we do not do.
    pub(super) fn kind(self) -> ErrorKind {
        match self {
            Self::NoLocation | Self::Malformed | Self::TooMany => ErrorKind::Protocol,
            Self::Downgrade | Self::Scheme | Self::UserInfo | Self::TokenElsewhere => {
                ErrorKind::Refused
            }
        }
    }
}

/// Whether a status is a redirect to follow (RFC 9110 section 15.4).
pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The URL that `location` means when it comes from `from`.
pub(super) fn next_hop(from: &Url, location: Option<&str>) -> Result<Url, BadRedirect> {
    let location = location.ok_or(BadRedirect::NoLocation)?;
    let mut next = from.join(location).map_err(|_| BadRedirect::Malformed)?;
    next.set_fragment(None);
    match (from.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => {}
        ("https", "http") => return Err(BadRedirect::Downgrade),
        _ => return Err(BadRedirect::Scheme),
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(BadRedirect::UserInfo);
    }
    Ok(next)
}

/// Scheme, host and port: what credentials are bound to.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    // An opaque origin equals nothing, itself not excepted, so two of them are never the same.
    matches!(a.origin(), Origin::Tuple(..)) && a.origin() == b.origin()
}

/// The same host under any scheme or port.
pub(super) fn same_host(a: &Url, b: &Url) -> bool {
    let name = |url: &Url| url.host().map(|host: Host<&str>| host.to_owned());
    name(a).is_some() && name(a) == name(b)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn hop(from: &str, to: &str) -> Result<String, BadRedirect> {
        next_hop(&url(from), Some(to)).map(Into::into)
    }

    #[test]
    fn item_75_locations_are_resolved_against_where_they_come_from() {
        let from = "https://r.example:5000/v2/a/blobs/sha256:00?ns=x";
        assert_eq!(
            hop(from, "/down/1").unwrap(),
            "https://r.example:5000/down/1"
        );
        assert_eq!(
            hop(from, "?sig=2").unwrap(),
            "https://r.example:5000/v2/a/blobs/sha256:00?sig=2"
        );
        assert_eq!(
            hop(from, "//cdn.example/x").unwrap(),
            "https://cdn.example/x"
        );
        assert_eq!(
            hop(from, "https://cdn.example/x#y").unwrap(),
            "https://cdn.example/x"
        );
    }

    #[test]
    fn http_may_become_https_and_never_the_other_way() {
        assert!(hop("http://r.example/", "https://r.example/").is_ok());
        assert_eq!(
            hop("https://r.example/", "http://r.example/"),
            Err(BadRedirect::Downgrade)
        );
    }

    #[test]
    fn nonsense_is_told_from_what_we_refuse() {
        let from = "https://r.example/";
        for (location, expected) in [
            ("ftp://r.example/", BadRedirect::Scheme),
            ("file:///etc/passwd", BadRedirect::Scheme),
            ("https://a:b@r.example/", BadRedirect::UserInfo),
            ("https://[", BadRedirect::Malformed),
        ] {
            assert_eq!(hop(from, location), Err(expected), "{location}");
        }
        assert_eq!(next_hop(&url(from), None), Err(BadRedirect::NoLocation));
        assert_eq!(BadRedirect::NoLocation.kind(), ErrorKind::Protocol);
        assert_eq!(BadRedirect::Scheme.kind(), ErrorKind::Refused);
    }

    proptest! {
        #[test]
        fn a_secure_hop_leads_only_to_secure_hops(location in "([a-z]{0,6}:)?/{0,3}.{0,40}") {
            let from = url("https://r.example/v2/a/blobs/b?c");
            if let Ok(next) = next_hop(&from, Some(&location)) {
                prop_assert_eq!(next.scheme(), "https");
                prop_assert!(next.has_host() && next.username().is_empty());
                prop_assert_eq!(next.fragment(), None);
            }
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let home = url("https://r.example/v2/");
        assert!(same_origin(&home, &url("https://r.example:443/other")));
        for other in [
            "http://r.example/",
            "https://r.example:444/",
            "https://sub.r.example/",
            "https://r.example./",
        ] {
            assert!(!same_origin(&home, &url(other)), "{other}");
        }
        assert!(same_host(&home, &url("http://R.example:81/")));
        assert!(!same_host(&home, &url("https://sub.r.example/")));
    }
}
