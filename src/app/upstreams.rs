//! The upstreams as the config declares them, as each room wants them.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::Registry as MetricRegistry;

use super::AppError;
use crate::admin::Declared;
use crate::config::{
    Account, Auth, Config, TagPolicy as TagPolicyConfig, Tags as TagsConfig,
    TokenRealm as TokenRealmConfig, Upstream as UpstreamConfig,
};
use crate::mirror::{Names, TagPolicies, TagPolicy, TagRule, Upstream};
use crate::server::{Namespaces, Served, TokenRealm};
use crate::upstream::{
    Credentials, Egress, HttpRegistry, Metrics as UpstreamMetrics, OfflineRegistry, Registry,
    Settings, Timeouts, Trust,
};

pub(super) fn upstreams(
    config: &Config,
    metrics: &MetricRegistry,
) -> Result<HashMap<Arc<str>, Upstream>, AppError> {
    let metrics = UpstreamMetrics::new(metrics)?;
    let made = config.upstreams().iter().map(|upstream| {
        let name = upstream.name.as_str();
        let registry: Arc<dyn Registry> = if config.offline() {
            Arc::new(OfflineRegistry::new(name))
        } else {
            let made = HttpRegistry::new(&settings(upstream), &metrics);
            Arc::new(made.map_err(|reason| AppError::Upstream {
                name: name.to_owned(),
                reason,
            })?)
        };
        let made = Upstream {
            registry,
            repositories: upstream.repositories.clone(),
            tags: tag_policies(&upstream.tags),
            downloads: upstream.downloads.max,
            eager_downloads: upstream.downloads.eager,
            connections_per_blob: upstream.downloads.per_blob,
        };
        Ok((Arc::from(name), made))
    });
    made.collect()
}

fn tag_policies(tags: &TagsConfig) -> TagPolicies {
    let policy = |said: TagPolicyConfig| TagPolicy {
        ttl: said.ttl,
        stale_while_revalidate: said.stale_while_revalidate,
        stale_if_error: said.stale_if_error,
        negative_ttl: said.negative_ttl,
        is_immutable: said.is_immutable,
    };
    let rules = tags.rules.iter().map(|rule| TagRule {
        repository: rule.repository.clone(),
        tag: rule.tag.clone(),
        policy: policy(rule.policy),
    });
    TagPolicies {
        rules: rules.collect(),
        otherwise: policy(tags.otherwise),
    }
}

fn settings(upstream: &UpstreamConfig) -> Settings {
    let credentials = match &upstream.auth {
        Auth::Anonymous | Auth::Client(_) => Credentials::Anonymous,
        Auth::Own(Account::Password { username, password }) => Credentials::Own {
            username: username.clone(),
            password: password.expose().to_owned(),
        },
        Auth::Own(Account::IdentityToken(token)) => {
            Credentials::IdentityToken(token.expose().to_owned())
        }
        Auth::Own(Account::Program { program, ttl }) => Credentials::Program {
            program: program.clone(),
            ttl: *ttl,
        },
    };
    Settings {
        name: upstream.name.as_str().to_owned(),
        url: upstream.url.clone(),
        credentials,
        timeouts: Timeouts {
            connect: upstream.timeouts.connect,
            header: upstream.timeouts.header,
            idle: upstream.timeouts.idle,
        },
        trust: Trust {
            roots: upstream.tls.roots.clone(),
            identity: upstream.tls.identity.clone().map(|it| (it.chain, it.key)),
            insecure: upstream.tls.insecure,
        },
        egress: upstream.proxy.as_ref().map(|proxy| Egress {
            url: proxy.url.clone(),
            credentials: (proxy.credentials.as_ref())
                .map(|(name, password)| (name.clone(), password.expose().to_owned())),
        }),
        realms: upstream.realms.clone(),
        private_redirects: Some(upstream.private_redirects),
        rate_reserve: upstream.rate_reserve.into(),
    }
}

pub(super) fn declared(upstream: &UpstreamConfig) -> Declared {
    let host = upstream.url.host_str().unwrap_or_default();
    let port = upstream.url.port().map(|port| format!(":{port}"));
    Declared {
        name: upstream.name.as_str().into(),
        aliases: upstream
            .aliases
            .iter()
            .map(|it| it.as_str().to_owned())
            .collect(),
        is_default: upstream.is_default,
        host: format!("{host}{}", port.unwrap_or_default()),
    }
}

/// As whom an upstream's clients are served.
fn served(upstream: &UpstreamConfig) -> Served {
    match upstream.auth {
        Auth::Anonymous => Served::AsNobody,
        Auth::Own(_) => Served::AsTheMirror,
        Auth::Client(TokenRealmConfig::Mirror) => Served::AsThemselves(TokenRealm::Mirror),
        Auth::Client(TokenRealmConfig::Upstream) => Served::AsThemselves(TokenRealm::Upstream),
    }
}

/// Every name, alias and host clients may write.
pub(super) fn namespaces(upstreams: &[UpstreamConfig]) -> Namespaces {
    let own = |upstream: &UpstreamConfig| Arc::<str>::from(upstream.name.as_str());
    let names = upstreams.iter().flat_map(|upstream| {
        let spoken = std::iter::once(&upstream.name).chain(&upstream.aliases);
        spoken.map(move |name| (name.as_str().to_owned(), own(upstream)))
    });
    let default = upstreams.iter().find(|it| it.is_default).map(own);
    let served = upstreams
        .iter()
        .map(|upstream| (own(upstream), served(upstream)));
    let hosts = upstreams.iter().flat_map(|upstream| {
        let hosts = upstream.hosts.iter();
        hosts.map(move |host| (host.as_str().to_owned(), own(upstream)))
    });
    Namespaces::new(names, default)
        .with_hosts(hosts)
        .with_served(served)
}

/// Every name and alias that an upstream has in references to images.
pub fn names(config: &Config) -> Names {
    let names = config.upstreams().iter().flat_map(|upstream| {
        let own = Arc::<str>::from(upstream.name.as_str());
        let spoken = std::iter::once(&upstream.name).chain(&upstream.aliases);
        spoken.map(move |name| (name.as_str().to_owned(), Arc::clone(&own)))
    });
    Names::new(names)
}

/// The upstreams themselves, by name.
pub(super) fn registries(
    upstreams: &HashMap<Arc<str>, Upstream>,
) -> HashMap<Arc<str>, Arc<dyn Registry>> {
    let registry = |(name, upstream): (&Arc<str>, &Upstream)| {
        (Arc::clone(name), Arc::clone(&upstream.registry))
    };
    upstreams.iter().map(registry).collect()
}
