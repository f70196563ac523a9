//! What it costs to count and to log a hit: `cargo bench --bench counting [-- ROUNDS]`.
//!
//! The real API behind the real door over loopback, on one serving thread, three times over: once what is told of an
//! answer is dropped, once it is counted, once it is counted and its line is written to `/dev/null`. Short rounds of the
//! three alternate, their order turns, and what is compared is the processor time of the serving thread alone, by the
//! kernel's own books; the client is another process. Manifests of two KiB are the hard case, for there is least
//! beside the counting.
//!
//! What is collected while a request is answered (when it began, its path) is there in all three.
//!
//! Ends with 1 when counting costs 3 % or more of a hit.

#![allow(clippy::cast_precision_loss, clippy::print_stdout, missing_docs)]

mod client;
mod house;

use std::error::Error;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};
use roadstead::oci::Digest;
use roadstead::server::{Body, DoorLimits, Handler, Listeners, Peer, Refusal, RegistryApi, Sent};
use roadstead::store::{DiskStore, Limits, Role};
use tokio::runtime::Builder;
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt, registry};

use self::client::{CLIENT, Client, be_client};
use self::house::{api, keep, manifest};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The name of the one thread that serves.
const SERVE: &str = "serve";
/// The share of a hit that counting must stay under.
const BOUND: f64 = 0.03;
/// What is told of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    Nothing,
    Counts,
    CountsAndLogs,
}

const ALL: [Tells; 3] = [Tells::Nothing, Tells::Counts, Tells::CountsAndLogs];

/// The API, telling so much.
struct Telling {
    api: Arc<RegistryApi>,
    tells: Tells,
    log: Dispatch,
}

#[async_trait]
impl Handler for Telling {
    type Ticket = <RegistryApi as Handler>::Ticket;

    async fn handle(&self, request: Request<()>) -> (Response<Body>, Self::Ticket) {
        self.api.handle(request).await
    }

    fn sent(&self, ticket: Self::Ticket, sent: Sent) {
        // Taken in all three, so that it is no part of the difference.
        tracing::dispatcher::with_default(&self.log, || {
            if self.tells != Tells::Nothing {
                self.api.sent(ticket, sent);
            }
        });
    }

    fn refuse(&self, refusal: Refusal, peer: Option<Peer>) -> Response<Body> {
        self.api.refuse(refusal, peer)
    }
}

/// A log as the program writes it, to nowhere.
fn log(level: Level) -> Result<Dispatch> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    let lines = fmt::layer()
        .with_ansi(false)
        .with_writer(Arc::new(nowhere))
        .with_filter(Targets::new().with_default(level));
    Ok(Dispatch::new(registry().with(lines)))
}

/// Nanoseconds that the serving thread has run. What it does between two rounds is nothing: then it sleeps, and the
/// kernel's book is up to date.
fn served_for() -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == SERVE {
            let book = fs::read_to_string(task.join("schedstat"))?;
            let ran = book.split_whitespace().next().unwrap_or_default();
            sum += ran.parse::<u64>()?;
        }
    }
    Ok(sum)
}

/// The values below which one, two and three quarters of them lie.
fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

/// Measures one kind of hit in rounds of `count` requests each. Gives the share of a hit that counting costs.
fn measure(
    what: &str,
    path: &str,
    (rounds, count): (usize, usize),
    client: &mut Client,
    addresses: &[SocketAddr],
) -> Result<f64> {
    // Microseconds a hit, by what is told.
    let mut cost: [Vec<f64>; 3] = Default::default();
    for round in 0..=rounds {
        for turn in 0..ALL.len() {
            let which = (turn + round) % ALL.len();
            let before = served_for()?;
            client.ask(addresses[which], path, count)?;
            let took = (served_for()? - before) as f64 / count as f64 / 1000.0;
            // The first round warms caches and is not counted.
            if round > 0 {
                cost[which].push(took);
            }
        }
    }
    // By rounds: what slows the machine down for a while slows all three of one round.
    let shares = |with: &[f64], without: &[f64]| {
        let pairs = with.iter().zip(without);
        let mut shares: Vec<_> = pairs.map(|(with, without)| with / without - 1.0).collect();
        quartiles(&mut shares)
    };
    let [nothing, counts, logs] = &cost;
    let (counting, logging) = (shares(counts, nothing), shares(logs, counts));
    let [nothing, counts, logs] = cost.map(|mut each| quartiles(&mut each)[1]);
    let told = |[low, middle, high]: [f64; 3]| {
        let [low, middle, high] = [low, middle, high].map(|share| share * 100.0);
        format!("{middle:.1} % ({low:.1} to {high:.1})")
    };
    println!(
        "{what:<18} {nothing:>8.2} us {counts:>8.2} us {logs:>8.2} us {:>22} {:>22}",
        told(counting),
        told(logging)
    );
    Ok(counting[1])
}

fn run(rounds: usize) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let store = Arc::new(DiskStore::open(folder.path(), Limits::of(1 << 30))?);
    store.scan(|_| true)?;
    let manifest = keep(&store, manifest().as_bytes(), Role::Manifest)?;
    let small = keep(&store, &[7; 1024], Role::Blob)?;
    let blob = keep(&store, &vec![7; 64 * 1024], Role::Blob)?;

    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(SERVE)
        .enable_all()
        .build()?;
    let fetch = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("fetch")
        .enable_all()
        .build()?;
    let api = Arc::new(api(store, fetch.handle())?);
    let mut listeners = Listeners::default();
    for tells in ALL {
        let level = if tells == Tells::CountsAndLogs {
            Level::INFO
        } else {
            Level::WARN
        };
        let telling = Telling {
            api: Arc::clone(&api),
            tells,
            log: log(level)?,
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        listeners.add(any, Arc::new(telling), DoorLimits::default())?;
    }
    let addresses: Vec<_> = listeners.addresses().collect();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving =
        runtime.spawn(listeners.serve(async move { drop(stopped.await) }, std::future::ready(())));

    let mut client = Client::start()?;
    println!(
        "processor time of a hit, medians of {rounds} rounds; shares are medians and quartiles of the rounds' own\n{:<18} {:>11} {:>11} {:>11} {:>22} {:>22}",
        "", "nothing", "counted", "and logged", "counting", "logging"
    );
    let path = |kind: &str, digest: &Digest| format!("/v2/library/alpine/{kind}/{digest}");
    let mut is_cheap = true;
    for (what, path, count) in [
        ("manifest of 2 KiB", path("manifests", &manifest), 2000),
        ("blob of 1 KiB", path("blobs", &small), 2000),
        ("blob of 64 KiB", path("blobs", &blob), 1000),
    ] {
        let counting = measure(what, &path, (rounds, count), &mut client, &addresses)?;
        is_cheap &= counting < BOUND;
    }
    client.end()?;
    drop(stop);
    runtime.block_on(serving)??;
    Ok(is_cheap)
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let done = if arguments.iter().any(|it| it == CLIENT) {
        be_client().map(|()| true)
    } else {
        let rounds = arguments.iter().find_map(|it| it.parse().ok());
        run(rounds.unwrap_or(200))
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("counting costs more than it may");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
