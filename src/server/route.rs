//! Which upstream and which endpoint a request means: pure, from the target and the declared names.
//!
//! All forms at once, because each client has its own: root (the default upstream), a path prefix on either
//! side of `/v2`, the `ns` query of containerd, and the host that the client believes it speaks to. A name that is
//! not declared is refused here or, as a host, means nothing; so nothing a client writes ever becomes a host to look up.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use url::form_urlencoded;

use super::access::Served;
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
    /// More names, which mean an upstream only as the host of a request.
    hosts: HashMap<String, Arc<str>>,
    default: Option<Arc<str>>,
    /// As whom each upstream's clients are served; as nobody where nothing is said.
    served: HashMap<Arc<str>, Served>,
}

/// What a request asks for, and of whom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The upstream's own name.
    pub(super) upstream: Arc<str>,
    /// The endpoint, its repository named as upstream names it.
    pub(super) endpoint: Endpoint,
    /// As whom the upstream's clients are served.
    pub(super) served: Served,
    /// The repository as the client wrote it: with the upstream in front where that stands within the name.
    pub(super) written: Option<String>,
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
    #[error("the request names two upstreams, {0:?} and {1:?}")]
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
            // A tag that cannot be names no manifest: registries answer 404, and the conformance suite of the OCI
            // distribution spec asks for such a one to see it.
            Self::Endpoint(EndpointError::Tag(_)) => ErrorCode::ManifestUnknown,
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
            hosts: HashMap::new(),
            default,
            served: HashMap::new(),
        }
    }

    /// The same, with hosts under which clients reach the mirror and mean an upstream, each with its own name.
    #[must_use]
    pub fn with_hosts(self, hosts: impl IntoIterator<Item = (String, Arc<str>)>) -> Self {
        Self {
            hosts: hosts.into_iter().collect(),
            ..self
        }
    }

    /// The same, with what is said of as whom clients are served.
    #[must_use]
    pub fn with_served(self, served: impl IntoIterator<Item = (Arc<str>, Served)>) -> Self {
        Self {
            served: served.into_iter().collect(),
            ..self
        }
    }

    /// As whom the upstream's clients are served.
    pub(super) fn served(&self, upstream: &str) -> Served {
        self.served.get(upstream).copied().unwrap_or_default()
    }

    /// The upstream that a name or an alias stands for.
    pub(super) fn spoken(&self, name: &str) -> Option<Arc<str>> {
        self.names.get(name).cloned()
    }

    /// The upstream in front of a repository's name, and the rest of that.
    pub(super) fn prefixed<'a>(&self, name: &'a str) -> Option<(Arc<str>, &'a str)> {
        let (first, rest) = name.split_once('/')?;
        Some((self.spoken(first)?, rest))
    }

    /// The upstream of a request to `host` that names none: the default one. Without a default, the only one whose
    /// clients are served as themselves: they have to learn how somewhere.
    pub(super) fn unnamed(&self, host: Option<&str>) -> Option<Arc<str>> {
        let hosted = host.and_then(|host| self.hosted(host));
        hosted.or_else(|| self.default.clone()).or_else(|| {
            let asks =
                |(_, served): &(&Arc<str>, &Served)| matches!(served, Served::AsThemselves(_));
            let mut asking = self.served.iter().filter(asks);
            let only = asking.next().map(|(name, _)| Arc::clone(name));
            only.filter(|_| asking.next().is_none())
        })
    }

    /// Reads a request target: a raw path, still percent-encoded, and a query. `host` is whom the client believes it
    /// speaks to, `host` or `host:port`.
    ///
    /// Path, query and host may each name the upstream, and those that do must agree.
    pub(super) fn route(
        &self,
        host: Option<&str>,
        path: &str,
        query: Option<&str>,
    ) -> Result<Route, RouteError> {
        let (prefix, within, path) = self.split_prefix(path)?;
        let ns = namespace(query);
        let asked = ns.as_deref().map(|ns| self.declared(ns)).transpose()?;
        let endpoint = Endpoint::parse(&path)?;
        let hosted = host.and_then(|host| self.hosted(host));
        let upstream = match agreed([prefix, asked, hosted])?.or_else(|| self.default.clone()) {
            Some(upstream) => upstream,
            // The version check is about this mirror: clients that name an upstream later begin here, too.
            None if endpoint == Endpoint::Base => {
                let asking = self.unnamed(None);
                asking.unwrap_or_else(|| Arc::from(NO_UPSTREAM))
            }
            None => return Err(RouteError::NoDefault),
        };
        let written = endpoint.repository().map(|name| match within {
            Some(prefix) => format!("{prefix}/{name}"),
            None => name.to_string(),
        });
        let endpoint = in_library(&upstream, endpoint);
        refuse_foreign_host(&upstream, &endpoint)?;
        Ok(Route {
            served: self.served(&upstream),
            written,
            upstream,
            endpoint,
            ns,
        })
    }

    /// The name of the upstream that a target means, if it is served: routing alone, for who tries it on any text.
    #[doc(hidden)]
    pub fn upstream_of(
        &self,
        host: Option<&str>,
        path: &str,
        query: Option<&str>,
    ) -> Option<Arc<str>> {
        self.route(host, path, query)
            .ok()
            .map(|route| route.upstream)
    }

    /// The upstream that a host stands for, if it stands for one. Its port counts only where it was declared.
    fn hosted(&self, host: &str) -> Option<Arc<str>> {
        let host = host.to_ascii_lowercase();
        let find = |host: &str| self.names.get(host).or_else(|| self.hosts.get(host));
        let found = find(&host).or_else(|| {
            let name = without_port(&host);
            // A name may end in the dot of the root (RFC 1034 section 3.1).
            find(name.strip_suffix('.').unwrap_or(name))
        });
        found.cloned()
    }

    fn declared(&self, name: &str) -> Result<Arc<str>, RouteError> {
        self.names
            .get(name)
            .cloned()
            .ok_or_else(|| RouteError::Undeclared(name.to_owned()))
    }

    /// Takes the upstream's name off the path, on whichever side of `/v2` it stands. Where it stands within the name of a
    /// repository it is given as it was written, too.
    fn split_prefix<'a>(&self, path: &'a str) -> Result<Prefixed<'a>, RouteError> {
        let api = |rest: &str| rest == "/v2" || rest.starts_with("/v2/");
        if let Some(rest) = path.strip_prefix("/v2/") {
            let (first, below) = rest.split_once('/').map_or((rest, ""), |(a, b)| (a, b));
            let first = decoded_colon(first);
            return Ok(match self.names.get(first.as_ref()) {
                Some(name) => {
                    let path = Cow::Owned(format!("/v2/{below}"));
                    (Some(Arc::clone(name)), Some(first), path)
                }
                None => (None, None, Cow::Borrowed(path)),
            });
        }
        if api(path) {
            return Ok((None, None, Cow::Borrowed(path)));
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
                None,
                Cow::Borrowed(below),
            )),
            None => Err(RouteError::NotTheApi),
        }
    }
}

