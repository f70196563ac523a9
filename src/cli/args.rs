//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::admin_client::At;
use super::bundle::BundleCommand;
use super::cache::CacheCommand;
use super::warm::WarmArgs;

/// A pull-through caching mirror for container registries.
#[derive(Parser)]
#[command(version, about)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Serve as a mirror until asked to end.
    Serve {
        /// The config file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show the mirror at work in this process alone: no network, nothing to install, nothing left behind.
    Demo {
        /// End after the table, instead of serving until asked to end.
        #[arg(long)]
        once: bool,
    },
    /// Hash all that is kept, and put aside what is wrong; a mirror may serve from the same folder meanwhile.
    Verify {
        /// The config file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show a running mirror: what it saved, how its upstreams stand, what is under way.
    Status {
        #[command(flatten)]
        at: At,
        /// Look again every two seconds until interrupted.
        #[arg(long)]
        watch: bool,
        /// One JSON document, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Look at and change what a running mirror keeps.
    Cache {
        #[command(flatten)]
        at: At,
        /// One JSON document a line, for programs.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Remove what nothing keeps and was not used for long from a running mirror.
    Gc {
        #[command(flatten)]
        at: At,
        /// Remove nothing and tell what would go.
        #[arg(long)]
        dry_run: bool,
        /// One JSON document, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Bring images before anybody asks for them.
    Warm(WarmArgs),
    /// Carry images as files, to where there is no network.
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Look at a config.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Tell all that is wrong with a config, without starting anything.
    Check {
        /// The config file.
        #[arg(value_name = "FILE", required_unless_present = "config")]
        file: Option<PathBuf>,
        /// The config file, as for the other commands.
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
    },
}
