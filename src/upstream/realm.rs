//! Which token realms may be asked, and so may see our credentials. Pure.
//!
//! The realm comes from a challenge, that is from the other side. Whoever can write a challenge
//! could name any host there; therefore it must be one that belongs to the upstream, or one that
//! the owner of the mirror has listed.

use url::{Host, Url};

use super::redirect::same_host;

/// Why a realm is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRealm {
    #[error("a challenge without a realm")]
    Missing,
    #[error("the token realm is no URL")]
    Malformed,
    #[error("the token realm is not https")]
    Insecure,
    #[error("the token realm {0} neither belongs to the upstream nor is listed")]
    Elsewhere(String),
}

/// A realm that may be asked, and how it earned that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Realm {
    pub(super) url: Url,
    /// The owner of the mirror named this host, as the upstream's own or as a listed realm. If
    /// not, the upstream named it, and its address is looked at before we connect.
    pub(super) declared: bool,
    /// It is the upstream's own, and not that of some redirect target.
    pub(super) is_own: bool,
}

/// Admits the realm of a challenge from `challenger`. `listed` holds hosts, with or without a
/// port, that the owner allows besides.
pub(super) fn admit(
    challenger: &Url,
    listed: &[String],
    realm: Option<&str>,
) -> Result<Realm, BadRealm> {
    let realm = realm.ok_or(BadRealm::Missing)?;
    let mut url = Url::parse(realm).map_err(|_| BadRealm::Malformed)?;
    url.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadRealm::Malformed);
    }
    match (challenger.scheme(), url.scheme()) {
        (_, "https") | ("http", "http") => {}
        (_, "http") => return Err(BadRealm::Insecure),
        _ => return Err(BadRealm::Malformed),
    }
    let declared = same_host(challenger, &url) || listed.iter().any(|entry| names(entry, &url));
    if declared || same_owner(challenger, &url) {
        Ok(Realm {
            url,
            declared,
            is_own: true,
        })
    } else {
        Err(BadRealm::Elsewhere(
            url.host_str().unwrap_or_default().to_owned(),
        ))
    }
}

/// Whether `entry`, a `host` or `host:port`, names the host of a URL.
fn names(entry: &str, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    entry.eq_ignore_ascii_case(host) || entry.eq_ignore_ascii_case(&format!("{host}:{port}"))
}

/// Whether two hosts are under one registrable domain, that is under one owner. Only public
/// suffixes that are really listed count: in a private zone (`cluster.local`) nobody knows where
/// one owner ends and the next begins.
fn same_owner(a: &Url, b: &Url) -> bool {
    match (registrable(a), registrable(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

fn registrable(url: &Url) -> Option<&str> {
    let Some(Host::Domain(name)) = url.host() else {
        return None;
    };
    let domain = psl::domain(name.as_bytes())?;
    if !domain.suffix().is_known() {
        return None;
    }
    std::str::from_utf8(domain.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(upstream: &str, listed: &[&str], realm: &str) -> Result<bool, BadRealm> {
        let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
        admit(&Url::parse(upstream).unwrap(), &listed, Some(realm)).map(|realm| realm.declared)
    }

    #[test]
    fn the_realms_of_known_registries_are_admitted() {
        for (upstream, realm) in [
            (
                "https://registry-1.docker.io",
                "https://auth.docker.io/token",
            ),
            ("https://ghcr.io", "https://ghcr.io/token"),
            ("https://quay.io", "https://quay.io/v2/auth"),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("https://nvcr.io", "https://nvcr.io/proxy_auth"),
            ("https://public.ecr.aws", "https://public.ecr.aws/token/"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token"),
            ("http://registry.corp", "https://registry.corp:8443/token"),
        ] {
            assert!(check(upstream, &[], realm).is_ok(), "{upstream} {realm}");
        }
    }

    #[test]
    fn item_69_a_realm_elsewhere_is_refused() {
        for (upstream, realm) in [
            (
                "https://registry-1.docker.io",
                "https://auth.docker.io.evil.example/token",
            ),
            (
                "https://registry-1.docker.io",
                "https://evil.example/auth.docker.io",
            ),
            ("https://a.github.io", "https://b.github.io/token"),
            ("https://a.co.uk", "https://b.co.uk/token"),
            (
                "https://r.svc.cluster.local",
                "https://x.svc.cluster.local/token",
            ),
            ("https://nvcr.io", "https://authn.nvidia.com/token"),
            ("https://10.0.0.1", "https://10.0.0.2/token"),
            ("https://r.example", "https://169.254.169.254/latest"),
        ] {
            let refused = matches!(check(upstream, &[], realm), Err(BadRealm::Elsewhere(_)));
            assert!(refused, "{upstream} {realm}");
        }
    }

    #[test]
    fn a_listed_realm_is_admitted_by_host_or_by_host_and_port() {
        let nvidia = "https://authn.nvidia.com/token";
        assert_eq!(
            check("https://nvcr.io", &["AUTHN.nvidia.com"], nvidia),
            Ok(true)
        );
        assert_eq!(
            check("https://nvcr.io", &["authn.nvidia.com:443"], nvidia),
            Ok(true)
        );
        assert!(check("https://nvcr.io", &["authn.nvidia.com:444"], nvidia).is_err());
        assert!(check("https://nvcr.io", &["nvidia.com"], nvidia).is_err());
    }

    #[test]
    fn item_69_a_secure_upstream_has_a_secure_realm_even_when_listed() {
        let plain = "http://r.example/token";
        assert_eq!(
            check("https://r.example", &["r.example"], plain),
            Err(BadRealm::Insecure)
        );
        assert_eq!(check("http://r.example", &[], plain), Ok(true));
    }

    #[test]
    fn what_is_no_realm_is_refused() {
        for realm in [
            "",
            "token",
            "/token",
            "ftp://r.example/",
            "https://u:p@r.example/token",
        ] {
            assert_eq!(
                check("https://r.example", &[], realm),
                Err(BadRealm::Malformed),
                "{realm}"
            );
        }
        let upstream = Url::parse("https://r.example").unwrap();
        assert_eq!(admit(&upstream, &[], None), Err(BadRealm::Missing));
    }
}
