//! `roadstead demo [--once]`: the mirror at work, in this process alone.
//!
//! ```text
//! Client --pull--> App (the real mirror) --uplink--> ImageRegistry (four images in memory)
//!                  a folder for this run             counts what it sends
//! ```
//!
//! Each image is pulled and pulled again, the last one by eight clients at once; what came to the clients and
//! what crossed the uplink stands side by side. A promise that is not kept ends it as a failure. Needs no
//! network and leaves nothing behind.

mod images;
mod outcomes;
mod program;
mod pull;
mod registry;
mod report;
mod settled;
mod stage;
mod tar;
mod try_it;

use std::future::{Future, pending};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use futures_util::future::try_join_all;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;

use self::images::Image;
use self::pull::{Client, PullError, Pulled};
use self::report::{Round, Row};
use self::settled::settled;
use self::stage::{Places, Ports, Stage};
use super::logging;
use crate::app::AppError;
use crate::config::{ConfigErrors, Log, LogFormat};
use crate::server::{BindError, ServeError, termination};

/// What is pulled, in this order: by how many clients at once, and twice if by one.
const PULLS: [(&str, usize); 4] = [
    ("library/hello", 1),
    ("library/multi", 1),
    ("library/big", 1),
    ("library/herd", 8),
];

/// Why the demo could not be given.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    /// A file cannot be written, no thread can be had, or nobody reads what is shown.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The demo's own config is wrong: a fault of this program.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The mirror cannot start, or failed.
    #[error(transparent)]
    Mirror(#[from] AppError),
    /// The upstream cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The upstream failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A registry ended.
    #[error("a registry ended: {0}")]
    Ended(String),
    /// A pull failed, or brought wrong bytes.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// Something is on its way and does not end.
    #[error("the mirror has what was asked for and still fetches")]
    Unsettled,
    /// The mirror did something else than it is there for.
    #[error("not as promised:\n  {}", .0.join("\n  "))]
    Broken(Vec<String>),
}

/// Gives the demo on standard output, then serves until asked to end unless it is `once`. Ends with 1 when
/// something is not as promised.
pub(super) fn run(once: bool) -> ExitCode {
    // Lines about each request would stand between those of the table.
    logging::begin(&Log {
        format: LogFormat::Text,
        level: Level::WARN,
    });
    match give(Ports::usual(), once, &mut io::stdout().lock(), asked_to_end) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roadstead: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ends when the demo is asked to end, or its terminal is closed: nobody is left then who could remove the folder.
///
/// # Errors
/// When the signals cannot be caught.
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    let asked = termination()?;
    let mut closed = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            () = asked => {}
            _ = closed.recv() => {}
        }
    })
}

/// Gives the demo on `out`, until the future that `stop` makes ends. `stop` is called on the runtime.
fn give<F, S>(ports: Ports, once: bool, out: &mut dyn Write, stop: S) -> Result<(), DemoError>
where
    F: Future<Output = ()>,
    S: FnOnce() -> io::Result<F>,
{
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("demo")
        .enable_all()
        .build()?;
    // Before there is a folder: a signal must not leave it behind.
    let stop = runtime.block_on(async { stop() })?;
    let folder = tempfile::Builder::new()
        .prefix("roadstead-demo-")
        .tempdir()?;
    let (stage, places) = Stage::build(images(), ports, folder.path())?;
    let ended = runtime.block_on(async {
        let mut running = stage.run();
        let ended = tokio::select! {
            ended = show(out, folder.path(), &places, once) => ended,
            error = running.broken() => Err(error),
            () = stop => Ok(()),
        };
        ended.and(running.end().await)
    });
    // Only now, when no part can write to it any more.
    folder.close()?;
    ended
}

fn images() -> Vec<Image> {
    vec![
        Image::plain("library/hello", 0, 0),
        Image::multi("library/multi"),
        Image::plain("library/big", 4, 16),
        Image::plain("library/herd", 1, 8),
    ]
}

async fn show(
    out: &mut dyn Write,
    folder: &Path,
    places: &Places,
    once: bool,
) -> Result<(), DemoError> {
    writeln!(
        out,
        "A registry of four images, and a mirror before it, both in this process.\n\n  \
         upstream  {:<16} in the place of Docker Hub\n  \
         mirror    {:<16} where clients pull\n  \
         operator  {:<16} /metrics, /healthz, /readyz\n",
        places.upstream, places.registry, places.admin
    )?;
    report::head(out)?;
    let mut faults = Vec::new();
    for (image, clients) in PULLS {
        let rounds = match clients {
            1 => vec![Round::First, Round::Second],
            _ => vec![Round::Herd(clients)],
        };
        for round in rounds {
            let row = pull(image, round, places).await?;
            row.write(out)?;
            faults.extend(row.fault());
        }
    }
    if !faults.is_empty() {
        return Err(DemoError::Broken(faults));
    }
    writeln!(
        out,
        "\nEvery byte came over the uplink once, and matched its digest."
    )?;
    if once {
        return Ok(());
    }
    try_it::write_files(folder, places.registry)?;
    try_it::write(out, folder, places)?;
    pending().await
}

/// Pulls `image`, and counts what this moved.
async fn pull(image: &'static str, round: Round, places: &Places) -> Result<Row, DemoError> {
    let clients = match round {
        Round::First | Round::Second => 1,
        Round::Herd(clients) => clients,
    };
    let before = settled(places).await?;
    let began = Instant::now();
    let pulls = (0..clients).map(|_| pull_anew(places.registry, image));
    let pulls = try_join_all(pulls).await?;
    let time = began.elapsed();
    let uplink = settled(places).await? - before;

    let mut together = Pulled::default();
    for pulled in pulls {
        together.bytes += pulled.bytes;
        together.outcomes.merge(pulled.outcomes);
    }
    Ok(Row {
        image,
        round,
        outcomes: together.outcomes,
        received: together.bytes,
        uplink,
        time,
    })
}

/// Pulls `image` as a client that has nothing yet.
async fn pull_anew(registry: SocketAddr, image: &str) -> Result<Pulled, PullError> {
    Client::new(registry)?.pull(image).await
}

#[cfg(test)]
mod tests;
