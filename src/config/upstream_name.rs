//! The name of an upstream: what clients put in `?ns=`, in `Host`, or before the repository.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// `host` or `host:port`, in lower case (`docker.io`, `registry.test:5000`, `[::1]:5000`).
///
/// Host names are case-insensitive and the first component of a repository path is lower case (OCI
/// distribution spec, Pulling manifests), so one spelling is enough and comparing is plain equality.
/// A copy shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamName(Arc<str>);

/// Why a text is not an [`UpstreamName`]; its message continues a sentence that begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
pub enum UpstreamNameError {
    /// Not `host` or `host:port`.
    Grammar,
    /// A word that stands for something else in the paths of the API.
    Reserved,
}

impl UpstreamNameError {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Grammar => {
                "is not a host name: write HOST or HOST:PORT in lower case, such as \"ghcr.io\""
            }
            Self::Reserved => "cannot be a name: paths already use this word for something else",
        }
    }
}

/// First path components that cannot also be an upstream: the versions of the API, and the
/// namespace of Docker Hub's official images.
const RESERVED: [&str; 3] = ["v1", "v2", "library"];

impl UpstreamName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for UpstreamName {
    type Err = UpstreamNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if RESERVED.contains(&text) {
            return Err(UpstreamNameError::Reserved);
        }
        if is_host_and_port(text) {
            Ok(Self(text.into()))
        } else {
            Err(UpstreamNameError::Grammar)
        }
    }
}

/// `host` or `host:port` as a URL has it (RFC 3986 section 3.2), in lower case.
pub(super) fn is_host_and_port(text: &str) -> bool {
    // A port cannot hold a ']', so the last ':' of a bare `[::1]` is not one before a port.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    is_host(host) && port.is_none_or(is_port)
}

/// A DNS name (RFC 1123 section 2.1), an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    host.len() <= 253 && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_hosts_with_or_without_a_port() {
        for name in [
            "docker.io",
            "registry-1.docker.io",
            "localhost:5000",
            "hub",
            "10.0.0.7:443",
            "[::1]",
            "[2001:db8::7]:5000",
            "a.b:65535",
        ] {
            assert_eq!(name.parse::<UpstreamName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long_label = "a".repeat(64);
        let long_host = ["a".repeat(50).as_str(); 6].join(".");
        for name in [
            "",
            ".",
            "docker.io.",
            ".docker.io",
            "a..b",
            "-a",
            "a-",
            "GHCR.io",
            "ghcr.io/o",
            "https://ghcr.io",
            "user@ghcr.io",
            "ghcr.io:",
            "ghcr.io:0",
            "ghcr.io:65536",
            "ghcr.io:+1",
            "ghcr.io:https",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[1.2.3.4]",
            "a_b.test",
            "bücher.test",
            "a b",
            "a\0b",
            &long_label,
            &long_host,
        ] {
            assert_eq!(
                name.parse::<UpstreamName>(),
                Err(UpstreamNameError::Grammar),
                "{name:?}"
            );
        }
        for name in RESERVED {
            assert_eq!(
                name.parse::<UpstreamName>(),
                Err(UpstreamNameError::Reserved)
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<UpstreamName>();
        }

        #[test]
        fn a_name_is_the_authority_of_a_url(name in "[a-z0-9.:\\[\\]-]{1,20}") {
            // Whatever passes must be usable as the authority of a URL.
            if let Ok(name) = name.parse::<UpstreamName>() {
                let looks_like_ipv4 = name.as_str().split(':').next().unwrap()
                    .rsplit('.').next().unwrap().starts_with(|c: char| c.is_ascii_digit());
                prop_assume!(!looks_like_ipv4 && !name.as_str().contains("xn--"));
                prop_assert!(url::Url::parse(&format!("https://{name}/")).is_ok(), "{name}");
            }
        }
    }
}
