//! `roadstead warm`: images are brought before anybody asks, by a running mirror or by this process.

pub(super) mod files;
mod lists;
mod remote;
mod request;
mod show;

#[doc(hidden)]
pub use lists::reads_as_lists;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::FutureExt;
use tokio::runtime::Builder;

use self::remote::Remote;
use self::request::queries;
use self::show::{Show, summary};
use super::config_check::UNUSABLE;
use crate::app::{AppError, Engine};
use crate::config::Config;
use crate::mirror::warm::{JobState, Order, PinUnder, Report, Wanted, WantedPlatform, verdict};
use crate::server::termination;
use crate::store::StoreErrorKind;

/// Where a mirror is that was told nothing else.
const USUAL: &str = "http://127.0.0.1:5001";
/// What it ends with when some of it could not be had.
const PARTIAL: u8 = 3;
/// What it ends with when it was stopped, as is the custom of shells.
const INTERRUPTED: u8 = 130;
/// How often one looks how the job stands.
const LOOK: Duration = Duration::from_millis(200);

/// The command's own part of the command line.
#[derive(Args, Debug)]
pub(super) struct WarmArgs {
    /// Images, such as alpine, ghcr.io/o/r:1, or a pattern over tags: alpine:3.*
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// A list of images, one on each line; - is standard input.
    #[arg(short = 'f', long = "file", value_name = "LIST")]
    lists: Vec<PathBuf>,
    /// A compose file: the images of its services.
    #[arg(long, value_name = "FILE")]
    compose: Vec<PathBuf>,
    /// Kubernetes manifests, files or folders: the images of all containers.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    kubernetes: Vec<PathBuf>,
    /// Only these platforms, such as linux/amd64,linux/arm64 [default: all].
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<WantedPlatform>,
    /// Also what refers to the images: signatures, attestations, bills of materials.
    #[arg(long)]
    referrers: bool,
    /// Of the tags that a pattern matches only so many, the newest.
    #[arg(long, value_name = "N")]
    latest: Option<std::num::NonZeroUsize>,
    /// Pins what is here then under this name.
    #[arg(long, value_name = "NAME")]
    pin: Option<String>,
    /// The running mirror's operator side; if nothing is said, at the usual port of this machine.
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    server: Option<String>,
    /// The mirror's config file: asks the mirror that runs by it, or does the work itself if none does.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file that holds the mirror's token; the environment variable `ROADSTEAD_TOKEN` may hold it instead.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Writes the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Ends with 0 when all is here, 3 when some of it is, 1 when nothing is or nobody could be asked, 2 on misuse.
pub(super) fn run(args: &WarmArgs) -> ExitCode {
    match warm(args) {
        Ok(report) => told(args, &report),
        Err((code, why)) => {
            eprintln!("roadstead: {why}");
            ExitCode::from(code)
        }
    }
}

type Failure = (u8, String);

fn misuse(why: impl Into<String>) -> Failure {
    (UNUSABLE, why.into())
}

fn failure(why: impl Into<String>) -> Failure {
    (1, why.into())
}

fn told(args: &WarmArgs, report: &Report) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = if args.json {
        serde_json::to_writer(&mut out, report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        out.write_all(summary(report).as_bytes())
    };
    if written.and_then(|()| out.flush()).is_err() {
        return ExitCode::FAILURE;
    }
    match report.state {
        JobState::Complete => ExitCode::SUCCESS,
        JobState::Partial => ExitCode::from(PARTIAL),
        JobState::Cancelled => ExitCode::from(INTERRUPTED),
        JobState::Failed | JobState::Running => ExitCode::FAILURE,
    }
}

fn warm(args: &WarmArgs) -> Result<Report, Failure> {
    let order = order(args).map_err(misuse)?;
    let Some(file) = &args.config else {
        let server = args.server.as_deref().unwrap_or(USUAL);
        return ask(args, server, &order);
    };
    let config = Config::load(file).map_err(|errors| misuse(errors.to_string()))?;
    match Engine::build(&config) {
        Ok(engine) => here(args, engine, order),
        // A server runs on this folder: it does the work.
        Err(AppError::Store(error)) if error.kind() == StoreErrorKind::Locked => {
            let mut address = config.admin().listen;
            if address.ip().is_unspecified() {
                address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            ask(args, &format!("http://{address}"), &order)
        }
        Err(error) => Err(failure(error.to_string())),
    }
}

/// What is ordered by the command line.
fn order(args: &WarmArgs) -> Result<Order, String> {
    let mut images = args.images.clone();
    for path in &args.lists {
        images.extend(files::list(path)?);
    }
    for path in &args.compose {
        images.extend(files::compose(path)?);
    }
    for path in &args.kubernetes {
        images.extend(files::kubernetes(path)?);
    }
    let wanted = read_images(&images)?;
    if wanted.is_empty() {
        return Err("no image is named".to_owned());
    }
    Ok(Order {
        wanted,
        platforms: args.platform.clone(),
        referrers: args.referrers,
        latest: args.latest.map(std::num::NonZeroUsize::get),
        pin: args.pin.clone().map(|name| PinUnder { name, adds: false }),
    })
}

/// The images that are named so, each once.
pub(super) fn read_images(images: &[String]) -> Result<Vec<Wanted>, String> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for text in images {
        let read: Wanted = text.parse().map_err(|error| format!("{text}: {error}"))?;
        if !wanted.contains(&read) {
            wanted.push(read);
        }
    }
    Ok(wanted)
}

/// By this process.
fn here(args: &WarmArgs, engine: Engine, order: Order) -> Result<Report, Failure> {
    let mut show = Show::new(args.json);
    let warmer = engine.warmer();
    let report = engine.block_on(async {
        let stop = termination().map_err(|error| failure(error.to_string()))?;
        let stop = stop.fuse();
        tokio::pin!(stop);
        let id = warmer.begin(order).id;
        loop {
            let report = warmer.report(id);
            let report = report.ok_or_else(|| failure("the job is gone"))?;
            show.update(&report);
            if report.state != JobState::Running {
                return Ok(report);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = &mut stop => { warmer.cancel(id); }
            }
        }
    });
    show.end();
    engine.close();
    report
}

/// By a running mirror.
fn ask(args: &WarmArgs, server: &str, order: &Order) -> Result<Report, Failure> {
    let token = token(args).map_err(misuse)?;
    let remote = Remote::new(server, token).map_err(misuse)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failure(error.to_string()))?;
    let mut show = Show::new(args.json);
    let report = runtime.block_on(async {
        let stop = termination().map_err(|error| error.to_string())?;
        let stop = stop.fuse();
        tokio::pin!(stop);
        let mut all: Option<Report> = None;
        for query in queries(order) {
            let id = remote.begin(&query).await?;
            let report = loop {
                let report = remote.report(id).await?;
                let so_far = joined(all.clone(), report.clone());
                show.update(&so_far);
                if report.state != JobState::Running {
                    break so_far;
                }
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = &mut stop => remote.cancel(id).await?,
                }
            };
            let stopped = report.state == JobState::Cancelled;
            all = Some(report);
            if stopped {
                break;
            }
        }
        all.ok_or_else(|| "no image is named".to_owned())
    });
    show.end();
    report.map_err(failure)
}

/// Two reports as one.
fn joined(before: Option<Report>, report: Report) -> Report {
    let Some(mut all) = before else {
        return report;
    };
    all.rows.extend(report.rows);
    all.bytes += report.bytes;
    all.present += report.present;
    all.fetched += report.fetched;
    all.ended_at = report.ended_at;
    all.trouble = all.trouble.or(report.trouble);
    all.state = match verdict(all.rows.iter().map(|row| row.state)) {
        JobState::Complete if all.trouble.is_some() => JobState::Partial,
        state if report.ended_at.is_some() => state,
        _ => JobState::Running,
    };
    all
}

fn token(args: &WarmArgs) -> Result<Option<String>, String> {
    let Some(file) = &args.token_file else {
        let token = std::env::var("ROADSTEAD_TOKEN").ok();
        return Ok(token.filter(|token| !token.is_empty()));
    };
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Some(text.trim().to_owned()))
}
