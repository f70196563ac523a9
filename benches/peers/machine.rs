//! On what machine, with which versions, and when.

use std::fmt;
use std::fs::read_to_string;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::support::mirror::roadstead;
use crate::support::process::{Part, run, said};

/// What figures mean nothing without.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    date: String,
    processor: String,
    cores: usize,
    memory: String,
    kernel: String,
    /// Program and version.
    versions: Vec<String>,
    rounds: u64,
    quick: bool,
}

/// Looks at this machine, and asks each program for its version.
pub(crate) async fn describe(options: &Options) -> Machine {
    let mut versions = vec![version("roadstead", roadstead(), "--version").await];
    for (program, package, asking) in [
        ("nginx", "nginx-light", "-v"),
        ("docker-registry", "docker-registry", "--version"),
        ("dockerd", "docker.io", "--version"),
    ] {
        versions.push(version(program, Part { program, package }.command(), asking).await);
    }
    if let Some(drayage) = &options.drayage {
        versions.push(version("drayage", Command::new(drayage), "--version").await);
    }
    let day = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    Machine {
        date: day[..10].to_owned(),
        processor: line("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory: line("/proc/meminfo", "MemTotal"),
        kernel: read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        versions,
        rounds: options.rounds(),
        quick: options.quick,
    }
}

/// What a program says of its version, in one line that begins with its name.
async fn version(name: &str, mut command: Command, asking: &str) -> String {
    command.arg(asking);
    let said = said(&run(command, Duration::from_secs(20)).await);
    let number = said.split(|c: char| !(c.is_ascii_alphanumeric() || ".-~+".contains(c)));
    let number = number
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()));
    format!("{name} {}", number.unwrap_or("of an unknown version"))
}

/// The value in the first line of a file that begins with this word.
fn line(file: &str, word: &str) -> String {
    let text = read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(word));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// Lets this process and those it starts have so many files open, as far as they may.
pub(crate) fn allow_descriptors(many: u64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum.map_or(many, |maximum| maximum.min(many));
    let limit = Rlimit {
        current: Some(current),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("a limit below the highest");
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            date,
            processor,
            cores,
            memory,
            kernel,
            versions,
            rounds,
            quick,
        } = self;
        let quick = if *quick { ", quick" } else { "" };
        writeln!(
            f,
            "{date}; {cores} x {processor}, {memory}, Linux {kernel}; {}; medians of {rounds}{quick}.",
            versions.join(", ")
        )
    }
}
