//! The composition root: the one place that builds everything and hands it down.
//!
//! Read [`App::build`] and you know the program. No part makes another part for itself, and nothing is
//! reached through a global: two apps live in one process without knowing of each other.

mod admin_door;
mod engine;
mod entrance;
mod policies;
mod store_metrics;
mod upkeep;
mod upstreams;
mod warm;

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
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

pub use self::engine::Engine;
use self::entrance::{Entrance, Opened};
pub use self::policies::limits;
use self::policies::{access_policy, api_policy, fill_policy, garbage_policy};
pub use self::upstreams::names;
use self::upstreams::{declared, namespaces, registries, upstreams};
use crate::admin::{AdminApi, AdminParts, declare_process};
use crate::config::Config;
use crate::mirror::warm::{WarmList, WarmMetrics, Warmer};
use crate::mirror::{Mirror, MirrorMetrics, Parts, SystemClock, Upstream};
use crate::server::{
    Access, AccessParts, BindError, Drained, Listeners, RegistryApi, Renew, ServeError,
    ServerMetrics, TlsError, keep_renewed, renewal_requests,
};
use crate::store::{DiskStore, StoreError};
use crate::upstream::BuildError;

/// Threads that fetch, hash and write: half as many as the machine has cores. Those that serve are as many as those.
/// More would only wake each other.
fn fetch_threads() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

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
    store: Arc<DiskStore>,
    verify_rate: Option<u64>,
    clients: Listeners,
    operator: Listeners,
    mirror: Arc<Mirror>,
    warmer: Arc<Warmer>,
    /// What the warmer does by the clock.
    lists: Vec<WarmList>,
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
        declare_process(&metrics)?;
        let fetch_runtime = Builder::new_multi_thread()
            .worker_threads(fetch_threads())
            .thread_name("fetch")
            .enable_all()
            .build()?;
        let serve_runtime = Builder::new_multi_thread()
            .thread_name("serve")
            .enable_all()
            .build()?;

        let store = Arc::new(DiskStore::open(&config.store().path, limits(config))?);
        store_metrics::register(&metrics, Arc::clone(&store) as _)?;
        let upstreams = upstreams(config, &metrics)?;
        let access = Access::new(AccessParts {
            registries: registries(&upstreams),
            fetch_runtime: fetch_runtime.handle().clone(),
            clock: Arc::new(SystemClock),
            external_url: config.server().external_url.clone(),
        });
        let mirror = mirror(config, upstreams, &store, &metrics, fetch_runtime.handle())?;
        let warm_metrics = WarmMetrics::new(&metrics)?;
        let lists = warm::lists(config, &warm_metrics);
        let warmer = Arc::new(Warmer::new(
            Arc::clone(&mirror),
            names(config),
            fetch_runtime.handle().clone(),
            warm_metrics,
        ));

        let upstream_names = config.upstreams().iter().map(|it| it.name.as_str());
        let mut clients = Listeners::default();
        let registry_api = Arc::new(RegistryApi::new(
            Arc::clone(&mirror),
            namespaces(config.upstreams()),
            access,
            ServerMetrics::new(&metrics)?.with_upstreams(upstream_names),
            api_policy(config),
        ));
        let entrance = Entrance::new(config)?;
        let opened: Opened = entrance.open(&mut clients, registry_api)?;
        let mut operator = Listeners::default();
        let ending = watch::Sender::new(false);
        let token = config.admin().token.as_ref();
        let admin_api = AdminApi::new(AdminParts {
            mirror: Arc::clone(&mirror),
            warmer: Arc::clone(&warmer),
            metrics,
            offline: config.offline(),
            ending: ending.subscribe(),
            token: token.map(|token| token.expose().to_owned()),
            upstreams: config.upstreams().iter().map(declared).collect(),
        });
        let admin = admin_door::open(&mut operator, config.admin(), admin_api)?;

        Ok(Self {
            store,
            verify_rate: config.store().verify_rate.map(|rate| rate.as_u64()),
            serve_runtime,
            fetch_runtime,
            clients,
            operator,
            mirror,
            warmer,
            lists,
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
            store,
            verify_rate,
            serve_runtime,
            fetch_runtime,
            clients,
            operator,
            mirror,
            warmer,
            lists,
            ending,
            grace,
            renewable,
            ..
        } = self;
        upkeep::begin(store, verify_rate)?;
        fetch_runtime.spawn(Arc::clone(&mirror).tend_fills());
        fetch_runtime.spawn(Arc::clone(&mirror).tend_store());
        for list in lists {
            fetch_runtime.spawn(Arc::clone(&warmer).keep(list, Arc::new(SystemClock)));
        }
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
                    mirror.uses_noted().await;
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

/// The engine over the store and the config's upstreams.
fn mirror(
    config: &Config,
    upstreams: HashMap<Arc<str>, Upstream>,
    store: &Arc<DiskStore>,
    metrics: &MetricRegistry,
    fetch_runtime: &Handle,
) -> Result<Arc<Mirror>, AppError> {
    Ok(Mirror::new(Parts {
        upstreams,
        store: Arc::clone(store) as _,
        clock: Arc::new(SystemClock),
        fills: fill_policy(config),
        garbage: garbage_policy(config),
        access: access_policy(config),
        fetch_runtime: fetch_runtime.clone(),
        metrics: MirrorMetrics::new(metrics)?,
    }))
}
