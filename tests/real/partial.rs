//! podman with partial pulls (zstd:chunked): of a layer it fetches only the files that it does not have.

use std::net::SocketAddr;

use crate::support::clients::Podman;
use crate::support::images::{Format, Layout};
use crate::support::noise;
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

const FILES: usize = 200;
const SIZE: usize = 60_000;

type Files = Vec<(String, Vec<u8>)>;

/// Files of an image (in its root: podman may copy a file before it has made its folder), and those of its next version, in which three are others.
fn two_versions() -> [Files; 2] {
    let names = (0..).map(|number| format!("file-{number}")).take(FILES);
    let one: Files = (1..)
        .zip(names)
        .map(|(seed, name)| (name, noise(seed, SIZE)))
        .collect();
    let mut two = one.clone();
    for (seed, number) in (1000..).zip([7, 90, 160]) {
        two[number].1 = noise(seed, SIZE);
    }
    [one, two]
}

/// Pulls both versions through `address`; returns how many bytes of blobs crossed for each.
async fn pull_both(upstream: &Upstream, address: SocketAddr) -> Vec<u64> {
    let podman = Podman::partial(address);
    let mut crossed = Vec::new();
    for (tag, files) in ["one", "two"].into_iter().zip(two_versions()) {
        let layout = Layout::of_files(&files);
        upstream
            .registry
            .push(&layout, "library/parts", tag, Format::Chunked)
            .await;
        upstream.tap.forget();
        let reference = format!("docker.io/library/parts:{tag}");
        let said = podman.pull_aloud(&reference).await;
        assert!(said.contains("Retrieved partial blob"), "{tag}: {said}");
        let folder = podman.files(&reference).await;
        for (name, bytes) in files {
            let got = std::fs::read(folder.join(&name));
            assert!(got.is_ok_and(|got| got == bytes), "{tag}: {name}");
        }
        crossed.push(upstream.tap.blob_bytes());
    }
    crossed
}

/// The first version crosses about once, and of the second little more than the three files.
fn about_what_is_new(crossed: &[u64]) {
    let whole = (FILES * SIZE) as u64;
    let [one, two] = crossed else {
        panic!("two pulls: {crossed:?}");
    };
    assert!(*one <= whole + whole / 10, "{crossed:?} of {whole}");
    assert!(*two <= whole / 8, "{crossed:?} of {whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_new_in_a_layer_crosses() {
    let (upstream, mirror) = Upstream::mirrored().await;
    about_what_is_new(&pull_both(&upstream, mirror.address).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_in_parts_straight_from_the_registry() {
    let upstream = Upstream::start(Access::Open).await;
    let address = upstream.tap.address();
    about_what_is_new(&pull_both(&upstream, address).await);
}
