//! The commands of the program, each a thin front of the rooms behind it.

mod args;
mod bundle;
mod config_check;
mod demo;
mod descriptors;
mod logging;
mod serve;
mod warm;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command, ConfigCommand};

/// Runs the command on the process's command line.
pub fn main() -> ExitCode {
    match Args::parse().command {
        Command::Serve { config } => serve::run(&config),
        Command::Demo { once } => demo::run(once),
        Command::Warm(args) => warm::run(&args),
        Command::Bundle { command } => bundle::run(&command),
        Command::Config { command } => match command {
            ConfigCommand::Check { file, config } => {
                config_check::run(&file.or(config).unwrap_or_default())
            }
        },
    }
}
