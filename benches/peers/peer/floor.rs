//! The floor, as a peer: this program again, in the role of [`crate::floor`].

use std::process::Command;

use crate::floor::FLOOR;
use crate::peer::{Files, Peer, Place, SENDFILE, put};

impl Peer {
    /// One that has these files.
    pub(crate) async fn floor_of(files: Files<'_>) -> Self {
        let place = Place::new();
        let (address, data) = (place.address, place.data());
        for (path, bytes) in files {
            put(&data, path, bytes);
        }
        let start = place.start(SENDFILE, false, move || {
            let program = std::env::current_exe().expect("this program");
            let mut command = Command::new(program);
            command.arg(FLOOR).arg(address.to_string()).arg(&data);
            command
        });
        start.await
    }
}
