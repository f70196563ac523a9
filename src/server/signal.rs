//! The process's request to end, as a future.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Ends when the process is asked to end: SIGTERM (a service manager) or SIGINT (a terminal). SIGHUP does
/// not end it: it asks for the files that may change to be read again
/// ([`renewal_requests`](super::renewal_requests)).
///
/// The signals are caught from this call on, not from the first poll, so that none is lost in between.
///
/// # Errors
/// When the signals cannot be caught, or outside a runtime.
pub fn termination() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
