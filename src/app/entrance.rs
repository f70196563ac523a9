//! The clients' way in: every listener of the config, and what stands before it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::AppError;
use crate::config::{Config, Server, TlsFiles};
use crate::server::{
    BindError, Certificates, DoorLimits, Entry, Gate, Handler, Listeners, Networks, Place, Renew,
    Seats, TlsTerms, Users,
};

/// The listeners as they are to be opened.
pub(super) struct Entrance<'a> {
    server: &'a Server,
    limits: DoorLimits,
    /// Shared by all: seats are counted for the process.
    entry: Entry,
    tls: Vec<(&'a [SocketAddr], Arc<TlsTerms>)>,
    users: Option<Arc<Users>>,
}

/// What became of it.
pub(super) struct Opened {
    /// Addresses where clients are served without TLS.
    pub(super) registry: Vec<SocketAddr>,
    /// And with it.
    pub(super) encrypted: Vec<SocketAddr>,
    /// What may be read anew.
    pub(super) renewable: Vec<Arc<dyn Renew>>,
}

impl<'a> Entrance<'a> {
    /// Reads certificates and users. Nothing is bound yet.
    pub(super) fn new(config: &'a Config) -> Result<Self, AppError> {
        let server = config.server();
        let limits = DoorLimits {
            min_send_rate: server.min_send_rate.map_or(0, |it| it.as_u64()),
            connections: server.max_connections,
            connections_per_client: server.max_connections_per_client,
            ..DoorLimits::default()
        };
        let entry = Entry {
            seats: Seats::new(limits.connections, limits.connections_per_client),
            networks: Arc::new(Networks::new(server.allow.clone())),
            tls: None,
        };
        let mut tls = Vec::new();
        for listener in &server.tls {
            tls.push((listener.listen.as_slice(), terms(&listener.files)?));
        }
        let users = server.users.clone().map(|file| {
            let name = file.0.display().to_string();
            Users::new(name, Box::new(move || file.read())).map_err(AppError::Users)
        });
        Ok(Self {
            server,
            limits,
            entry,
            tls,
            users: users.transpose()?,
        })
    }

    /// Binds all listeners for `handler`, behind the gate if there is one.
    pub(super) fn open<H: Handler>(
        self,
        listeners: &mut Listeners,
        handler: Arc<H>,
    ) -> Result<Opened, AppError> {
        let renewable = self.tls.iter().map(|(_, terms)| Arc::clone(terms) as _);
        let mut renewable: Vec<Arc<dyn Renew>> = renewable.collect();
        let (registry, encrypted) = match &self.users {
            None => self.bind(listeners, &handler)?,
            Some(users) => {
                renewable.push(Arc::clone(users) as _);
                let gate = Gate::new(handler, Arc::clone(users));
                self.bind(listeners, &Arc::new(gate))?
            }
        };
        Ok(Opened {
            registry,
            encrypted,
            renewable,
        })
    }

    fn bind<H: Handler>(
        &self,
        listeners: &mut Listeners,
        handler: &Arc<H>,
    ) -> Result<(Vec<SocketAddr>, Vec<SocketAddr>), BindError> {
        let mut add = |place: Place, entry: &Entry| {
            listeners.add_behind(&place, Arc::clone(handler), self.limits, entry.clone())
        };
        let (mut registry, mut encrypted) = (Vec::new(), Vec::new());
        for &address in &self.server.listen {
            registry.extend(add(Place::Address(address), &self.entry)?);
        }
        for path in &self.server.sockets {
            let place = Place::Socket(path.clone(), self.server.socket_mode);
            add(place, &self.entry)?;
        }
        for (addresses, terms) in &self.tls {
            let entry = self.entry.encrypted(Arc::clone(terms));
            for &address in *addresses {
                encrypted.extend(add(Place::Address(address), &entry)?);
            }
        }
        Ok((registry, encrypted))
    }
}

/// The terms that these files tell, now and when they are read again.
fn terms(files: &TlsFiles) -> Result<Arc<TlsTerms>, AppError> {
    let files = files.clone();
    let name = files.certificate.display().to_string();
    let source = move || {
        let content = files.read()?;
        Ok(Certificates {
            chain: content.identity.chain,
            key: content.identity.key,
            client_roots: content.client_roots,
        })
    };
    Ok(TlsTerms::new(name, Box::new(source))?)
}
