//! Which upstream and which endpoint a request means: pure, from the target and the declared names.
//!
//! All forms at once, because each client has its own: root (the default upstream), a path prefix on either
//! side of `/v2`, and the `ns` query of containerd. A name that is not declared is refused here, so nothing a
//! client writes ever becomes a host to look up.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use url::form_urlencoded;

use crate::oci::{Endpoint, EndpointError, ErrorCode, Repository};
use crate::store::Origin;

/// The upstream whose single-component repositories live below `library/`.
const DOCKER_HUB: &str = "docker.io";

/// Stands for the upstream of requests that name none that is declared.
pub(super) const NO_UPSTREAM: &str = "none";

/// The declared upstreams' names, as clients may write them.
pub struct Namespaces {
    /// Every name and alias, to the upstream's own name.
    names: HashMap<String, Arc<str>>,
    default: Option<Arc<str>>,
    /// The upstreams that are asked with an account.
    private: HashSet<Arc<str>>,
}

/// What a request asks for, and of whom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The upstream's own name.
    pub(super) upstream: Arc<str>,
    /// The endpoint, its repository named as upstream names it.
    pub(super) endpoint: Endpoint,
    /// Whether what the upstream gives may be private.
    pub(super) private: bool,
    /// The namespace as the client wrote it, to be echoed (OCI distribution spec, "Registry Proxying").
    pub(super) ns: Option<String>,
}

/// Why a target is not served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RouteError {
    #[error("this is a container registry mirror; its API begins at /v2/")]
    NotTheApi,
    #[error("no upstream named {0:?} is declared")]
    Undeclared(String),
    #[error("the path names upstream {0:?}, the query {1:?}")]
    Conflict(Arc<str>, Arc<str>),
    #[error("no upstream is named and none is the default")]
    NoDefault,
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl RouteError {
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::NotTheApi | Self::NoDefault => ErrorCode::NameUnknown,
            Self::Undeclared(_) | Self::Conflict(..) => ErrorCode::NameInvalid,
            Self::Endpoint(error) => error.code(),
        }
    }
}

impl Route {
    /// The repository asked for, under its upstream.
    pub(super) fn origin(&self, repository: &Repository) -> Origin {
        Origin {
            upstream: Arc::clone(&self.upstream),
            repository: repository.clone(),
        }
    }
}

impl Namespaces {
    /// `names` are all names and aliases, each with the upstream's own name.
    pub fn new(
        names: impl IntoIterator<Item = (String, Arc<str>)>,
        default: Option<Arc<str>>,
    ) -> Self {
        Self {
            names: names.into_iter().collect(),
            default,
            private: HashSet::new(),
        }
    }

    /// The same, with the upstreams that are asked with an account: what they give may be private.
    #[must_use]
    pub fn with_private(self, upstreams: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self {
            private: upstreams.into_iter().collect(),
            ..self
        }
    }

    /// Reads a request target: a raw path, still percent-encoded, and a query.
    pub(super) fn route(&self, path: &str, query: Option<&str>) -> Result<Route, RouteError> {
        let (prefix, path) = self.split_prefix(path)?;
        let ns = namespace(query);
        let asked = ns.as_deref().map(|ns| self.declared(ns)).transpose()?;
        let endpoint = Endpoint::parse(&path)?;
        let upstream = match (prefix, asked, &self.default) {
            (Some(prefix), Some(asked), _) if prefix != asked => {
                return Err(RouteError::Conflict(prefix, asked));
            }
            (Some(one), ..) | (None, Some(one), _) => one,
            (None, None, Some(default)) => Arc::clone(default),
            // The version check is about this mirror: clients that name an upstream later begin here, too.
            (None, None, None) if endpoint == Endpoint::Base => Arc::from(NO_UPSTREAM),
            (None, None, None) => return Err(RouteError::NoDefault),
        };
        let endpoint = in_library(&upstream, endpoint);
        refuse_foreign_host(&upstream, &endpoint)?;
        Ok(Route {
            private: self.private.contains(&upstream),
            upstream,
            endpoint,
            ns,
        })
    }

