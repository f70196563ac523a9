//! What is asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::cases::Case;
use crate::load::Window;

/// Measures the mirror beside its peers.
#[derive(Debug, Clone, Parser)]
#[command(name = "script/bench")]
#[allow(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct Options {
    /// Minutes instead of half an hour: shorter windows, smaller blobs, fewer clients.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only these cases (may be given more than once). With --keep the others stay as they are kept.
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<Case>,
    /// How often everything is measured; the median counts. [default: 5, or 3 when it is to be quick]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// Write table and plots into docs/bench too, and the summary into the README.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Measure nothing: write table, plots and summary again, of what was kept last.
    #[arg(long, conflicts_with_all = ["quick", "cases", "rounds", "keep"])]
    pub(crate) again: bool,
    /// The program drayage, a peer that is measured where it is installed.
    #[arg(long, value_name = "FILE")]
    pub(crate) drayage: Option<PathBuf>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// What is to be measured, in order.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let every = Case::value_variants();
        let wanted = |case: &&Case| self.cases.is_empty() || self.cases.contains(case);
        every.iter().filter(wanted).copied().collect()
    }

    /// Whether no case is left out.
    pub(crate) fn wants_all(&self) -> bool {
        self.cases().len() == Case::value_variants().len()
    }

    /// How often everything is measured.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.unwrap_or(self.scale(5, 3))
    }

    /// The large value, or the small one when it is to be quick.
    pub(crate) fn scale<T>(&self, large: T, small: T) -> T {
        if self.quick { small } else { large }
    }

    /// How long one load runs, and how much of that is measured.
    pub(crate) fn window(&self) -> Window {
        let (warm_up, measured) = self.scale((300, 2000), (100, 400));
        Window {
            warm_up: Duration::from_millis(warm_up),
            measured: Duration::from_millis(measured),
        }
    }
}
