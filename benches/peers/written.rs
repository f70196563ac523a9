//! What was measured, in files: raw, as a table, as plots, and as a summary in the README.

use std::fs::{create_dir_all, read_to_string, write};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::results::Results;
use crate::table;

const RAW: &str = "results.json";

/// Between these lines of the README stands the summary.
const MARKS: (&str, &str) = ("<!-- script/bench -->\n", "<!-- /script/bench -->\n");

/// What was measured, and where.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) machine: Machine,
    pub(crate) results: Results,
}

impl Measured {
    /// What was written to this folder last.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let raw = read_to_string(folder.join(RAW))?;
        Ok(serde_json::from_str(&raw)?)
    }

    /// Writes everything, and the table made of it, into a folder.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let raw = serde_json::to_string_pretty(self)?;
        create_dir_all(folder)?;
        write(folder.join(RAW), raw + "\n")?;
        write(folder.join("table.md"), self.table(&[]))
    }

    /// How the mirror stands to the others.
    pub(crate) fn summary(&self) -> String {
        table::summary(&self.machine, &self.results)
    }

    /// The same with a table for each figure; `failed` are cases that have none.
    pub(crate) fn table(&self, failed: &[&str]) -> String {
        table::render(&self.summary(), &self.results, failed)
    }
}

/// Puts the summary into the README, in the place of the last one.
pub(crate) fn put_into(readme: &Path, summary: &str) -> io::Result<()> {
    let text = read_to_string(readme)?;
    let (begin, end) = MARKS;
    let parts = text.split_once(begin).and_then(|(before, rest)| {
        let (_, behind) = rest.split_once(end)?;
        Some(format!("{before}{begin}{summary}{end}{behind}"))
    });
    let missing = || io::Error::other(format!("there is no place for it: {begin}"));
    write(readme, parts.ok_or_else(missing)?)
}
