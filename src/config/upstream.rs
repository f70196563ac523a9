//! `[upstreams.NAME]`: one registry to pull from.

use std::num::NonZeroUsize;
use std::time::Duration;

use url::{Host, Url};

use super::auth::{self, Auth};
use super::reading::{Placed, Reported};
use super::section::Section;
use super::setting::{HostAndPort, Refusal, Setting, TimeOut, Value};
use super::tags::{self, Tags};
use super::upstream_name::UpstreamName;
use super::upstream_tls::{self, EgressProxy, UpstreamTls};
use crate::oci::{Pattern, RepositoryRules};

/// `[upstreams.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What clients call it.
    pub name: UpstreamName,
    /// Other names for it, those that every registry of this name has by nature among them.
    pub aliases: Vec<UpstreamName>,
    /// Hosts under which clients reach the mirror and mean this upstream, beside its name and its aliases.
    pub hosts: Vec<UpstreamName>,
    /// Where it is: `http` or `https`, host and port, nothing else.
    pub url: Url,
    /// How it proves who it is, and we to it.
    pub tls: UpstreamTls,
    /// What connections to it go through.
    pub proxy: Option<EgressProxy>,
    /// Which of its repositories may be pulled.
    pub repositories: RepositoryRules,
    /// It answers the requests that name no upstream. True for one upstream at most.
    pub is_default: bool,
    /// How old an answer about a tag may be.
    pub tags: Tags,
    /// Whose credentials it is asked with.
    pub auth: Auth,
    /// Hosts (`host` or `host:port`) that may be given the credentials in exchange for a token,
    /// beside the upstream itself.
    pub realms: Vec<String>,
    /// How long one step of a request may take. There is no limit on a whole download.
    pub timeouts: Timeouts,
    /// How much may be downloaded from it at once.
    pub downloads: Downloads,
    /// How many of the requests that it counts are kept in reserve: when no more are left, answers that are here are
    /// preferred to asking. 0 keeps none.
    pub rate_reserve: u32,
    /// It may redirect to loopback, private and link-local addresses. If the file does not say, this
    /// holds for an upstream that is itself at such an address.
    pub private_redirects: bool,
}

/// `[upstreams.NAME.timeouts]`; none is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request to the head of the response.
    pub header: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
}

/// `max_downloads`, `eager`, `eager_downloads` and `connections_per_blob` of `[upstreams.NAME]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloads {
    /// Connections that may download blobs at once; at least 1.
    pub max: usize,
    /// How many of them may download a manifest's blobs ahead of the client; not more than `max`. 0
    /// if nothing is (`eager = false`).
    pub eager: usize,
    /// How many of them may bring one blob, when each by itself is slow; 1 to 4, and not more than `max`.
    pub per_blob: usize,
}

/// The aliases an upstream has by nature, by its name: Docker Hub is addressed by three names (its
/// clients resolve `docker.io` to the other two, and some send those as `ns`).
const BUILT_IN_ALIASES: [(&str, [&str; 2]); 1] =
    [("docker.io", ["index.docker.io", "registry-1.docker.io"])];

/// An upstream and the places of what must be unique among all of them.
pub(super) struct Declared {
    pub(super) upstream: Upstream,
    /// Its name, its aliases and its hosts.
    pub(super) names: Vec<Placed<UpstreamName>>,
    /// Where it says that it is the default.
    pub(super) default: super::reading::Place,
}

pub(super) fn read(name: Placed<&str>, section: &mut Section<'_>) -> Result<Declared, Reported> {
    let place = name.place;
    let name = UpstreamName::read(Value::Text(name.value))
        .map_err(|refusal| section.reading().error(&place, refusal.reason));
    let aliases = section.list("aliases");
    let hosts = section.list::<UpstreamName>("hosts");
    let url = section.required::<RegistryUrl>("url");
    let tls = upstream_tls::read(section, url.as_ref().ok().map(|url| &url.0));
    let proxy = section.optional("proxy");
    let allow = section.list::<Pattern>("allow");
    let deny = section.list::<Pattern>("deny");
    let is_default = section.or("default", false);
    let tags = section.table("tags", tags::read);
    let auth = section.table("auth", auth::read);
    let realms = section.list::<HostAndPort>("realms");
    let timeouts = section.table("timeouts", read_timeouts);
    let downloads = read_downloads(section);
    let rate_reserve = section.or("rate_reserve", 10);
    let private_redirects = section.optional("private_redirects");

    let (name, url, hosts) = (name?, url?.0, hosts?.unwrap_or_default());
    let mut names = aliases?.unwrap_or_default();
    names.extend(built_in_aliases(&name).map(|value| Placed {
        place: place.clone(),
        value,
    }));
    let upstream = Upstream {
        name: name.clone(),
        aliases: names.iter().map(|alias| alias.value.clone()).collect(),
        hosts: hosts.iter().map(|host| host.value.clone()).collect(),
        tls: tls?,
        proxy: proxy?,
        repositories: RepositoryRules {
            allow: patterns(allow?),
            deny: patterns(deny?),
        },
        is_default: is_default?,
        tags: tags?,
        auth: auth?,
        realms: realms?
            .into_iter()
            .flatten()
            .map(|realm| realm.value.0)
            .collect(),
        timeouts: timeouts?,
        downloads: downloads?,
        rate_reserve: rate_reserve?,
        private_redirects: private_redirects?.unwrap_or_else(|| is_private(&url)),
        url,
    };
    names.insert(0, Placed { place, value: name });
    names.extend(hosts);
    Ok(Declared {
        upstream,
        names,
        default: section.place("default"),
    })
}

