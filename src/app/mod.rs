//! The composition root: the one place that builds everything and hands it down.
//!
//! Read [`App::build`] and you know the program. No part makes another part for itself, and nothing is
//! reached through a global: two apps live in one process without knowing of each other.

mod admin_door;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use prometheus::Registry as MetricRegistry;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use self::admin_door::AdminDoor;
use crate::admin::AdminApi;
use crate::config::{
    Account, Auth, Config, OnLeave, RateLimited as RateLimitedConfig, TagPolicy as TagPolicyConfig,
    Tags as TagsConfig, TokenRealm as TokenRealmConfig, Upstream as UpstreamConfig,
};
use crate::mirror::{
    AccessPolicy, FillPolicy, Measures, Mirror, MirrorMetrics, Parts, SystemClock, TagPolicies,
    TagPolicy, TagRule, Upstream,
};
use crate::server::{
    Access, AccessParts, ApiPolicy, BindError, DoorLimits, Drained, Listeners, Namespaces,
    RateLimited, RegistryApi, ServeError, Served, ServerMetrics, TokenRealm,
};
use crate::store::{DiskStore, StoreError};
use crate::upstream::{
    BuildError, Credentials, HttpRegistry, Metrics as UpstreamMetrics, OfflineRegistry, Registry,
    Settings, Timeouts,
};

/// Threads that fetch, hash and write: half as many as the machine has cores. Those that serve are as many as those.
/// More would only wake each other.
fn fetch_threads() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Connections to the operator's side: a few scrapers and probes.
const ADMIN_CONNECTIONS: usize = 64;

/// How long the disk may take, when the process ends, for what has arrived whole.
const COMMIT_GRACE: Duration = Duration::from_secs(10);

/// Why the program cannot start, or had to stop. Each is one line that says what to mend.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An upstream cannot be set up.
    #[error("upstream {name}: {reason}")]
    Upstream {
        /// The upstream's name.
        name: String,
        /// What is wrong.
        reason: BuildError,
    },
    /// A metric is declared twice: a fault of this program.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// No threads could be had.
    #[error("cannot start threads: {0}")]
    Threads(#[from] io::Error),
    /// A listener failed while serving.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Where an app listens. Known once it is built, also where the config asks for port 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The clients' side.
    pub registry: Vec<SocketAddr>,
    /// The operator's side.
    pub admin: SocketAddr,
}

/// A mirror put together and bound; connections wait until it [runs](App::run).
pub struct App {
    /// Serves clients. Goes first at the end: nothing new is asked for after it.
    serve_runtime: Runtime,
    /// Runs fills and asks upstreams, so that no thread that serves a hit ever hashes a miss.
    fetch_runtime: Runtime,
    clients: Listeners,
    operator: Listeners,
    mirror: Arc<Mirror>,
    ending: watch::Sender<bool>,
    addresses: Addresses,
    grace: Duration,
}

