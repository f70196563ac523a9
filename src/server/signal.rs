//! The process's request to end, as a future.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Ends when the process is asked to end: SIGTERM (a service manager) or SIGINT (a terminal). SIGHUP, which
/// asks other programs to read their config anew, is answered with a line in the log.
///
/// The signals are caught from this call on, not from the first poll, so that none is lost in between.
///
/// # Errors
/// When the signals cannot be caught, or outside a runtime.
pub fn termination() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => {
                    tracing::warn!("SIGHUP ignored: the config is read at the start only");
                }
            }
        }
    })
}
