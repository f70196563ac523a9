//! The store on a disk that fails: each call that changes something on the disk fails once, in every way, and the
//! process is killed before each of them. Whatever happens, what is left must hold.
//!
//! Not a usual test, for the process that goes through the trouble is this program, too: with `FAULT_BELOW` it lives
//! one life of a store in that folder, as `life` says; without, it starts as many as there are calls, and looks at what
//! each left. What the faults are is in `nth.c`, which is preloaded.

mod life;
mod remains;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

/// What may happen to a call.
const FAULTS: [&str; 4] = ["eio", "enospc", "short", "kill"];

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os("FAULT_BELOW") {
        return life::live(Path::new(&folder));
    }
    // A test runner asks for the list of tests, or for one of them by name.
    if std::env::args().any(|it| it == "--list") {
        println!("every_fault_leaves_what_holds: test");
        return ExitCode::SUCCESS;
    }
    match every_fault_leaves_what_holds() {
        Ok(lives) => {
            println!("every fault leaves what holds: {lives} lives ... ok");
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!("{}", failed.join("\n"));
            ExitCode::FAILURE
        }
    }
}

fn every_fault_leaves_what_holds() -> Result<usize, Vec<String>> {
    let tools = tempfile::tempdir().map_err(|error| vec![error.to_string()])?;
    let shim = build(tools.path()).map_err(|error| vec![error])?;
    let count = tools.path().join("count");
    let whole = run(&shim, "none", 0, &count).map_err(|error| vec![error])?;
    if !whole.contains("unpinned") || !whole.contains("the end") {
        return Err(vec![format!("without a fault: {whole}")]);
    }
    let calls: usize = std::fs::read_to_string(&count)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .filter(|calls| *calls > 100)
        .ok_or_else(|| vec!["the calls were not counted".to_owned()])?;
    let lives: Vec<_> = FAULTS
        .iter()
        .flat_map(|fault| (1..=calls).map(move |at| (*fault, at)))
        .collect();
    // Two at a time: each waits for the disk most of the time.
    let (one, other) = lives.split_at(lives.len() / 2);
    let run_all = |lives: &[(&str, usize)]| -> Vec<String> {
        let lives = lives.iter();
        let failed = lives.filter_map(|(fault, at)| {
            let failed = run(&shim, fault, *at, Path::new("/dev/null")).err()?;
            Some(format!("{fault} at call {at} of {calls}: {failed}"))
        });
        failed.collect()
    };
    let failed = thread::scope(|scope| {
        let beside = scope.spawn(|| run_all(other));
        let mut failed = run_all(one);
        failed.extend(beside.join().unwrap_or_default());
        failed
    });
    if failed.is_empty() {
        Ok(lives.len())
    } else {
        Err(failed)
    }
}

/// Compiles what is preloaded.
fn build(folder: &Path) -> Result<PathBuf, String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/nth.c");
    let shim = folder.join("nth.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]);
    cc.arg(&shim).args([source, "-ldl"]);
    let done = cc
        .output()
        .map_err(|error| format!("cannot run cc (package gcc): {error}"))?;
    if done.status.success() {
        Ok(shim)
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

/// One life with `fault` at call `at`, and a look at what it left. Gives what it said.
fn run(shim: &Path, fault: &str, at: usize, count: &Path) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    // What the process sees of its files are paths without links.
    let folder = folder.path().canonicalize();
    let root = folder.map_err(|error| error.to_string())?.join("data");
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut life = Command::new(program);
    life.env("LD_PRELOAD", shim)
        .env("FAULT_BELOW", &root)
        .env("FAULT", fault)
        .env("FAULT_AT", at.to_string())
        .env("FAULT_COUNT", count);
    let done = life.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if fault != "kill" && !done.status.success() {
        let trouble = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{}: {said}{trouble}", done.status));
    }
    if fault == "kill" && done.status.success() {
        return Err(format!("it was not killed: {said}"));
    }
    remains::check(&root, &said).map_err(|why| format!("{why}; it said: {said}"))?;
    Ok(said)
}
