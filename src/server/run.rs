//! Listeners from bind to the last connection: pingora's accept loops, without its process.
//!
//! pingora's `Server` owns the process: it forks, catches signals, panics on a port that is taken, sleeps
//! through a fixed grace period and exits. Here the sockets are bound first, by [`Listeners::add`], so that
//! what is wrong is an error and the address is known (also for port 0); they are then handed to pingora's
//! listening services as inherited ones, and [`Listeners::serve`] returns when the last connection has gone.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::Fds;
use pingora::services::listening::Service;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::place::{Claimed, SocketFile};
use super::{Door, DoorLimits, Entry, Handler, Place};

/// Heads are read into buffers of their own, without one per connection; answers are gathered so that a
/// head and a small body leave together.
const BUFFERS: (usize, usize) = (0, 4096);
/// The time connections have to fall when they are cut: only a handler that blocks its thread needs it.
const FALL: Duration = Duration::from_secs(1);

/// A listener that cannot be had.
#[derive(Debug, Error)]
#[error("cannot listen on {place}: {source}")]
pub struct BindError {
    /// The place asked for.
    pub place: Place,
    /// Why not: taken, not permitted, not ours.
    pub source: io::Error,
}

/// A listener that ended although nobody asked it to.
#[derive(Debug, Error)]
#[error("a listener failed: {0}")]
pub struct ServeError(String);

/// How the last connections ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Each with its answer, or idle.
    Whole,
    /// The grace period was over and some were cut short.
    CutShort,
}

/// Bound sockets, each with its handler, not yet accepting.
///
/// Connections made in the meantime wait in the kernel's queue.
pub struct Listeners {
    bound: Vec<Bound>,
    /// Turns true when no new request may begin. Every accept loop and every connection holds a receiver
    /// for as long as it lives, so the end of all is the end of the channel.
    stop: watch::Sender<bool>,
    /// Turns true when connections still at work must end at once.
    cut: watch::Sender<bool>,
}

struct Bound {
    /// As pingora calls it.
    name: String,
    address: Option<SocketAddr>,
    socket: OwnedFd,
    file: Option<SocketFile>,
    service: Box<dyn pingora::services::Service>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            bound: Vec::new(),
            stop: watch::Sender::new(false),
            cut: watch::Sender::new(false),
        }
    }
}

impl Listeners {
    /// Binds `address` for `handler` and returns the address it has: with port 0 the kernel chooses one.
    pub fn add<H: Handler>(
        &mut self,
        address: SocketAddr,
        handler: Arc<H>,
        limits: DoorLimits,
    ) -> Result<SocketAddr, BindError> {
        let entry = Entry::open(&limits);
        let bound = self.add_behind(&Place::Address(address), handler, limits, entry)?;
        Ok(bound.unwrap_or(address))
    }

    /// Binds `place` for `handler`, with this way in, and returns the address it has, if it is one.
    pub fn add_behind<H: Handler>(
        &mut self,
        place: &Place,
        handler: Arc<H>,
        limits: DoorLimits,
        entry: Entry,
    ) -> Result<Option<SocketAddr>, BindError> {
        let Claimed {
            place,
            socket,
            file,
        } = place.claim().map_err(|source| BindError {
            place: place.clone(),
            source,
        })?;
        let (address, name, endpoint) = match &place {
            Place::Address(address) => {
                let name = address.to_string();
                (Some(*address), name.clone(), ListenerConfig::tcp(name))
            }
            Place::Socket(path, mode) => {
                let name = path.to_string_lossy().into_owned();
                let endpoint = ListenerConfig::uds(name.clone());
                let mode = PermissionsExt::from_mode(*mode);
                (None, name, endpoint.permissions(mode))
            }
        };
        let door = Door::new(handler, limits, self.cut.subscribe()).behind(entry);
        let mut service = Service::new(format!("door {place}"), door);
        let (read, write) = BUFFERS;
        service.add_listener(endpoint.l4_buffer(L4BufferSettings::new(read, write)));
        self.bound.push(Bound {
            name,
            address,
            socket,
            file,
            service: Box::new(service),
        });
        Ok(address)
    }

    /// The addresses bound so far, in the order they were added.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.bound.iter().filter_map(|bound| bound.address)
    }

    /// Accepts and serves until `stop` ends. Then, in this order: the sockets close, idle connections
    /// close, requests under way have until `grace` ends to be answered, and what is left is cut. `grace` is
    /// first looked at when `stop` has ended.
    ///
    /// Connections run on the runtime of the caller. When this returns they have all ended and their
    /// handlers have heard of it.
    ///
    /// # Errors
    /// When a listener fails. The others are stopped in the same way first.
    pub async fn serve(
        self,
        stop: impl Future<Output = ()>,
        grace: impl Future<Output = ()>,
    ) -> Result<Drained, ServeError> {
        let mut accepting = JoinSet::new();
        for bound in self.bound {
            accepting.spawn(accept(bound, self.stop.subscribe()));
        }
        let failure = tokio::select! {
            () = stop => None,
            Some(ended) = accepting.join_next() => Some(match ended {
                Ok(()) => "it stopped accepting".to_owned(),
                Err(error) => error.to_string(),
            }),
        };
        self.stop.send_replace(true);
        while accepting.join_next().await.is_some() {}

        let whole = tokio::select! {
            // In this order: what is done is not cut for having no time left.
            biased;
            () = self.stop.closed() => true,
            () = grace => false,
        };
        let drained = if whole {
            Drained::Whole
        } else {
            self.cut.send_replace(true);
            // Bounded, and not checked: there is nothing left to do about a thread that is stuck.
            let _ = timeout(FALL, self.stop.closed()).await;
            Drained::CutShort
        };
        failure.map_or(Ok(drained), |failure| Err(ServeError(failure)))
    }
}

async fn accept(mut bound: Bound, stopping: watch::Receiver<bool>) {
    let mut inherited = Fds::new();
    // pingora takes the socket from here, by its name, and owns it from then on.
    inherited.add(bound.name, bound.socket.into_raw_fd());
    let inherited = Arc::new(Mutex::new(inherited));
    bound
        .service
        .start_service(Some(inherited), stopping, 1)
        .await;
    drop(bound.file);
}

#[cfg(test)]
mod tests;
