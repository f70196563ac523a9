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
    let began = Instant::now();
    let (measured, failed) = if options.again {
        let last = Measured::read(Path::new(TARGET));
        (last.expect("what was measured last"), Vec::new())
    } else {
        // What is dropped ends its servers and deletes their folders, which are large.
        let (results, failed) = tokio::select! {
            measured = measure(options) => measured,
            () = told_to_stop() => {
                eprintln!("== stopped");
                return ExitCode::FAILURE;
            }
        };
        let machine = machine::describe(options).await;
        let last = Measured::read(Path::new(TARGET)).ok();
        let results = match last.filter(|last| last.machine == machine) {
            Some(last) => last.results.renewed(results),
            None => results,
        };
        (Measured { machine, results }, failed)
    };
    let summary = table::summary(&measured.machine, &measured.results);
    let text = table::render(&summary, &measured.results, &failed);
    println!("{text}");
    let folders = [Some(TARGET), options.keep.then_some(KEPT)];
    for folder in folders.into_iter().flatten().map(Path::new) {
        let written = measured.write(folder, &text);
        written.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        plots::draw(folder, &measured.results);
        eprintln!("== written to {}", folder.display());
    }
    if options.keep {
        let written = put_into(Path::new(README), &summary);
        written.unwrap_or_else(|error| panic!("{README}: {error}"));
    }
    eprintln!("== {} s", began.elapsed().as_secs());
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
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
