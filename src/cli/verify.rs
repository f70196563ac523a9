//! `roadstead verify --config FILE`: hashes all that is kept, beside a mirror that serves from the same folder or
//! without one.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use super::config_check::UNUSABLE;
use crate::config::Config;
use crate::store::{Scrub, StoreError, Verdict};

/// Bytes between two signs of life on a terminal.
const STRIDE: u64 = 256 * 1024 * 1024;

/// What was found.
#[derive(Default)]
struct Tally {
    right: u64,
    bytes: u64,
    wrong: u64,
    unread: u64,
}

/// Ends with 0 when all is right, with 1 when something was wrong and set aside or could not be read, with 2 when the config
/// cannot be used.
pub(super) fn run(file: &Path) -> ExitCode {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(UNUSABLE);
        }
    };
    match verify(&config.store().path) {
        Ok(tally) => {
            println!(
                "{} right ({} bytes), {} wrong and set aside, {} unreadable",
                tally.right, tally.bytes, tally.wrong, tally.unread
            );
            if tally.wrong + tally.unread == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("roadstead: {error}");
            ExitCode::FAILURE
        }
    }
}

fn verify(root: &Path) -> Result<Tally, StoreError> {
    let scrub = Scrub::open(root)?;
    let mut tally = Tally::default();
    let (mut read, mut told) = (0_u64, 0_u64);
    for digest in scrub.digests() {
        let digest = digest?;
        let verdict = scrub.verify(&digest, &mut |bytes| {
            read += bytes;
            if read - told >= STRIDE && io::stderr().is_terminal() {
                told = read;
                let _ = write!(io::stderr(), "\r{} MiB read ", read >> 20);
            }
        });
        match verdict {
            Ok(Verdict::Right(size)) => {
                tally.right += 1;
                tally.bytes += size;
            }
            Ok(Verdict::Wrong) => {
                println!("wrong: {digest}");
                tally.wrong += 1;
            }
            // Evicted meanwhile, by a mirror that serves.
            Ok(Verdict::Gone) => {}
            Err(error) => {
                println!("unreadable: {digest}: {error}");
                tally.unread += 1;
            }
        }
    }
    if told > 0 {
        let _ = writeln!(io::stderr());
    }
    Ok(tally)
}
