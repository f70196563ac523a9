//! What stands before a door: from where, how many, and how they are spoken to.

use std::net::IpAddr;
use std::sync::Arc;

use super::tls::TlsTerms;
use super::{DoorLimits, Networks, Refusal, Seat, Seats};

/// The way in to a door.
#[derive(Clone)]
pub struct Entry {
    /// The seats, which doors may share.
    pub seats: Arc<Seats>,
    /// From where clients are let in.
    pub networks: Arc<Networks>,
    /// How connections are encrypted; `None`: they are not.
    pub tls: Option<Arc<TlsTerms>>,
}

impl Entry {
    /// A way in of its own for a door with these limits: for all networks, not encrypted.
    pub fn open(limits: &DoorLimits) -> Self {
        Self {
            seats: Seats::new(limits.connections, limits.connections_per_client),
            networks: Arc::default(),
            tls: None,
        }
    }

    /// The same way in, encrypted.
    #[must_use]
    pub fn encrypted(&self, terms: Arc<TlsTerms>) -> Self {
        Self {
            tls: Some(terms),
            ..self.clone()
        }
    }

    /// Lets a connection from this address in, or says why not.
    pub(super) fn admit(&self, from: Option<IpAddr>) -> Result<Seat, Refusal> {
        if !self.networks.admit(from) {
            return Err(Refusal::NotAllowed);
        }
        self.seats.take(from)
    }
}
