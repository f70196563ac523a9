//! Programs started by the tests: found by name, bounded in time, ended by their own process id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::bound::within;

/// How long a daemon may take to end after it was asked to, before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that must be installed, and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// The program's file name.
    pub(crate) program: &'static str,
    /// The Debian package it comes in.
    pub(crate) package: &'static str,
}

impl Part {
    /// The command that runs this part, with no arguments yet.
    ///
    /// Panics with the name of the package when the program is not installed: a test that cannot run has failed.
    pub(crate) fn command(self) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
            .map(|folder| folder.join(self.program))
            .find(|file| file.is_file());
        let Some(file) = found else {
            panic!(
                "{} is missing (Debian package {}): run script/setup --parts, or --torture",
                self.program, self.package
            );
        };
        Command::new(file)
    }
}

/// Runs `command` to its end, at most `limit`; a program that takes longer is killed and fails the test.
pub(crate) async fn run(command: Command, limit: Duration) -> Output {
    let what = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    within(&what, limit, command.output())
        .await
        .unwrap_or_else(|error| panic!("cannot run {what}: {error}"))
}

/// As [`run`], and the program must succeed; otherwise what it printed is in the panic.
pub(crate) async fn run_well(command: Command, limit: Duration) -> Output {
    let what = format!("{command:?}");
    let output = run(command, limit).await;
    assert!(output.status.success(), "{what}: {}", said(&output));
    output
}

/// Exit status and everything a program printed, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A program that runs until it is stopped. Owns the process: dropping it ends the process and waits for that.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`; what it prints goes to the file `log` (added to what is there).
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let open = || File::options().create(true).append(true).open(log);
        let (out, err) = open()
            .and_then(|out| Ok((out, open()?)))
            .expect("the daemon's log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The exit code if it has ended by itself (-1 when a signal ended it).
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("the state of our own child");
        status.map(|status| status.code().unwrap_or(-1))
    }

    /// Sends it a signal; nothing happens when it has ended already.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill_process(self.pid(), signal).expect("a signal to our own child");
        }
    }

    /// Waits for its end, at most `limit`, and returns the exit code (-1: ended by a signal; `None`: it still runs).
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<i32> {
        if self.ended().is_none() {
            let process =
                pidfd_open(self.pid(), PidfdFlags::empty()).expect("a handle on our own child");
            let limit = Timespec::try_from(limit).expect("a limit that poll can take");
            poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit))
                .expect("waiting for our own child");
        }
        self.ended()
    }

    /// Ends it at once, as a power cut would (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait(PATIENCE);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {} printed ----\n{}", self.name, tail(&self.log(), 12));
        }
        self.signal(Signal::TERM);
        if self.wait(PATIENCE).is_none() {
            eprintln!("{} did not end when asked to: killed", self.name);
            self.kill();
        }
    }
}

/// The processor time that a process has used, in user and kernel mode (`man 5 proc`, `/proc/pid/stat`).
pub(crate) fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    // The name stands in parentheses and may hold anything; fields 14 and 15 count from before it.
    let (_, fields) = stat.rsplit_once(") ").expect("the end of the name");
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("clock ticks"))
        .sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// The last `lines` lines of a text, each only as far as a person would read it.
fn tail(text: &str, lines: usize) -> String {
    let from = text.lines().count().saturating_sub(lines);
    let tail = text.lines().skip(from);
    tail.map(|line| line.chars().take(400).collect::<String>())
        .collect::<Vec<_>>()
        .join("\n")
}
