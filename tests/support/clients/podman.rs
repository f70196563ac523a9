//! podman, with the mirror in its `registries.conf`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use super::{Client, Home, PATIENCE, digests_in_tar, registries_conf};
use crate::support::process::{Part, run_well};

const PODMAN: Part = Part {
    program: "podman",
    package: "podman",
};

/// podman with a storage of its own. It has no daemon.
#[derive(Debug)]
pub(crate) struct Podman {
    home: Home,
}

impl Podman {
    /// One that pulls through `mirror`.
    pub(crate) fn new(mirror: SocketAddr) -> Self {
        let home = Home::new();
        home.file("registries.conf", &registries_conf(mirror));
        home.file("containers.conf", "");
        Self { home }
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = self.home.command(PODMAN);
        command.env(
            "CONTAINERS_REGISTRIES_CONF",
            self.home.path("registries.conf"),
        );
        command.env("CONTAINERS_CONF", self.home.path("containers.conf"));
        command
            .arg("--root")
            .arg(self.home.path("root"))
            .arg("--runroot")
            .arg(self.home.path("run"));
        command.arg("--tmpdir").arg(self.home.path("tmp"));
        command.args([
            "--storage-driver",
            "vfs",
            "--events-backend",
            "none",
            "--cgroup-manager",
            "cgroupfs",
            verb,
        ]);
        command
    }
}

impl Client for Podman {
    const NAME: &'static str = "podman";

    async fn pull(&self, reference: &str) {
        let mut pull = self.command("pull");
        pull.args(["--quiet", reference]);
        run_well(pull, PATIENCE).await;
    }

    async fn holds(&self, reference: &str) -> BTreeSet<String> {
        let archive = self.home.path("saved.tar");
        let _ = std::fs::remove_file(&archive);
        let mut save = self.command("save");
        save.args(["--quiet", "--format", "docker-archive", "--output"])
            .arg(&archive)
            .arg(reference);
        run_well(save, PATIENCE).await;
        digests_in_tar(&archive)
    }

    async fn forget(&self, reference: &str) {
        let mut remove = self.command("rmi");
        remove.args(["--force", reference]);
        run_well(remove, PATIENCE).await;
    }
}
