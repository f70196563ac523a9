//! A real upstream: Debian's `docker-registry` on loopback, open or with either kind of authentication.

use std::fmt::Write;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::bound::until;
use super::http::{self, get};
use super::images::{Format, Layout};
use super::process::{Daemon, Part, run_well};
use super::token::{ISSUER, SERVICE, TokenServer};
use super::{clients::SKOPEO, digest, free_address};

/// Who may use a registry that asks.
pub(crate) const USER: &str = "sailor";
/// The password of [`USER`].
pub(crate) const PASSWORD: &str = "harbour-light";
/// [`USER`] and [`PASSWORD`] as a line of htpasswd (bcrypt at its cheapest).
const HTPASSWD: &str = "sailor:$2y$05$abcdefghijklmnopqrstuu2VZgVQqiYE7dUF25jLK37O0H2LP8132\n";

const DOCKER_REGISTRY: Part = Part {
    program: "docker-registry",
    package: "docker-registry",
};

/// How a registry decides who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everyone may do everything.
    Open,
    /// [`USER`] with [`PASSWORD`] by HTTP Basic; nobody else.
    Basic,
    /// By a token from a [`TokenServer`].
    Bearer,
}

/// A running registry with nothing in it. Dropping it stops it and deletes what it held.
#[derive(Debug)]
pub(crate) struct Registry {
    address: SocketAddr,
    access: Access,
    tokens: Option<TokenServer>,
    // Declared before the folder: the process ends before what it uses is deleted.
    _daemon: Daemon,
    folder: TempDir,
}

impl Registry {
    /// Starts one and waits until it answers.
    pub(crate) async fn start(access: Access) -> Self {
        let folder = TempDir::new().expect("a folder for the registry");
        let address = free_address();
        let tokens = match access {
            Access::Bearer => Some(TokenServer::start(folder.path()).await),
            Access::Open | Access::Basic => None,
        };
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: {address}, secret: harbour}}\n",
            folder.path().join("registry").display()
        );
        if access == Access::Basic {
            let file = folder.path().join("htpasswd");
            std::fs::write(&file, HTPASSWD).expect("the password file");
            let _ = writeln!(
                config,
                "auth: {{htpasswd: {{realm: harbour, path: {}}}}}",
                file.display()
            );
        }
        if let Some(tokens) = &tokens {
            let (realm, bundle) = (tokens.realm(), tokens.certificate().display());
            let _ = writeln!(
                config,
                "auth: {{token: {{realm: {realm:?}, service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {bundle}}}}}"
            );
        }
        let file = folder.path().join("registry.yml");
        std::fs::write(&file, config).expect("the registry's config");
        let mut command = DOCKER_REGISTRY.command();
        command.arg("serve").arg(file);
        let mut daemon = Daemon::start("docker-registry", command, &folder.path().join("log"));
        until(
            "docker-registry listens",
            Duration::from_secs(20),
            async || {
                assert_eq!(
                    daemon.ended(),
                    None,
                    "docker-registry ended: {}",
                    daemon.log()
                );
                TcpStream::connect(address).await.is_ok()
            },
        )
        .await;
        Self {
            address,
            access,
            tokens,
            _daemon: daemon,
            folder,
        }
    }

    /// Changes who may use an [`Access::Basic`] registry: all with the one password.
    pub(crate) fn known_by(&self, users: &[&str]) {
        let line = |user: &&str| HTPASSWD.replace(USER, user);
        let lines: String = users.iter().map(line).collect();
        let file = self.folder.path().join("htpasswd");
        std::fs::write(&file, lines).expect("the password file");
        // The registry reads it again when its time has changed, which may be coarser than this test is quick.
        let later = SystemTime::now() + Duration::from_secs(users.len() as u64 + 2);
        let file = File::options().write(true).open(file);
        let stamped = file.and_then(|file| file.set_modified(later));
        stamped.expect("the password file's time");
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its token server; panics unless it is a [`Access::Bearer`] registry.
    pub(crate) fn tokens(&self) -> &TokenServer {
        self.tokens
            .as_ref()
            .expect("a registry with a token server")
    }

    /// Pushes a layout's image or index with skopeo and returns the digest it has there.
    pub(crate) async fn push(
        &self,
        layout: &Layout,
        repository: &str,
        tag: &str,
        format: Format,
    ) -> String {
        let digest_file = layout.folder().join("pushed-digest");
        let mut skopeo = SKOPEO.command();
        skopeo.args(["copy", "--quiet", "--all", "--dest-tls-verify=false"]);
        skopeo.args(format.options());
        skopeo.arg("--digestfile").arg(&digest_file);
        if self.access != Access::Open {
            skopeo.arg("--dest-creds").arg(format!("{USER}:{PASSWORD}"));
        }
        skopeo.arg(format!("oci:{}", layout.folder().display()));
        skopeo.arg(format!("docker://{}/{repository}:{tag}", self.address));
        run_well(skopeo, Duration::from_mins(1)).await;
        let digest = std::fs::read_to_string(digest_file).expect("the digest of what was pushed");
        digest.trim().to_owned()
    }

    /// Pushes one blob by the API alone ("Pushing a blob monolithically") and returns its digest.
    ///
    /// Only for registries open to everyone.
    pub(crate) async fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let begin = http::send(
            self.address,
            "POST",
            &format!("/v2/{repository}/blobs/uploads/"),
            &[],
            b"",
        )
        .await;
        let location = begin.head.field("location").expect("an upload's location");
        let location = url::Url::parse(location).expect("an absolute location");
        let query = location.query().unwrap_or_default();
        let target = format!("{}?{query}&digest={digest}", location.path());
        let put = http::send(self.address, "PUT", &target, &[], bytes)
            .await
            .whole()
            .await;
        assert_eq!(put.status(), 201, "pushing a blob: {}", put.text());
        digest
    }

    /// Puts a manifest with exactly these bytes, under a tag or its digest. What it refers to must be there.
    ///
    /// Only for registries open to everyone.
    pub(crate) async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let fields = [("Content-Type", media_type)];
        let put = http::send(self.address, "PUT", &target, &fields, bytes)
            .await
            .whole()
            .await;
        assert_eq!(put.status(), 201, "putting a manifest: {}", put.text());
    }

    /// The folder that it stores everything in.
    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("registry")
    }

    /// What this registry itself answers to a GET.
    pub(crate) async fn get(&self, target: &str) -> http::Answer {
        get(self.address, target).await
    }
}
