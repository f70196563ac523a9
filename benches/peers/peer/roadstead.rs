//! The mirror. Everything is as by default but where it listens and keeps things, how long a tag is believed, and the
//! log, which tells of trouble only: the others write no line for a request either.

use crate::peer::{Peer, Place, ROADSTEAD};
use crate::support::mirror::roadstead;

impl Peer {
    /// One that fetches from the registry at `upstream`.
    pub(crate) async fn roadstead(upstream: &str) -> Self {
        let place = Place::new();
        place.certify();
        let folder = place.folder.path().display();
        let (address, secured, admin) = (place.address, place.secured, place.admin);
        let config = place.write(
            "roadstead.toml",
            &format!(
                "[server]\nlisten = [\"{address}\"]\n\
                 [[server.tls]]\nlisten = [\"{secured}\"]\n\
                 certificate = \"{folder}/server.pem\"\nkey = \"{folder}/server.key\"\n\
                 [admin]\nlisten = \"{admin}\"\n\
                 [store]\npath = \"{folder}/data\"\ncapacity = \"64GiB\"\n\
                 [upstreams.\"docker.io\"]\nurl = \"{upstream}\"\ndefault = true\n\
                 [upstreams.\"docker.io\".tags]\nttl = \"1h\"\n\
                 [log]\nlevel = \"warn\"\n",
            ),
        );
        let start = place.start(ROADSTEAD, true, move || {
            let mut command = roadstead();
            command.arg("serve").arg("--config").arg(&config);
            command
        });
        start.await
    }
}