    fn declared(&self, name: &str) -> Result<Arc<str>, RouteError> {
        self.names
            .get(name)
            .cloned()
            .ok_or_else(|| RouteError::Undeclared(name.to_owned()))
    }

    /// Takes the upstream's name off the path, on whichever side of `/v2` it stands.
    fn split_prefix<'a>(
        &self,
        path: &'a str,
    ) -> Result<(Option<Arc<str>>, Cow<'a, str>), RouteError> {
        let api = |rest: &str| rest == "/v2" || rest.starts_with("/v2/");
        if let Some(rest) = path.strip_prefix("/v2/") {
            let (first, below) = rest.split_once('/').map_or((rest, ""), |(a, b)| (a, b));
            return Ok(match self.names.get(decoded_colon(first).as_ref()) {
                Some(name) => (Some(Arc::clone(name)), Cow::Owned(format!("/v2/{below}"))),
                None => (None, Cow::Borrowed(path)),
            });
        }
        if api(path) {
            return Ok((None, Cow::Borrowed(path)));
        }
        let first = path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        let below = path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(first));
        match below.filter(|below| api(below)) {
            Some(below) => Ok((
                Some(self.declared(&decoded_colon(first))?),
                Cow::Borrowed(below),
            )),
            None => Err(RouteError::NotTheApi),
        }
    }
}

/// A host in front of a repository of Docker Hub, whose own names have no dots there, is an upstream that
/// the operator did not declare: asking Hub for it could only mislead.
fn refuse_foreign_host(upstream: &str, endpoint: &Endpoint) -> Result<(), RouteError> {
    let Some(repository) = endpoint.repository() else {
        return Ok(());
    };
    let first = repository.first_component();
    let host = first.contains(['.', ':']) && !repository.is_single_component();
    if upstream == DOCKER_HUB && host {
        return Err(RouteError::Undeclared(first.to_owned()));
    }
    Ok(())
}

/// The `ns` of a query, percent-decoded; the first one counts.
fn namespace(query: Option<&str>) -> Option<String> {
    form_urlencoded::parse(query?.as_bytes())
        .find(|(key, _)| key == "ns")
        .map(|(_, value)| value.into_owned())
}

/// The query of a listing as upstream is asked it: all but what is between the client and us.
pub(super) fn listing_query(query: Option<&str>) -> Option<String> {
    let kept: Vec<&str> = query?
        .split('&')
        .filter(|pair| !pair.is_empty() && !is_ns(pair))
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

fn is_ns(pair: &str) -> bool {
    // Read as it is read above, so that no spelling of it gets past.
    form_urlencoded::parse(pair.as_bytes()).any(|(key, _)| key == "ns")
}

/// A port's colon may come encoded.
fn decoded_colon(component: &str) -> Cow<'_, str> {
    if component.contains('%') {
        Cow::Owned(component.replace("%3A", ":").replace("%3a", ":"))
    } else {
        Cow::Borrowed(component)
    }
}