fn patterns(listed: Option<Vec<Placed<Pattern>>>) -> Vec<Pattern> {
    let listed = listed.into_iter().flatten();
    listed.map(|pattern| pattern.value).collect()
}

fn read_timeouts(section: &mut Section<'_>) -> Result<Timeouts, Reported> {
    let mut read = |key, seconds| section.or(key, TimeOut(Duration::from_secs(seconds)));
    let connect = read("connect", 5);
    let header = read("header", 20);
    let idle = read("idle", 30);
    Ok(Timeouts {
        connect: connect?.0,
        header: header?.0,
        idle: idle?.0,
    })
}

fn read_downloads(section: &mut Section<'_>) -> Result<Downloads, Reported> {
    const EAGER: usize = 4;
    const MOST_PER_BLOB: usize = 4;
    let max = section.or("max_downloads", NonZeroUsize::MIN.saturating_add(15));
    let is_eager = section.or("eager", true);
    let eager = section.optional::<NonZeroUsize>("eager_downloads");
    let per_blob = section.or("connections_per_blob", NonZeroUsize::MIN);

    let (max, is_eager, eager) = (max?.get(), is_eager?, eager?.map(NonZeroUsize::get));
    let eager = match eager {
        Some(_) if !is_eager => {
            return Err(section.error("eager_downloads", "is only read when eager is true"));
        }
        Some(eager) if eager > max => {
            let reason = format!("is more than max_downloads, which is {max}");
            return Err(section.refuse("eager_downloads", &reason));
        }
        None if !is_eager => 0,
        eager => eager.unwrap_or(EAGER).min(max),
    };
    let per_blob = per_blob?.get();
    if per_blob > MOST_PER_BLOB {
        let reason = format!("is more than {MOST_PER_BLOB}");
        return Err(section.refuse("connections_per_blob", &reason));
    }
    let per_blob = per_blob.min(max);
    Ok(Downloads {
        max,
        eager,
        per_blob,
    })
}

fn built_in_aliases(name: &UpstreamName) -> impl Iterator<Item = UpstreamName> {
    BUILT_IN_ALIASES
        .iter()
        .filter(move |(of, _)| *of == name.as_str())
        .flat_map(|(_, aliases)| aliases)
        .filter_map(|alias| alias.parse().ok())
}

/// The URL of a registry: the API is always at `/v2/` of a host (OCI distribution spec, Endpoints).
struct RegistryUrl(Url);

impl Setting for RegistryUrl {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a registry's URL: write https://HOST or http://HOST:PORT";
        let text = value.text(reason)?;
        // Asked first, so that no other message shows what may be a password.
        if text.contains('@') {
            return Err(Refusal::private(
                "must not hold a user name or a password: they belong into the auth table",
            ));
        }
        let url = Url::parse(text).map_err(|_| reason)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(reason.into());
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("must end after the host: it has a path, a query or a fragment".into());
        }
        Ok(Self(url))
    }
}

/// Whether the host of `url` is, by what is written, on this machine or in a private network
/// (RFC 1918, RFC 4193, RFC 3927, RFC 6761 section 6.3). Nothing is looked up.
fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_registry_is_a_scheme_and_a_host() {
        for text in [
            "https://ghcr.io",
            "https://ghcr.io/",
            "http://127.0.0.1:5000",
            "http://[::1]:80/",
        ] {
            assert!(RegistryUrl::read(Value::Text(text)).is_ok(), "{text}");
        }
        for (text, reason) in [
            ("ghcr.io", "is not a registry's URL"),
            ("ghcr.io:443", "is not a registry's URL"),
            ("ftp://ghcr.io", "is not a registry's URL"),
            ("https://", "is not a registry's URL"),
            ("https://ghcr.io:99999", "is not a registry's URL"),
            ("https://ghcr.io/v2/", "must end after the host"),
            ("https://ghcr.io?ns=x", "must end after the host"),
            ("https://ghcr.io/#x", "must end after the host"),
            ("https://bob:hunter2@ghcr.io", "must not hold a user name"),
            ("https://bob@ghcr.io/path", "must not hold a user name"),
        ] {
            let refusal = RegistryUrl::read(Value::Text(text))
                .map(|_| ())
                .unwrap_err();
            assert!(refusal.reason.starts_with(reason), "{text}: {refusal:?}");
            assert_eq!(refusal.is_private, text.contains('@'), "{text}");
        }
    }

    #[test]
    fn a_private_host_is_known_by_its_address() {
        for (url, expected) in [
            ("http://127.0.0.1:5000", true),
            ("http://10.1.2.3", true),
            ("http://192.168.0.1", true),
            ("http://169.254.1.1", true),
            ("http://[::1]", true),
            ("http://[fd00::1]", true),
            ("http://localhost:5000", true),
            ("http://registry.localhost", true),
            ("https://ghcr.io", false),
            ("https://8.8.8.8", false),
            ("https://localhost.example", false),
            ("https://[2001:db8::1]", false),
        ] {
            assert_eq!(is_private(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn every_built_in_alias_is_a_name() {
        for (name, aliases) in BUILT_IN_ALIASES {
            let name = name.parse().unwrap();
            let found: Vec<_> = built_in_aliases(&name)
                .map(|alias| alias.to_string())
                .collect();
            assert_eq!(found, aliases);
        }
    }
}
