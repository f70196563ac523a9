//! Where log lines go: standard error, one line each, as text or JSON.

use std::io;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Begins logging as the config says. The only global of the program, and the library's own.
pub(super) fn begin(log: &Log) {
    let lines = fmt()
        .with_writer(io::stderr)
        // A log that nobody reads any more is no reason to fail: told of it on standard error, which is that
        // log, the library would panic.
        .log_internal_errors(false)
        .with_max_level(LevelFilter::from_level(log.level));
    // A second call in one process changes nothing.
    let _ = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init(),
    };
}