/// Docker Hub's official repositories, which clients may write without their namespace.
fn in_library(upstream: &str, endpoint: Endpoint) -> Endpoint {
    let short = endpoint
        .repository()
        .filter(|name| name.is_single_component())
        .cloned();
    match short {
        Some(name) if upstream == DOCKER_HUB => endpoint.with_repository(name.in_library()),
        _ => endpoint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces() -> Namespaces {
        let names = [
            ("docker.io", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("ghcr.io", "ghcr.io"),
            ("reg.local:5000", "reg.local:5000"),
        ];
        let names = names.map(|(name, own)| (name.to_owned(), Arc::from(own)));
        Namespaces::new(names, Some(Arc::from("docker.io")))
    }

    fn told(target: &str) -> String {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(p, q)| (p, Some(q)));
        match namespaces().route(path, query) {
            Ok(route) => format!("{} {}", route.upstream, route.endpoint.path()),
            Err(error) => error.code().as_str().to_owned(),
        }
    }

    #[test]
    fn every_form_of_address_reaches_the_same_object() {
        let hub = "docker.io /v2/library/alpine/manifests/3";
        for target in [
            "/v2/alpine/manifests/3",
            "/v2/library/alpine/manifests/3",
            "/v2/library/alpine/manifests/3?ns=docker.io",
            "/v2/library/alpine/manifests/3?x=1&ns=index.docker.io",
            "/v2/alpine/manifests/3?ns=registry-1.docker.io",
            "/v2/docker.io/library/alpine/manifests/3",
            "/docker.io/v2/library/alpine/manifests/3",
            "/docker.io/v2/alpine/manifests/3?ns=docker.io",
        ] {
            assert_eq!(told(target), hub, "{target}");
        }
        for target in [
            "/v2/o/r/manifests/3?ns=ghcr.io",
            "/v2/ghcr.io/o/r/manifests/3",
            "/ghcr.io/v2/o/r/manifests/3",
        ] {
            assert_eq!(told(target), "ghcr.io /v2/o/r/manifests/3", "{target}");
        }
        for target in [
            "/v2/r/tags/list?ns=reg.local:5000",
            "/v2/r/tags/list?ns=reg.local%3A5000",
            "/v2/reg.local:5000/r/tags/list",
            "/reg.local%3A5000/v2/r/tags/list",
        ] {
            assert_eq!(told(target), "reg.local:5000 /v2/r/tags/list", "{target}");
        }
    }

    #[test]
    fn the_base_answers_with_and_without_a_prefix() {
        for target in [
            "/v2",
            "/v2/",
            "/v2?ns=docker.io",
            "/docker.io/v2/",
            "/v2/docker.io/",
        ] {
            assert_eq!(told(target), "docker.io /v2/", "{target}");
        }
    }

    #[test]
    fn what_is_not_declared_or_contradicts_itself_is_refused() {
        for (target, code) in [
            ("/v2/a/b/manifests/1?ns=evil.example", "NAME_INVALID"),
            ("/v2/a/b/manifests/1?ns=169.254.169.254", "NAME_INVALID"),
            ("/v2/a/b/manifests/1?ns=", "NAME_INVALID"),
            ("/v2/ghcr.io/a/b/manifests/1?ns=docker.io", "NAME_INVALID"),
            ("/evil.example/v2/a/b/manifests/1", "NAME_INVALID"),
            ("/v2/evil.example/a/b/manifests/1", "NAME_INVALID"),
            ("/", "NAME_UNKNOWN"),
            ("/v1/_ping", "NAME_UNKNOWN"),
            ("/v2x/a", "NAME_UNKNOWN"),
            ("//v2/", "NAME_UNKNOWN"),
        ] {
            assert_eq!(told(target), code, "{target}");
        }
    }

    #[test]
    fn without_a_default_a_name_is_needed() {
        let one = Namespaces::new([("ghcr.io".to_owned(), Arc::from("ghcr.io"))], None);
        assert_eq!(
            one.route("/v2/a/tags/list", None),
            Err(RouteError::NoDefault)
        );
        assert!(one.route("/v2/a/tags/list", Some("ns=ghcr.io")).is_ok());
        assert_eq!(
            one.route("/v2/", None).map(|route| route.endpoint),
            Ok(Endpoint::Base)
        );
    }

    #[test]
    fn a_listing_keeps_upstreams_own_parameters() {
        assert_eq!(
            listing_query(Some("n=5&ns=docker.io&next_page=a%2Fb")),
            Some("n=5&next_page=a%2Fb".into())
        );
        assert_eq!(listing_query(Some("ns=docker.io")), None);
        assert_eq!(listing_query(Some("%6es=docker.io")), None);
        assert_eq!(listing_query(None), None);
    }
}
