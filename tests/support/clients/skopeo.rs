//! skopeo, with the mirror in its `registries.conf`. It keeps what it copies exactly as it came.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use super::{Client, Home, PATIENCE, digests_in_folder, registries_conf};
use crate::support::process::{Part, run, run_well, said};

/// The program, also used to push.
pub(crate) const SKOPEO: Part = Part {
    program: "skopeo",
    package: "skopeo",
};

/// skopeo with one folder to copy to.
#[derive(Debug)]
pub(crate) struct Skopeo {
    all_platforms: bool,
    home: Home,
}

impl Skopeo {
    /// One that copies through `mirror`.
    pub(crate) fn new(mirror: SocketAddr) -> Self {
        let home = Home::new();
        home.file("registries.conf", &registries_conf(mirror));
        Self {
            all_platforms: false,
            home,
        }
    }

    /// From now on the images of all platforms are copied.
    pub(crate) fn all_platforms(mut self) -> Self {
        self.all_platforms = true;
        self
    }
}

impl Skopeo {
    /// Copies from exactly there, as this user (`name:password`) or nobody; whether it could, and what it says.
    pub(crate) async fn copy_as(&self, user: Option<&str>, reference: &str) -> (bool, String) {
        let mut copy = self.home.command(SKOPEO);
        copy.args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--src-tls-verify=false",
        ]);
        match user {
            Some(user) => copy.args(["--src-creds", user]),
            None => copy.arg("--src-no-creds"),
        };
        copy.arg(format!("docker://{reference}"))
            .arg(format!("dir:{}", self.home.path("copy").display()));
        let output = run(copy, PATIENCE).await;
        (output.status.success(), said(&output))
    }
}

impl Skopeo {
    /// Copies from exactly there over TLS, believing what is in a folder as well as what everybody believes; whether it
    /// could, and what it says.
    pub(crate) async fn copy_believing(
        &self,
        authorities: Option<&Path>,
        reference: &str,
    ) -> (bool, String) {
        let mut copy = self.home.command(SKOPEO);
        copy.args(["--insecure-policy", "copy", "--quiet", "--src-no-creds"]);
        if let Some(folder) = authorities {
            copy.arg("--src-cert-dir").arg(folder);
        }
        copy.arg(format!("docker://{reference}"))
            .arg(format!("dir:{}", self.home.path("copy").display()));
        let output = run(copy, PATIENCE).await;
        (output.status.success(), said(&output))
    }
}

impl Client for Skopeo {
    const NAME: &'static str = "skopeo";

    async fn pull(&self, reference: &str) {
        let mut copy = self.home.command(SKOPEO);
        // It reads no variable for this, unlike podman.
        copy.arg("--registries-conf")
            .arg(self.home.path("registries.conf"));
        copy.args(["--insecure-policy", "copy", "--quiet"]);
        if self.all_platforms {
            copy.arg("--all");
        }
        copy.arg(format!("docker://{reference}"))
            .arg(format!("dir:{}", self.home.path("copy").display()));
        run_well(copy, PATIENCE).await;
    }

    async fn holds(&self, _reference: &str) -> BTreeSet<String> {
        digests_in_folder(&self.home.path("copy"))
    }

    async fn forget(&self, _reference: &str) {
        std::fs::remove_dir_all(self.home.path("copy")).expect("the copy");
    }
}
