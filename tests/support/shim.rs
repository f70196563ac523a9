//! Libraries that are preloaded into the mirror, to break what it calls or to see it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::mirror::Plan;
use super::process::{Part, run_well};

const CC: Part = Part {
    program: "cc",
    package: "gcc",
};

/// The source of the one that notes names.
const LOOKUPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/lookups.c");

/// Compiles the C file `source` to the library `to`.
pub(crate) async fn build(source: &str, to: &Path) {
    let mut cc = CC.command();
    cc.args(["-shared", "-fPIC", "-O1", "-o"]);
    cc.arg(to).args([source, "-ldl"]);
    run_well(cc, Duration::from_mins(1)).await;
}

/// The names that a mirror looks up.
#[derive(Debug)]
pub(crate) struct Lookups {
    folder: TempDir,
}

impl Lookups {
    /// Builds what it takes to see them.
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().expect("a folder for a library");
        build(LOOKUPS, &folder.path().join("lookups.so")).await;
        Self { folder }
    }

    /// From its start on, what the mirror looks up is noted.
    pub(crate) fn of(&self, plan: Plan) -> Plan {
        plan.environment("LD_PRELOAD", self.folder.path().join("lookups.so"))
            .environment("LOOKUPS_IN", self.notes())
    }

    /// The names so far.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let notes = std::fs::read_to_string(self.notes()).unwrap_or_default();
        notes.lines().map(str::to_owned).collect()
    }

    fn notes(&self) -> PathBuf {
        self.folder.path().join("names")
    }
}
