//! What to try on the demo with real clients: their files, written where they can be pointed at, and the
//! lines to type.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use super::stage::Places;

/// Writes the files of the clients into `folder`, which is there as long as the demo.
pub(super) fn write_files(folder: &Path, registry: SocketAddr) -> io::Result<()> {
    let containerd = folder.join("certs.d/docker.io");
    fs::create_dir_all(&containerd)?;
    fs::write(containerd.join("hosts.toml"), hosts_toml(registry))?;
    fs::write(folder.join("registries.conf"), registries_conf(registry))
}

/// Writes the lines to type, with the addresses and the folder that there are.
pub(super) fn write(out: &mut dyn Write, folder: &Path, places: &Places) -> io::Result<()> {
    let (registry, admin) = (places.registry, places.admin);
    let folder = folder.display();
    write!(
        out,
        r#"
Try it, with library/hello, library/multi, library/big or library/herd:

docker, without any change to its daemon
    docker run --rm {registry}/library/hello

docker, as its mirror: in /etc/docker/daemon.json, then restart the daemon
    {{"registry-mirrors": ["http://{registry}"]}}
    docker run --rm library/hello

podman
    CONTAINERS_REGISTRIES_CONF={folder}/registries.conf \
      podman run --rm docker.io/library/hello

containerd
    ctr images pull --hosts-dir {folder}/certs.d \
      docker.io/library/hello:latest

skopeo
    skopeo inspect --tls-verify=false docker://{registry}/library/multi

curl
    curl -i http://{registry}/v2/library/hello/manifests/latest
    curl -s http://{admin}/metrics | grep ^roadstead_

The mirror's config and the files for the clients are in
    {folder}

Ctrl-C ends it and removes them.
"#
    )?;
    out.flush()
}

/// The server is nowhere: all that comes, comes from the mirror.
fn hosts_toml(registry: SocketAddr) -> String {
    format!(
        r#"server = "http://127.0.0.1:1"

[host."http://{registry}"]
capabilities = ["pull", "resolve"]
"#
    )
}

/// The same for podman, skopeo and buildah.
fn registries_conf(registry: SocketAddr) -> String {
    format!(
        r#"[[registry]]
prefix = "docker.io"
location = "127.0.0.1:1"
insecure = true

[[registry.mirror]]
location = "{registry}/docker.io"
insecure = true
"#
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use toml::Table;

    use super::*;
    use crate::cli::demo::registry::Uplink;

    #[test]
    fn the_files_name_the_mirror() {
        let folder = tempfile::tempdir().unwrap();
        let registry: SocketAddr = "127.0.0.1:4321".parse().unwrap();
        write_files(folder.path(), registry).unwrap();
        let read = |name: &str| -> Table {
            let text = fs::read_to_string(folder.path().join(name)).unwrap();
            text.parse().unwrap()
        };
        let hosts = read("certs.d/docker.io/hosts.toml");
        assert!(hosts["host"].get("http://127.0.0.1:4321").is_some());
        let registries = read("registries.conf");
        let mirror = registries["registry"][0]["mirror"][0]["location"].as_str();
        assert_eq!(mirror, Some("127.0.0.1:4321/docker.io"));
    }

    #[test]
    fn the_lines_fit_and_have_the_real_addresses() {
        let places = Places {
            upstream: "127.0.0.1:40000".parse().unwrap(),
            registry: "127.0.0.1:54321".parse().unwrap(),
            admin: "127.0.0.1:54322".parse().unwrap(),
            uplink: Uplink::default(),
        };
        let mut out = Vec::new();
        write(&mut out, Path::new("/tmp/roadstead-demo-abcdef"), &places).unwrap();
        let text = String::from_utf8(out).unwrap();
        for line in [
            "docker run --rm 127.0.0.1:54321/library/hello",
            r#"{"registry-mirrors": ["http://127.0.0.1:54321"]}"#,
            "curl -s http://127.0.0.1:54322/metrics | grep ^roadstead_",
        ] {
            assert!(text.lines().any(|shown| shown.trim() == line), "{line}");
        }
        assert!(text.lines().all(|line| line.len() < 80), "{text}");
    }
}
