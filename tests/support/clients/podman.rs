//! podman, with the mirror in its `registries.conf`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Client, Home, PATIENCE, digests_in_tar, registries_conf};
use crate::support::process::{Part, run, run_well, said};

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
        let podman = Self { home };
        podman.store("vfs", "");
        podman
    }

    /// One that fetches of a layer only the files that it does not have yet. It keeps files, not layers: [`Client::holds`]
    /// is not for it.
    pub(crate) fn partial(mirror: SocketAddr) -> Self {
        let podman = Self::new(mirror);
        podman.store("overlay", "enable_partial_images = \"true\"");
        podman
    }

    /// Writes the config of its storage.
    fn store(&self, driver: &str, pull_options: &str) {
        let (root, run) = (self.home.path("root"), self.home.path("run"));
        let text = format!(
            "[storage]\ndriver = \"{driver}\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n\
             [storage.options]\npull_options = {{{pull_options}}}\n",
            root.display(),
            run.display()
        );
        self.home.file("storage.conf", &text);
    }

    /// Pulls, and returns what it says of it.
    pub(crate) async fn pull_aloud(&self, reference: &str) -> String {
        let mut pull = self.command("pull");
        pull.args(["--log-level", "debug", reference]);
        said(&run_well(pull, PATIENCE).await)
    }

    /// The folder with the files of an image.
    pub(crate) async fn files(&self, reference: &str) -> PathBuf {
        let mut mount = self.command("image");
        mount.args(["mount", reference]);
        let output = run_well(mount, PATIENCE).await;
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
    }

    /// Signs in to `registry`; whether it could, and what it says.
    pub(crate) async fn login(&self, user: &str, password: &str, registry: &str) -> (bool, String) {
        let mut login = self.command("login");
        login.args(["--tls-verify=false", "--username", user]);
        login.args(["--password", password, registry]);
        let output = run(login, PATIENCE).await;
        (output.status.success(), said(&output))
    }

    /// Pulls from exactly there; whether it could, and what it says.
    pub(crate) async fn try_pull(&self, reference: &str) -> (bool, String) {
        let mut pull = self.command("pull");
        pull.args(["--tls-verify=false", "--quiet", reference]);
        let output = run(pull, PATIENCE).await;
        (output.status.success(), said(&output))
    }

    /// Pulls from exactly there over TLS, believing what is in a folder as well as what everybody believes; whether it
    /// could, and what it says.
    pub(crate) async fn pull_believing(
        &self,
        authorities: Option<&Path>,
        reference: &str,
    ) -> (bool, String) {
        let mut pull = self.command("pull");
        if let Some(folder) = authorities {
            pull.arg("--cert-dir").arg(folder);
        }
        pull.args(["--quiet", reference]);
        let output = run(pull, PATIENCE).await;
        (output.status.success(), said(&output))
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = self.home.command(PODMAN);
        command.env(
            "CONTAINERS_REGISTRIES_CONF",
            self.home.path("registries.conf"),
        );
        command.env("CONTAINERS_STORAGE_CONF", self.home.path("storage.conf"));
        command.env("CONTAINERS_CONF", self.home.path("containers.conf"));
        command.arg("--tmpdir").arg(self.home.path("tmp"));
        command.args([
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
