//! The composition root: the one place that builds everything and hands it down.
//!
//! Read [`App::build`] and you know the program. No part makes another part for itself, and nothing is
//! reached through a global: two apps live in one process without knowing of each other.

mod admin_door;
mod entrance;

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
use self::entrance::{Entrance, Opened};
use crate::admin::AdminApi;
use crate::config::{
    Auth, Config, OnLeave, RateLimited as RateLimitedConfig, TagPolicy as TagPolicyConfig,
    Tags as TagsConfig, Upstream as UpstreamConfig,
};
use crate::mirror::{
    AccessPolicy, FillPolicy, Measures, Mirror, MirrorMetrics, Parts, SystemClock, TagPolicies,
    TagPolicy, TagRule, Upstream,
};
use crate::server::{
    ApiPolicy, BindError, DoorLimits, Drained, Listeners, Namespaces, RateLimited, RegistryApi,
    Renew, ServeError, ServerMetrics, TlsError, keep_renewed, renewal_requests,
};
use crate::store::{DiskStore, StoreError};
use crate::upstream::{
    BuildError, Credentials, Egress, HttpRegistry, Metrics as UpstreamMetrics, OfflineRegistry,
    Registry, Settings, Timeouts, Trust,
};

/// Threads that fetch, hash and write: half as many as the machine has cores. Those that serve are as many as those.
/// More would only wake each other.
fn fetch_threads() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Connections to the operator's side: a few scrapers and probes.
const ADMIN_CONNECTIONS: usize = 64;

/// How often files that may be replaced are looked at without being asked to.
const RENEWAL: Duration = Duration::from_secs(15);

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
    /// A listener has no certificate that can be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There are no users to be let in.
    #[error("{0}")]
    Users(String),
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
    /// The clients' side where TLS is spoken.
    pub encrypted: Vec<SocketAddr>,
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
    /// What lies in files that may be replaced.
    renewable: Vec<Arc<dyn Renew>>,
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
        let mirror = Mirror::new(Parts {
            upstreams: upstreams(config, &metrics)?,
            store,
            clock: Arc::new(SystemClock),
            fills: fill_policy(config),
            access: AccessPolicy::default(),
            fetch_runtime: fetch_runtime.handle().clone(),
            metrics: MirrorMetrics::new(&metrics)?,
        });

        let mut clients = Listeners::default();
        let registry_api = Arc::new(RegistryApi::new(
            Arc::clone(&mirror),
            namespaces(config.upstreams()),
            ServerMetrics::new(&metrics)?,
            api_policy(config),
        ));
        let entrance = Entrance::new(config)?;
        let opened: Opened = entrance.open(&mut clients, registry_api)?;
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
            addresses: Addresses {
                registry: opened.registry,
                encrypted: opened.encrypted,
                admin,
            },
            renewable: opened.renewable,
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
            renewable,
            ..
        } = self;
        fetch_runtime.spawn(Arc::clone(&mirror).tend_fills());
        let drained = serve_runtime.block_on(async move {
            let stop = stop()?;
            let renewing = keep_renewed(renewable, RENEWAL, renewal_requests()?);
            let renewing = tokio::spawn(renewing);
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
            renewing.abort();
            Ok::<_, AppError>(drained?)
        })?;
        serve_runtime.shutdown_background();
        // Fills under way are dropped here; what they brought was noted, and is taken up by the next start.
        fetch_runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(drained)
    }
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
            repositories: upstream.repositories.clone(),
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
        Auth::Anonymous => Credentials::Anonymous,
        Auth::Own { username, password } => Credentials::Own {
            username: username.clone(),
            password: password.expose().to_owned(),
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

/// Every name, alias and host clients may write.
fn namespaces(upstreams: &[UpstreamConfig]) -> Namespaces {
    let own = |upstream: &UpstreamConfig| Arc::<str>::from(upstream.name.as_str());
    let names = upstreams.iter().flat_map(|upstream| {
        let spoken = std::iter::once(&upstream.name).chain(&upstream.aliases);
        spoken.map(move |name| (name.as_str().to_owned(), own(upstream)))
    });
    let default = upstreams.iter().find(|it| it.is_default).map(own);
    let with_account = |upstream: &&UpstreamConfig| matches!(upstream.auth, Auth::Own { .. });
    let private = upstreams.iter().filter(with_account).map(own);
    let hosts = upstreams.iter().flat_map(|upstream| {
        let hosts = upstream.hosts.iter();
        hosts.map(move |host| (host.as_str().to_owned(), own(upstream)))
    });
    Namespaces::new(names, default)
        .with_hosts(hosts)
        .with_private(private)
}
