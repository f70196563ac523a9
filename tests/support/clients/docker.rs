//! `dockerd`, whose `--registry-mirror` is the mirror under test, and the `docker` command.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{Client, Home, PATIENCE, digests_in_tar};
use crate::support::bound::until;
use crate::support::process::{Daemon, Part, run, run_well, said};

const DOCKERD: Part = Part {
    program: "dockerd",
    package: "docker.io",
};
const UNSHARE: Part = Part {
    program: "unshare",
    package: "util-linux",
};
/// Runs what follows the first argument where that folder is in the place of the one of all daemons.
const OWN_FOLDER: &str = "mkdir -p /etc/docker && mount --bind \"$0\" /etc/docker && exec \"$@\"";
const DOCKER: Part = Part {
    program: "docker",
    package: "docker.io",
};

/// A daemon of its own, with no network and no containers.
#[derive(Debug)]
pub(crate) struct Docker {
    // Declared before the home: the daemon ends before its folder is unmounted and deleted.
    _daemon: Daemon,
    home: Home,
}

impl Docker {
    /// Starts one that pulls through `mirror` and waits until it answers.
    pub(crate) async fn start(mirror: SocketAddr) -> Self {
        let home = Home::new();
        let dockerd = dockerd(&home, mirror);
        Self::of(home, dockerd).await
    }

    /// The same for one that believes `authority` (PEM) about `registry`, whose host it may ask without a proxy. Where it
    /// looks for that is the same for all daemons, so this one sees a folder of its own there.
    pub(crate) async fn believing(
        mirror: SocketAddr,
        registry: SocketAddr,
        authority: &str,
    ) -> Self {
        let home = Home::new();
        let roots = home.file(&format!("etc/certs.d/{registry}/ca.crt"), authority);
        assert!(roots.is_file());
        let dockerd = dockerd(&home, mirror);
        let mut own = home.command(UNSHARE);
        own.args(["--mount", "--", "sh", "-c", OWN_FOLDER]);
        own.arg(home.path("etc")).arg(dockerd.get_program());
        own.args(dockerd.get_args());
        own.env("NO_PROXY", registry.ip().to_string());
        Self::of(home, own).await
    }

    /// Starts the daemon of this home and waits until it answers.
    async fn of(home: Home, dockerd: Command) -> Self {
        let mut daemon = Daemon::start("dockerd", dockerd, &home.path("log"));
        until("dockerd answers", Duration::from_mins(1), async || {
            assert_eq!(daemon.ended(), None, "dockerd ended: {}", daemon.log());
            run(docker(&home, &["version"]), PATIENCE)
                .await
                .status
                .success()
        })
        .await;
        Self {
            _daemon: daemon,
            home,
        }
    }
}

/// The command that starts the daemon of this home.
fn dockerd(home: &Home, mirror: SocketAddr) -> Command {
    let config = home.file("daemon.json", "{}");
    let mut dockerd = home.command(DOCKERD);
    dockerd.arg("--config-file").arg(config);
    dockerd
        .arg("--data-root")
        .arg(home.path("data"))
        .arg("--exec-root")
        .arg(home.path("exec"));
    dockerd.arg("--pidfile").arg(home.path("pid"));
    dockerd
        .arg("--host")
        .arg(format!("unix://{}", home.path("sock").display()));
    dockerd.args([
        "--iptables=false",
        "--ip6tables=false",
        "--bridge=none",
        "--storage-driver=vfs",
    ]);
    dockerd
        .arg("--registry-mirror")
        .arg(format!("http://{mirror}"));
    dockerd
}

impl Docker {
    /// Saves an image as `docker save` does; gives the file.
    pub(crate) async fn save(&self, reference: &str) -> PathBuf {
        let archive = self.home.path("saved.tar");
        let mut save = docker(&self.home, &["save", "--output"]);
        save.arg(&archive).arg(reference);
        run_well(save, PATIENCE).await;
        archive
    }

    /// Signs in to `registry`; whether it could, and what it says.
    pub(crate) async fn login(&self, user: &str, password: &str, registry: &str) -> (bool, String) {
        let arguments = [
            "login",
            "--username",
            user,
            "--password",
            password,
            registry,
        ];
        let output = run(docker(&self.home, &arguments), PATIENCE).await;
        (output.status.success(), said(&output))
    }

    /// Signs out of `registry`.
    pub(crate) async fn logout(&self, registry: &str) {
        run_well(docker(&self.home, &["logout", registry]), PATIENCE).await;
    }

    /// Pulls from exactly there; whether it could, and what it says.
    pub(crate) async fn try_pull(&self, reference: &str) -> (bool, String) {
        let output = run(docker(&self.home, &["pull", reference]), PATIENCE).await;
        (output.status.success(), said(&output))
    }
}

/// The `docker` command for the daemon in this home.
fn docker(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command(DOCKER);
    command
        .env(
            "DOCKER_HOST",
            format!("unix://{}", home.path("sock").display()),
        )
        .args(arguments);
    command
}

impl Client for Docker {
    const NAME: &'static str = "dockerd";

    async fn pull(&self, reference: &str) {
        run_well(docker(&self.home, &["pull", reference]), PATIENCE).await;
    }

    async fn holds(&self, reference: &str) -> BTreeSet<String> {
        digests_in_tar(&self.save(reference).await)
    }

    async fn forget(&self, reference: &str) {
        run_well(docker(&self.home, &["image", "rm", reference]), PATIENCE).await;
    }
}