impl App {
    /// Builds a mirror as `config` describes it. Asks no upstream: it starts with no network at all.
    pub fn build(config: &Config) -> Result<Self, AppError> {
        let metrics = MetricRegistry::new();
        let fetch_runtime = Builder::new_multi_thread()
            .worker_threads(fetch_threads())
            .thread_name("fetch")
            .enable_all()
            .build()?;
        let serve_runtime = Builder::new_multi_thread()
            .thread_name("serve")
            .enable_all()
            .build()?;

        let store = Arc::new(DiskStore::open(&config.store().path)?);
        let upstreams = upstreams(config, &metrics)?;
        let access = Access::new(AccessParts {
            registries: registries(&upstreams),
            fetch_runtime: fetch_runtime.handle().clone(),
            clock: Arc::new(SystemClock),
            external_url: config.server().external_url.clone(),
        });
        let mirror = Mirror::new(Parts {
            upstreams,
            store,
            clock: Arc::new(SystemClock),
            fills: fill_policy(config),
            access: access_policy(config),
            fetch_runtime: fetch_runtime.handle().clone(),
            metrics: MirrorMetrics::new(&metrics)?,
        });

        let mut clients = Listeners::default();
        let registry_api = Arc::new(RegistryApi::new(
            Arc::clone(&mirror),
            namespaces(config.upstreams()),
            access,
            ServerMetrics::new(&metrics)?,
            api_policy(config),
        ));
        let limits = DoorLimits {
            min_send_rate: config.server().min_send_rate.map_or(0, |it| it.as_u64()),
            connections: config.server().max_connections,
            ..DoorLimits::default()
        };
        let mut registry = Vec::new();
        for &address in &config.server().listen {
            registry.push(clients.add(address, Arc::clone(&registry_api), limits)?);
        }
        let mut operator = Listeners::default();
        let ending = watch::Sender::new(false);
        let admin_api = AdminApi::new(
            Arc::clone(&mirror),
            metrics,
            config.offline(),
            ending.subscribe(),
        );
        let limits = DoorLimits {
            connections: ADMIN_CONNECTIONS,
            ..DoorLimits::default()
        };
        let admin = operator.add(
            config.admin().listen,
            Arc::new(AdminDoor(admin_api)),
            limits,
        )?;

        Ok(Self {
            serve_runtime,
            fetch_runtime,
            clients,
            operator,
            mirror,
            ending,
            addresses: Addresses { registry, admin },
            grace: config.server().shutdown_grace,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until the future that `stop` makes ends, then lets requests under way finish until the grace period
    /// is over or `hurry` ends. The operator's side stays open until all is done.
    ///
    /// Blocks; `stop` is called on the runtime, so that it can listen for signals, and `hurry` is first looked at
    /// when it has ended.
    pub fn run<F, S, H>(self, stop: S, hurry: H) -> Result<Drained, AppError>
    where
        F: Future<Output = ()>,
        S: FnOnce() -> io::Result<F>,
        H: Future<Output = ()>,
    {
        let Self {
            serve_runtime,
            fetch_runtime,
            clients,
            operator,
            mirror,
            ending,
            grace,
            ..
        } = self;
        fetch_runtime.spawn(Arc::clone(&mirror).tend_fills());
        let drained = serve_runtime.block_on(async move {
            let stop = stop()?;
            let patience = async move {
                ending.send_replace(true);
                tracing::info!(
                    grace = %humantime::format_duration(grace),
                    "ending: answers in progress are finished first; ask again to end at once"
                );
                tokio::select! {
                    () = sleep(grace) => {}
                    () = hurry => {}
                }
            };
            let (done, all_done) = oneshot::channel::<Infallible>();
            let clients = async move {
                let _done = done;
                let drained = clients.serve(stop, patience).await;
                // What clients have whole must not be fetched again for want of a moment.
                let kept = async {
                    mirror.commits_ended().await;
                    mirror.fills_noted().await;
                };
                if timeout(COMMIT_GRACE, kept).await.is_err() {
                    tracing::warn!("the disk is too slow: not all that was downloaded is kept");
                }
                drained
            };
            let operator = async move {
                let served = operator.serve(all_done.map(drop), ready(())).await;
                if let Err(error) = served {
                    tracing::error!(%error, "the operator's side is closed");
                }
            };
            let (drained, ()) = tokio::join!(clients, operator);
            Ok::<_, AppError>(drained?)
        })?;
        serve_runtime.shutdown_background();
        // Fills under way are dropped here; what they brought was noted, and is taken up by the next start.
        fetch_runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(drained)
    }
}

/// The upstreams themselves, by name.
fn registries(upstreams: &HashMap<Arc<str>, Upstream>) -> HashMap<Arc<str>, Arc<dyn Registry>> {
    let registry = |(name, upstream): (&Arc<str>, &Upstream)| {
        (Arc::clone(name), Arc::clone(&upstream.registry))
    };
    upstreams.iter().map(registry).collect()
}

/// The ways to the declared upstreams, or offline to none.
fn upstreams(
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
            tags: tag_policies(&upstream.tags),
            downloads: upstream.downloads.max,
            eager_downloads: upstream.downloads.eager,
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

fn fill_policy(config: &Config) -> FillPolicy {
    let fills = config.fills();
    FillPolicy {
        finish: fills.on_leave == OnLeave::Finish,
        finish_share: fills.finish_share.as_f64(),
        answer_within: fills.answer_within,
        max_age: fills.max_age,
        max_bytes: fills.max_share.of(config.store().capacity.as_u64()),
        measures: Measures::default(),
    }
}

fn access_policy(config: &Config) -> AccessPolicy {
    AccessPolicy {
        allow: config.server().access_ttl,
        deny: config.server().deny_ttl,
    }
}

fn api_policy(config: &Config) -> ApiPolicy {
    ApiPolicy {
        answer_within: config.fills().answer_within,
        rate_limited: match config.server().rate_limited {
            RateLimitedConfig::Unavailable => RateLimited::Unavailable,
            RateLimitedConfig::TooManyRequests => RateLimited::TooManyRequests,
        },
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
        realms: upstream.realms.clone(),
        private_redirects: Some(upstream.private_redirects),
        rate_reserve: upstream.rate_reserve.into(),
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
fn namespaces(upstreams: &[UpstreamConfig]) -> Namespaces {
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
