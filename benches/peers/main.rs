//! The mirror beside its peers, on one machine and in one run: `script/bench`.
//!
//! What is compared are ratios: every round asks all of them the same, in turn, and the figure of each is its median.
//! Processor time is that of the server's processes alone; the clients and the upstream run beside them on the same
//! cores, so what goes through in a second says more of the machine.

#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod cases;
mod floor;
mod load;
mod machine;
mod options;
mod peer;
mod plots;
mod results;
mod stage;
mod table;
mod tls;
mod written;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

use machine::Machine;
use options::Options;
use results::Results;
use written::{Measured, put_into};

const MIB: usize = 1024 * 1024;

/// Where raw results, table and plots go, below the package.
const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
/// Where they go to be kept.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bench");

/// Where their summary goes.
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// Descriptors enough for a thousand clients, and the tap's two for each of them.
const DESCRIPTORS: u64 = 16 * 1024;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    match (words.next().as_deref(), words.next(), words.next()) {
        (Some(floor::FLOOR), Some(address), Some(root)) => {
            let address = address.parse().expect("an address");
            let served = floor::serve(address, Path::new(&root));
            eprintln!("{served:?}");
            ExitCode::FAILURE
        }
        _ => compare(&Options::parse()),
    }
}

/// Measures what is asked for, and tells it.
#[tokio::main(flavor = "multi_thread")]
async fn compare(options: &Options) -> ExitCode {
    machine::allow_descriptors(DESCRIPTORS);
    if options.again {
        keep(&Measured::read(Path::new(KEPT)).expect("what was kept last"));
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let machine = machine::describe(options).await;
    let beside = match beside(options, &machine) {
        Ok(beside) => beside,
        Err(reason) => {
            eprintln!("== {reason}");
            return ExitCode::FAILURE;
        }
    };
    // What is dropped ends its servers and deletes their folders, which are large.
    let (results, failed) = tokio::select! {
        measured = measure(options) => measured,
        () = told_to_stop() => {
            eprintln!("== stopped");
            return ExitCode::FAILURE;
        }
    };
    let measured = Measured { machine, results };
    println!("{}", measured.table(&failed));
    put(&measured, Path::new(TARGET));
    if options.keep && failed.is_empty() {
        let results = beside.renewed(measured.results);
        keep(&Measured {
            results,
            ..measured
        });
    }
    eprintln!("== {} s", began.elapsed().as_secs());
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What is to stand beside what will be kept: the cases that are not measured now, if they were measured under the same
/// conditions.
fn beside(options: &Options, machine: &Machine) -> Result<Results, &'static str> {
    if !options.keep {
        return Ok(Results::default());
    }
    match Measured::read(Path::new(KEPT)) {
        Ok(last) if last.machine == *machine => Ok(last.results),
        _ if options.wants_all() => Ok(Results::default()),
        Ok(_) => Err("what is kept is of another day, machine, version or length: keep all cases"),
        Err(_) => Err("nothing is kept that could be read: keep all cases"),
    }
}

/// Writes all of it, and its summary into the README.
fn keep(measured: &Measured) {
    put(measured, Path::new(KEPT));
    let written = put_into(Path::new(README), &measured.summary());
    written.unwrap_or_else(|error| panic!("{README}: {error}"));
}

fn put(measured: &Measured, folder: &Path) {
    let written = measured.write(folder);
    written.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    plots::draw(folder, &measured.results);
    eprintln!("== written to {}", folder.display());
}

/// Measures one case after the other; returns the names of those that could not be measured, too.
async fn measure(options: &Options) -> (Results, Vec<&'static str>) {
    let mut results = Results::default();
    let mut failed = Vec::new();
    for case in options.cases() {
        eprintln!("== {}", case.name());
        // When a case panics, what the others measured is not lost.
        let running = AssertUnwindSafe(case.run(options));
        if let Ok(measured) = running.catch_unwind().await {
            results.extend(measured);
        } else {
            eprintln!("== {} FAILED", case.name());
            failed.push(case.name());
        }
    }
    (results, failed)
}

/// Waits for Ctrl-C or SIGTERM.
async fn told_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a handler for SIGINT");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
