//! Where log lines go: standard error, one line each, as text or JSON.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{Log, LogFormat};

/// Begins logging as the config says. The only global of the program, and the library's own.
pub(super) fn begin(log: &Log) {
    // A log that nobody reads any more is no reason to fail: told of it on standard error, which is that
    // log, the library would panic.
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .log_internal_errors(false);
    let lines = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .boxed(),
    };
    // A second call in one process changes nothing.
    let _ = registry()
        .with(lines.with_filter(filter(log.level)))
        .try_init();
}

/// All that is at least as severe as `level`. What pingora tells of its own doings says nothing to an operator,
/// but to one who looks for details.
fn filter(level: Level) -> Targets {
    let inner = if level > Level::INFO {
        level
    } else {
        level.min(Level::WARN)
    };
    Targets::new()
        .with_default(level)
        .with_target("pingora_core", inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_below_is_heard_only_when_it_matters() {
        for (level, told, inner) in [
            (Level::INFO, Level::INFO, Level::WARN),
            (Level::DEBUG, Level::DEBUG, Level::DEBUG),
            (Level::ERROR, Level::ERROR, Level::ERROR),
        ] {
            let filter = filter(level);
            assert!(filter.would_enable("roadstead::app", &told));
            assert!(filter.would_enable("pingora_core::apps", &inner));
            assert_eq!(
                filter.would_enable("pingora_core::apps", &Level::INFO),
                level > Level::INFO
            );
        }
    }
}
