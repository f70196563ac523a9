//! The commands of the program, each a thin front of the rooms behind it.

mod admin_client;
mod args;
mod bundle;
mod cache;
mod config_check;
mod demo;
mod descriptors;
mod figures;
mod logging;
mod notify;
mod serve;
mod status;
mod verify;
mod warm;

#[doc(hidden)]
pub use warm::reads_as_lists;

use std::process::ExitCode;

use clap::Parser;

use self::admin_client::AskError;
use self::args::{Args, Command, ConfigCommand};
use self::cache::CacheCommand;

/// Runs the command on the process's command line.
pub fn main() -> ExitCode {
    match Args::parse().command {
        Command::Serve { config } => serve::run(&config),
        Command::Demo { once } => demo::run(once),
        Command::Verify { config } => verify::run(&config),
        Command::Status { at, watch, json } => status::run(&at, watch, json),
        Command::Cache { at, json, command } => match (&command, at.config()) {
            // From the data folder itself, whether a mirror runs or not.
            (CacheCommand::Have, Some(config)) if !json => bundle::have(config),
            _ => cache::run(&at, &command, json),
        },
        Command::Gc { at, dry_run, json } => cache::collect(&at, dry_run, json),
        Command::Warm(args) => warm::run(&args),
        Command::Bundle { command } => bundle::run(&command),
        Command::Config { command } => match command {
            ConfigCommand::Check { file, config } => {
                config_check::run(&file.or(config).unwrap_or_default())
            }
        },
    }
}

/// How a command that asks a running mirror ends: 1 when it was of no use, 2 when it could not be tried.
fn told(asked: Result<(), AskError>) -> ExitCode {
    let Err(error) = asked else {
        return ExitCode::SUCCESS;
    };
    match error {
        // Whoever reads has seen enough.
        AskError::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        AskError::Unusable(_) => {
            eprintln!("roadstead: {error}");
            ExitCode::from(config_check::UNUSABLE)
        }
        _ => {
            eprintln!("roadstead: {error}");
            ExitCode::FAILURE
        }
    }
}
