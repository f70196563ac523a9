//! The binary's demo, as a newcomer runs it: with no network, no config and no arguments but `--once`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

/// One demo at a time: two that look for the usual ports in the same moment both find them free.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn it_shows_a_miss_then_a_hit_that_moves_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .args(["demo", "--once"])
        .output()
        .expect("the binary runs");
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{out}\n{err}");
    assert_eq!(err, "", "nothing to warn of");

    let big: Vec<&str> = (out.lines())
        .filter(|line| line.contains("library/big"))
        .collect();
    let [first, second] = big.as_slice() else {
        panic!("{out}");
    };
    assert!(first.ends_with("miss"), "{out}");
    assert!(second.ends_with("hit") && second.contains(" 0 B "), "{out}");
    assert_eq!(first.matches("64.0 MiB").count(), 2, "{out}");
}

#[test]
fn a_terminal_that_is_closed_leaves_no_folder_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .arg("demo")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let out = BufReader::new(demo.stdout.take().expect("its output"));
    let last = out
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("Ctrl-C"));
    let left = || std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
    let there = left();
    kill_process(Pid::from_child(&demo), Signal::HUP).expect("a signal");
    let status = demo.wait().expect("its end");
    assert!(last.is_some() && there == 1, "{last:?} {there}");
    assert!(status.success(), "{status}");
    assert_eq!(left(), 0);
}
