//! `roadstead bundle have`: what is here, for those who cut a bundle of what is not.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{Failure, failure, misuse};
use crate::config::Config;
use crate::store::Scrub;

/// Writes the digest of all content to standard output, one on each line, in order. A server may run beside it.
pub(in crate::cli) fn run(file: &Path) -> Result<bool, Failure> {
    let config = Config::load(file).map_err(|errors| misuse(errors.to_string()))?;
    if !config.store().path.join("VERSION").exists() {
        eprintln!(
            "roadstead: nothing is kept in {} yet",
            config.store().path.display()
        );
        return Ok(true);
    }
    let scrub = Scrub::open(&config.store().path).map_err(|error| failure(error.to_string()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    for digest in scrub.digests() {
        let digest = digest.map_err(|error| failure(error.to_string()))?;
        writeln!(out, "{digest}").map_err(|error| failure(error.to_string()))?;
    }
    out.flush().map_err(|error| failure(error.to_string()))?;
    Ok(true)
}
