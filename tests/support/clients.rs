//! The real clients, each set up so that the mirror is its only way to Docker Hub.
//!
//! A client pulls, shows what it holds as digests of the bytes it gives back, and forgets again. Whatever it keeps lies
//! in a temporary home of its own, and a proxy that does not exist stands between it and the rest of the world.

mod containerd;
mod docker;
mod podman;
mod skopeo;

pub(crate) use containerd::Containerd;
pub(crate) use docker::Docker;
pub(crate) use podman::Podman;
pub(crate) use skopeo::{SKOPEO, Skopeo};

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use super::digest;
use super::process::Part;

/// No single command of a client may take longer.
const PATIENCE: Duration = Duration::from_mins(2);

/// An address where nobody answers: the only other way the clients know.
const NOWHERE: &str = "127.0.0.1:1";

/// A client of registries.
pub(crate) trait Client {
    /// Its name, for messages.
    const NAME: &'static str;

    /// Pulls `reference` (in full: `docker.io/library/…:tag` or `…@digest`); fails the test when it cannot.
    async fn pull(&self, reference: &str);

    /// The digests of all the bytes that it gives back for `reference`, computed here.
    async fn holds(&self, reference: &str) -> BTreeSet<String>;

    /// Removes its own copy, so that the next pull asks for everything again.
    async fn forget(&self, reference: &str);
}

/// The temporary home of one client.
#[derive(Debug)]
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = TempDir::new().expect("a home for a client");
        let home = Self { folder };
        // No credentials; podman wants the file to be there all the same.
        home.file("auth.json", "{}");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in this home with this text.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let folder = path.parent().expect("a file in the home");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .expect("a client's config");
        path
    }

    /// A command that knows only this home and loopback.
    fn command(&self, part: Part) -> Command {
        let mut command = part.command();
        let home = self.folder.path();
        command
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("DOCKER_CONFIG", home);
        command.env("REGISTRY_AUTH_FILE", self.path("auth.json"));
        for name in ["HTTPS_PROXY", "https_proxy"] {
            command.env(name, format!("http://{NOWHERE}"));
        }
        for name in ["HTTP_PROXY", "http_proxy", "DOCKER_HOST", "DOCKER_CONTEXT"] {
            command.env_remove(name);
        }
        command
    }
}

impl Drop for Home {
    /// Daemons that were killed leave mounts behind; nothing below them could be deleted.
    fn drop(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        // The last first: a mount may lie within an earlier one.
        let places = mounts
            .lines()
            .rev()
            .filter_map(|line| line.split(' ').nth(1));
        for place in places.filter(|place| Path::new(place).starts_with(self.folder.path())) {
            if let Err(error) = unmount(place, UnmountFlags::DETACH) {
                eprintln!("cannot unmount {place}: {error}");
            }
        }
    }
}

/// The text of a `registries.conf` in which Docker Hub is the mirror and nothing else: the location of the registry
/// itself is [`NOWHERE`].
fn registries_conf(mirror: SocketAddr) -> String {
    format!(
        "[[registry]]\nprefix = \"docker.io\"\nlocation = \"{NOWHERE}\"\n\n\
         [[registry.mirror]]\nlocation = \"{mirror}\"\ninsecure = true\n"
    )
}

/// The digest of each member of a tar.
fn digests_in_tar(file: &Path) -> BTreeSet<String> {
    let archive = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut archive = tar::Archive::new(archive);
    let members = archive.entries().expect("a tar that a client wrote");
    members
        .map(|member| {
            let mut bytes = Vec::new();
            member
                .and_then(|mut member| member.read_to_end(&mut bytes))
                .expect("a member of a tar");
            digest(&bytes)
        })
        .collect()
}

/// The digest of each file right in a folder.
fn digests_in_folder(folder: &Path) -> BTreeSet<String> {
    let files =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .map(|file| digest(&std::fs::read(file.expect("a file").path()).expect("a file's bytes")))
        .collect()
}