/// An upstream, its name as it stands within a repository's, and the path without it.
type Prefixed<'a> = (Option<Arc<str>>, Option<Cow<'a, str>>, Cow<'a, str>);

/// The one upstream that is named, if any is.
fn agreed(named: [Option<Arc<str>>; 3]) -> Result<Option<Arc<str>>, RouteError> {
    named
        .into_iter()
        .flatten()
        .try_fold(None, |before, name| match before {
            Some(before) if before != name => Err(RouteError::Conflict(before, name)),
            _ => Ok(Some(name)),
        })
}

/// The host of `host` or `host:port`; the colons of an IPv6 address are within its brackets.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
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

/// A port's colon may come encoded.
fn decoded_colon(component: &str) -> Cow<'_, str> {
    if component.contains('%') {
        Cow::Owned(component.replace("%3A", ":").replace("%3a", ":"))
    } else {
        Cow::Borrowed(component)
    }
}

/// The same endpoint with its repository's name as upstream knows it.
fn in_library(upstream: &str, endpoint: Endpoint) -> Endpoint {
    match endpoint.repository().cloned() {
        Some(name) => endpoint.with_repository(in_full(upstream, name)),
        None => endpoint,
    }
}

/// A repository's name as upstream knows it: clients may write Docker Hub's official ones without their namespace.
pub(super) fn in_full(upstream: &str, repository: Repository) -> Repository {
    if upstream == DOCKER_HUB && repository.is_single_component() {
        repository.in_library()
    } else {
        repository
    }
}

#[cfg(test)]
mod tests;
