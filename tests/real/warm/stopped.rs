//! Warming that is stopped in the midst, by the terminal or as by a power cut, goes on with the rest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{PATIENCE, list, warm, warmed};
use crate::support::bound::until;
use crate::support::images::{Format, Layer, Layout, missing};
use crate::support::mirror::{Mirror, Plan};
use crate::support::process::Daemon;
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

const MIB: u64 = 1024 * 1024;

/// A list of images, a mirror that is to have them, and a narrow uplink between.
struct Scene {
    upstream: Upstream,
    mirror: Mirror,
    folder: TempDir,
    list: String,
    layers: Vec<Layer>,
}

impl Scene {
    /// Eight images of some three MiB.
    async fn of_many() -> Self {
        let upstream = Upstream::start(Access::Open).await;
        let mut references = Vec::new();
        let mut layers = Vec::new();
        for seed in 0..8 {
            let layout = Layout::image(seed + 300, &[3_000_000, 100_000, 10]);
            let repository = format!("library/stopped-{seed}");
            let registry = &upstream.registry;
            registry
                .push(&layout, &repository, "one", Format::Oci)
                .await;
            references.push(format!("docker.io/{repository}:one"));
            layers.extend_from_slice(layout.layers());
        }
        let folder = TempDir::new().unwrap();
        Self {
            mirror: Plan::of(&upstream.tap).prepare(),
            list: list(folder.path(), &references),
            upstream,
            folder,
            layers,
        }
    }

    /// Bytes of all layers.
    fn whole(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("warm.log")
    }

    /// Begins to warm, and gives the process when a quarter of the bytes have crossed: what is under way may end behind it.
    async fn in_the_midst(&self, command: Command) -> Daemon {
        let tap = &self.upstream.tap;
        tap.forget();
        tap.throttle(Some(8_000_000));
        let warming = Daemon::start("roadstead warm", command, &self.log());
        until("a quarter of it has crossed", PATIENCE, async || {
            tap.blob_bytes() > self.whole() / 4
        })
        .await;
        warming
    }

    /// Bytes of layers that crossed, each layer by itself.
    fn crossed(&self) -> BTreeMap<String, u64> {
        let blobs = self.upstream.tap.blobs();
        let layers = self.layers.iter().map(|layer| {
            let bytes = blobs.get(&layer.blob).map_or(0, |crossing| crossing.bytes);
            (layer.blob.clone(), bytes)
        });
        layers.collect()
    }

    /// After a stop: the same again brings what is missing, and next to nothing twice.
    async fn brings_the_rest(&mut self, command: Command, starts: bool) {
        let (here, before) = (self.mirror.content(), self.crossed());
        let so_far: u64 = before.values().sum();
        assert!(so_far < self.whole() * 4 / 5, "not in the midst: {so_far}");
        self.upstream.tap.forget();
        self.upstream.tap.throttle(None);
        if starts {
            self.mirror.start().await;
        }
        let (code, report) = warmed(command).await;
        assert_eq!(code, 0, "{report:#}");
        let mut twice = 0;
        for layer in &self.layers {
            let after = self.crossed()[&layer.blob];
            assert!(after == 0 || !here.contains(&layer.blob), "{layer:?}");
            twice += (before[&layer.blob] + after).saturating_sub(layer.size);
        }
        // Of each of the four that were under way at most the last MiB was not noted; some more was on its way.
        println!("warm: {twice} bytes of {} came twice", self.whole());
        assert!(twice < 4 * MIB + 1_000_000, "{twice} bytes came twice");
        self.all_is_here();
    }

    fn all_is_here(&self) {
        let content = self.mirror.content();
        let lacks = missing(&self.layers, &content);
        assert!(lacks.is_empty(), "{lacks:?}");
    }
}

/// Ctrl-C at a terminal stops the job in the mirror; not a byte comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_the_mirror_that_was_interrupted_brings_the_rest_when_it_is_run_again() {
    let mut scene = Scene::of_many().await;
    scene.mirror.start().await;
    let server = scene.mirror.operator();
    let command = |scene: &Scene| warm(&["--server", &server, "-f", &scene.list, "--json"]);
    let mut warming = scene.in_the_midst(command(&scene)).await;
    warming.signal(Signal::INT);
    assert_eq!(warming.wait(PATIENCE), Some(130), "{}", warming.log());
    // What it had begun to fetch goes on by itself.
    scene.upstream.tap.throttle(None);
    scene.mirror.rests(PATIENCE).await;
    let before: u64 = scene.crossed().values().sum();
    assert!(before < scene.whole() * 4 / 5, "not in the midst: {before}");
    let (code, report) = warmed(command(&scene)).await;
    assert_eq!(code, 0, "{report:#}");
    for layer in &scene.layers {
        assert_eq!(scene.crossed()[&layer.blob], layer.size, "{layer:?}");
    }
    scene.all_is_here();
}

/// `kill -9` of the mirror: what was here stays untouched, and what was under way goes on where it was noted.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_a_mirror_that_was_killed_brings_the_rest_when_it_is_run_again() {
    let mut scene = Scene::of_many().await;
    scene.mirror.start().await;
    let server = scene.mirror.operator();
    let command = |scene: &Scene| warm(&["--server", &server, "-f", &scene.list, "--json"]);
    let mut warming = scene.in_the_midst(command(&scene)).await;
    scene.mirror.kill();
    assert_eq!(warming.wait(PATIENCE), Some(1), "{}", warming.log());
    let said = warming.log();
    assert!(said.contains("does not answer"), "{said}");
    scene.brings_the_rest(command(&scene), true).await;
}

/// The same where no server runs and the command does the work itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_stopped_brings_the_rest_when_it_is_run_again() {
    for (signal, code) in [(Signal::INT, 130), (Signal::KILL, -1)] {
        let mut scene = Scene::of_many().await;
        let config = scene.mirror.config().display().to_string();
        let command = |scene: &Scene| warm(&["--config", &config, "-f", &scene.list, "--json"]);
        let mut warming = scene.in_the_midst(command(&scene)).await;
        warming.signal(signal);
        assert_eq!(warming.wait(PATIENCE), Some(code), "{}", warming.log());
        scene.brings_the_rest(command(&scene), false).await;
    }
}
