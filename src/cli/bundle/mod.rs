//! `roadstead bundle`: images carried as files, out of one mirror and into another.

mod export;
mod folder;
mod have;
mod import;
mod pieces;
mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::config_check::UNUSABLE;
use crate::app::limits;
use crate::config::Config;
use crate::store::{DiskStore, StoreErrorKind};

/// What it ends with when it did not find all of what it was asked for.
const PARTIAL: u8 = 3;

#[derive(Subcommand, Debug)]
pub(super) enum BundleCommand {
    /// Write images of this mirror into a file. The server must be stopped.
    Export(export::ExportArgs),
    /// Take images in. The server must be stopped.
    Import(import::ImportArgs),
    /// Tell what is in a bundle.
    Inspect(import::LookArgs),
    /// Tell whether all of a bundle is right.
    Verify(import::LookArgs),
    /// List the digests that are here: for `export --have` on the other side. The server may run.
    Have {
        /// The mirror's config file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// What the process ends with, and why.
type Failure = (u8, String);

fn misuse(why: impl Into<String>) -> Failure {
    (UNUSABLE, why.into())
}

fn failure(why: impl Into<String>) -> Failure {
    (1, why.into())
}

/// Ends with 0 when all was done, 3 when some of it was left out, 1 when nothing was, 2 on misuse.
pub(super) fn run(command: &BundleCommand) -> ExitCode {
    ended(match command {
        BundleCommand::Export(args) => export::run(args),
        BundleCommand::Import(args) => import::run(args),
        BundleCommand::Inspect(args) => import::inspect(args),
        BundleCommand::Verify(args) => import::verify(args),
        BundleCommand::Have { config } => have::run(config),
    })
}

/// Lists the digests in the data folder of this config; ends as the others do.
pub(super) fn have(config: &Path) -> ExitCode {
    ended(have::run(config))
}

fn ended(done: Result<bool, Failure>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(PARTIAL),
        Err((code, why)) => {
            eprintln!("roadstead: {why}");
            ExitCode::from(code)
        }
    }
}

/// The config, and the store that it names, which nobody else may use meanwhile.
fn open_store(file: &Path) -> Result<(Config, DiskStore), Failure> {
    let config = Config::load(file).map_err(|errors| misuse(errors.to_string()))?;
    let opened = DiskStore::open(&config.store().path, limits(&config));
    let store = opened.map_err(|error| match error.kind() {
        StoreErrorKind::Locked => failure(format!(
            "{error}\na server runs on this data folder: stop it, run this again, and start it anew"
        )),
        _ => failure(error.to_string()),
    })?;
    // What is here must be known before anything more is taken in: there is a capacity to keep to.
    let scanned = store.scan(|_| true);
    scanned.map_err(|error| failure(error.to_string()))?;
    Ok((config, store))
}
