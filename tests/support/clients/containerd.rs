//! containerd and its `ctr`, with the mirror as the only host for `docker.io`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::{Client, Home, NOWHERE, PATIENCE, digests_in_tar};
use crate::support::bound::until;
use crate::support::process::{Daemon, Part, run, run_well, said};

const CONTAINERD: Part = Part {
    program: "containerd",
    package: "containerd",
};
const CTR: Part = Part {
    program: "ctr",
    package: "containerd",
};

/// A daemon of its own, with nothing but content and snapshots.
#[derive(Debug)]
pub(crate) struct Containerd {
    all_platforms: bool,
    // Declared before the home: the daemon ends before its folder is unmounted and deleted.
    _daemon: Daemon,
    home: Home,
}

impl Containerd {
    /// Starts one that pulls through `mirror` and waits until it answers.
    pub(crate) async fn start(mirror: SocketAddr) -> Self {
        let home = Home::new();
        let [root, state, sock, ttrpc] =
            ["root", "state", "sock", "ttrpc"].map(|name| home.path(name).display().to_string());
        let config = format!(
            "version = 2\nroot = {root:?}\nstate = {state:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = {sock:?}\n[ttrpc]\naddress = {ttrpc:?}\n"
        );
        let config = home.file("config.toml", &config);
        let hosts = format!(
            "server = \"http://{NOWHERE}\"\n[host.\"http://{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
        );
        home.file("certs.d/docker.io/hosts.toml", &hosts);
        let mut containerd = home.command(CONTAINERD);
        containerd.arg("--config").arg(config);
        let mut daemon = Daemon::start("containerd", containerd, &home.path("log"));
        until("containerd answers", Duration::from_mins(1), async || {
            assert_eq!(daemon.ended(), None, "containerd ended: {}", daemon.log());
            run(ctr(&home, &["version"]), PATIENCE)
                .await
                .status
                .success()
        })
        .await;
        Self {
            all_platforms: false,
            _daemon: daemon,
            home,
        }
    }

    /// From now on it sends this as `Authorization` with each request to `mirror`; of nothing, none.
    pub(crate) fn shows(&self, mirror: SocketAddr, authorization: Option<&str>) {
        let mut hosts = format!(
            "server = \"http://{NOWHERE}\"\n[host.\"http://{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
        );
        if let Some(authorization) = authorization {
            let header =
                format!("[host.\"http://{mirror}\".header]\nAuthorization = [{authorization:?}]\n");
            hosts.push_str(&header);
        }
        self.home.file("certs.d/docker.io/hosts.toml", &hosts);
    }

    /// Pulls; whether it could, and what it says.
    pub(crate) async fn try_pull(&self, reference: &str) -> (bool, String) {
        self.pull_as(None, reference).await
    }

    /// Pulls as this user (`name:password`) or nobody; whether it could, and what it says.
    pub(crate) async fn pull_as(&self, user: Option<&str>, reference: &str) -> (bool, String) {
        let mut pull = self.images("pull");
        if let Some(user) = user {
            pull.args(["--user", user]);
        }
        pull.args(["--snapshotter", "native", "--hosts-dir"])
            .arg(self.home.path("certs.d"))
            .arg(reference);
        let output = run(pull, PATIENCE).await;
        (output.status.success(), said(&output))
    }

    /// From now on the images of all platforms are pulled.
    pub(crate) fn all_platforms(mut self) -> Self {
        self.all_platforms = true;
        self
    }

    fn images(&self, verb: &str) -> Command {
        let mut command = ctr(&self.home, &["images", verb]);
        if self.all_platforms {
            command.arg("--all-platforms");
        }
        command
    }
}

/// `ctr` for the daemon in this home.
fn ctr(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command(CTR);
    command
        .arg("--address")
        .arg(home.path("sock"))
        .args(arguments);
    command
}

impl Client for Containerd {
    const NAME: &'static str = "containerd";

    async fn pull(&self, reference: &str) {
        let mut pull = self.images("pull");
        pull.args(["--snapshotter", "native", "--hosts-dir"])
            .arg(self.home.path("certs.d"))
            .arg(reference);
        run_well(pull, PATIENCE).await;
    }

    async fn holds(&self, reference: &str) -> BTreeSet<String> {
        let archive = self.home.path("exported.tar");
        let mut export = self.images("export");
        export.arg(&archive).arg(reference);
        run_well(export, PATIENCE).await;
        digests_in_tar(&archive)
    }

    async fn forget(&self, reference: &str) {
        // With --sync the content is gone when the command returns.
        run_well(
            ctr(&self.home, &["images", "rm", "--sync", reference]),
            PATIENCE,
        )
        .await;
    }
}
