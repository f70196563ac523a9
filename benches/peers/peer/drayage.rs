//! drayage, a mirror from the Python Package Index.

use std::path::PathBuf;
use std::process::Command;

use crate::peer::{DRAYAGE, Peer, Place};

impl Peer {
    /// One that fetches from the registry at `upstream`; `program` is where it is installed.
    pub(crate) async fn drayage(program: PathBuf, upstream: &str) -> Self {
        let place = Place::new();
        let config = format!(
            "listen = \"{address}\"\ncache_dir = \"{data}\"\nmanifest_ttl_seconds = 3600\n\
             [upstreams.docker_io]\nregistry = \"{upstream}\"\n",
            data = place.data().display(),
            address = place.address,
        );
        let config = place.write("drayage.toml", &config);
        let start = place.start(DRAYAGE, false, move || {
            let mut command = Command::new(&program);
            command.arg("serve").arg("--config").arg(&config);
            command.env("RUST_LOG", "error");
            command
        });
        start.await
    }
}
