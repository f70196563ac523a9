//! Debian's `docker-registry` as a proxy.

use crate::peer::{DISTRIBUTION, Peer, Place};
use crate::support::process::Part;

const PART: Part = Part {
    program: "docker-registry",
    package: "docker-registry",
};

impl Peer {
    /// One that fetches from the registry at `upstream`.
    pub(crate) async fn distribution(upstream: &str) -> Self {
        let place = Place::new();
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: {address}, secret: harbour}}\nproxy: {{remoteurl: {upstream}}}\n",
            data = place.data().display(),
            address = place.address,
        );
        let config = place.write("registry.yml", &config);
        let start = place.start(DISTRIBUTION, false, move || {
            let mut command = PART.command();
            command.arg("serve").arg(&config);
            command
        });
        start.await
    }
}
