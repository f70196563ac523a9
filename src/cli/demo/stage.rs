//! The two registries of the demo, put together and at work: the upstream, and the real mirror before it.

use std::convert::Infallible;
use std::fs;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::DemoError;
use super::images::Image;
use super::registry::{ImageRegistry, Uplink};
use crate::app::App;
use crate::config::Config;
use crate::server::{DoorLimits, Drained, Listeners};

/// The time that downloads in progress have when the demo is to end: nobody depends on them.
const GRACE: Duration = Duration::from_secs(1);

/// Where the mirror is to listen, on loopback. Port 0 lets the system choose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// For clients.
    pub(super) registry: u16,
    /// For the operator.
    pub(super) admin: u16,
}

impl Ports {
    /// The default ports of the mirror, each if it is free.
    pub(super) fn usual() -> Self {
        let free = |port| TcpListener::bind(on_loopback(port)).map_or(0, |_| port);
        Self {
            registry: free(5000),
            admin: free(5001),
        }
    }
}

/// Where to look, once everything is bound.
pub(super) struct Places {
    /// The upstream.
    pub(super) upstream: SocketAddr,
    /// The mirror's side for clients.
    pub(super) registry: SocketAddr,
    /// The mirror's side for its operator.
    pub(super) admin: SocketAddr,
    /// What the upstream has sent.
    pub(super) uplink: Uplink,
}

/// Both registries, bound and not yet serving.
pub(super) struct Stage {
    upstream: Listeners,
    mirror: App,
}

/// Both registries at work. Dropped, they end.
pub(super) struct Running {
    parts: JoinSet<Result<Drained, DemoError>>,
    stop: oneshot::Sender<Infallible>,
}

impl Stage {
    /// Binds an upstream of `images`, writes a config for a mirror of it into `folder`, and builds that mirror.
    /// Must be called outside of a runtime.
    pub(super) fn build(
        images: Vec<Image>,
        ports: Ports,
        folder: &Path,
    ) -> Result<(Self, Places), DemoError> {
        let uplink = Uplink::default();
        let mut listeners = Listeners::default();
        let registry = Arc::new(ImageRegistry::new(images, uplink.clone()));
        let upstream = listeners.add(on_loopback(0), registry, DoorLimits::default())?;

        let text = config(ports, upstream);
        fs::write(folder.join("roadstead.toml"), &text)?;
        let mirror = App::build(&Config::parse(&text, folder)?)?;
        let addresses = mirror.addresses();
        let places = Places {
            upstream,
            // One address is asked for, so there is one.
            registry: addresses.registry[0],
            admin: addresses.admin,
            uplink,
        };
        let stage = Self {
            upstream: listeners,
            mirror,
        };
        Ok((stage, places))
    }

    /// Serves, on the runtime of the caller and, the mirror, on its own ones.
    pub(super) fn run(self) -> Running {
        // Each ends when the one who holds the other half of its channel does: the mirror when it is asked to,
        // the upstream after the mirror, which would otherwise complain of it.
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let (mirror_lives, mirror_ended) = oneshot::channel::<Infallible>();
        let mut parts = JoinSet::new();
        let upstream = self
            .upstream
            .serve(mirror_ended.map(drop), async { sleep(GRACE).await });
        parts.spawn(async move { Ok(upstream.await?) });
        let mirror = self.mirror;
        parts.spawn_blocking(move || {
            let _mirror_lives = mirror_lives;
            Ok(mirror.run(|| Ok(stopped.map(drop)), pending())?)
        });
        Running { parts, stop }
    }
}

impl Running {
    /// Waits for the end of a part that nobody has asked to end.
    pub(super) async fn broken(&mut self) -> DemoError {
        match self.parts.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => DemoError::Ended(error.to_string()),
            Some(Ok(Ok(_))) | None => DemoError::Ended("it stopped serving".to_owned()),
        }
    }

    /// Ends both, the mirror first, and waits until they have.
    pub(super) async fn end(mut self) -> Result<(), DemoError> {
        drop(self.stop);
        while let Some(part) = self.parts.join_next().await {
            part.map_err(|error| DemoError::Ended(error.to_string()))??;
        }
        Ok(())
    }
}

fn on_loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The config of the mirror: what anyone would write, but for the address of its upstream.
fn config(ports: Ports, upstream: SocketAddr) -> String {
    let (registry, admin) = (on_loopback(ports.registry), on_loopback(ports.admin));
    format!(
        r#"[server]
listen = ["{registry}"]
shutdown_grace = "{}s"

[admin]
listen = "{admin}"

[store]
path = "data"
capacity = "1GiB"

[upstreams."docker.io"]
url = "http://{upstream}"
default = true
tags.ttl = "1h"
"#,
        GRACE.as_secs()
    )
}
