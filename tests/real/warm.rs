//! Warming: what was asked for is here, came once, and serves clients with the upstream gone.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bound::until;
use crate::support::clients::{Client, Docker, Podman, Skopeo};
use crate::support::images::{Format, Layout, missing};
use crate::support::mirror::{Mirror, Plan, roadstead};
use crate::support::process::{Daemon, run, said};
use crate::support::registry::Access;
use crate::support::tap::Tap;
use crate::support::upstream::Upstream;

const PATIENCE: Duration = Duration::from_mins(2);
const SIZES: [usize; 3] = [900_000, 40_000, 10];

/// `roadstead warm`, with these arguments.
fn warm(arguments: &[&str]) -> Command {
    let mut command = roadstead();
    command.arg("warm").args(arguments);
    command
}

/// Warms, and gives exit code and report.
async fn warmed(command: Command) -> (i32, Value) {
    let Output { status, stdout, .. } = {
        let output = run(command, PATIENCE).await;
        assert!(!output.stdout.is_empty(), "{}", said(&output));
        output
    };
    let report = serde_json::from_slice(&stdout).expect("a report");
    (status.code().unwrap_or(-1), report)
}

/// Bytes of all bodies that crossed.
fn crossed(tap: &Tap) -> u64 {
    let requests = tap.requests();
    let gets = requests
        .iter()
        .filter(|it| it.method == "GET" && it.status == Some(200));
    gets.map(|request| request.bytes).sum()
}

/// Images in the upstream, each with its reference.
async fn images(upstream: &Upstream, many: u64) -> Vec<(Layout, String)> {
    let mut images = Vec::new();
    for seed in 0..many {
        let (layout, format) = match seed % 3 {
            0 => (Layout::image(seed + 100, &SIZES), Format::Oci),
            1 => (Layout::multi_arch(seed + 100, &SIZES), Format::Oci),
            _ => (Layout::image(seed + 100, &SIZES), Format::Schema2),
        };
        let repository = format!("library/warm-{seed}");
        upstream
            .registry
            .push(&layout, &repository, "one", format)
            .await;
        images.push((layout, format!("docker.io/{repository}:one")));
    }
    images
}

fn list(folder: &Path, images: &[(Layout, String)]) -> String {
    let lines = images
        .iter()
        .map(|(_, reference)| format!("{reference} # wanted\n"));
    let file = folder.join("list");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    file.display().to_string()
}

async fn pulls<C: Client>(client: &C, images: &[(Layout, String)]) {
    for (layout, reference) in images {
        client.pull(reference).await;
        let holds = client.holds(reference).await;
        let lacks = missing(layout.layers(), &holds);
        assert!(lacks.is_empty(), "{} {reference} lacks {lacks:?}", C::NAME);
        client.forget(reference).await;
    }
}

/// A running mirror brings a list, once; then real clients pull all of it with the upstream gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_warmed_is_pulled_with_the_upstream_gone() {
    let (mut upstream, mirror) = Upstream::mirrored().await;
    let images = images(&upstream, 12).await;
    upstream.tap.forget();
    let folder = TempDir::new().unwrap();
    let (list, server) = (list(folder.path(), &images), mirror.operator());
    let platform = format!(
        "linux/{}",
        if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        }
    );
    let arguments = [
        "--server",
        &server,
        "-f",
        &list,
        "--platform",
        &platform,
        "--json",
    ];

    let (code, report) = warmed(warm(&arguments)).await;
    assert_eq!(
        (code, &report["state"]),
        (0, &"complete".into()),
        "{report:#}"
    );
    let blobs = upstream.tap.blobs();
    for (layout, _) in &images {
        for layer in layout.all_layers() {
            let wanted = layout.layers().contains(&layer);
            let gets = blobs.get(&layer.blob).map_or(0, |crossing| crossing.gets);
            assert_eq!(gets, usize::from(wanted), "{layer:?}");
        }
    }
    assert!(
        blobs.values().all(|crossing| crossing.gets == 1),
        "{blobs:?}"
    );
    assert_eq!(report["fetched"], crossed(&upstream.tap), "{report:#}");
    assert_eq!(report["fetched"], report["bytes"]);
    assert_eq!(report["rows"].as_array().unwrap().len(), images.len());

    upstream.tap.forget();
    let (code, report) = warmed(warm(&arguments)).await;
    assert_eq!((code, &report["fetched"]), (0, &0.into()), "{report:#}");
    assert_eq!(upstream.tap.count(|request| request.method != "HEAD"), 0);

    upstream.tap.close().await;
    pulls(&Skopeo::new(mirror.address), &images).await;
    pulls(&Podman::new(mirror.address), &images).await;
    pulls(&Docker::start(mirror.address).await, &images).await;
}

/// Stopped in the midst, by the terminal or by a power cut, it goes on with the rest.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_broken_off_goes_on_with_the_rest() {
    for (signal, code) in [(Signal::INT, 130), (Signal::KILL, -1)] {
        let upstream = Upstream::start(Access::Open).await;
        // The note of how far a download came is made each MiB.
        let large = Layout::image(7, &[24_000_000, 2_000_000, 2_000_000]);
        upstream
            .registry
            .push(&large, "library/large", "one", Format::Oci)
            .await;
        let mirror = Plan::of(&upstream.tap).prepare();
        let whole: u64 = large.layers().iter().map(|layer| layer.size).sum();
        upstream.tap.forget();
        upstream.tap.throttle(Some(6_000_000));
        let config = mirror.config().display().to_string();
        let command = || warm(&["--config", &config, "--json", "docker.io/library/large:one"]);
        let log = mirror.data().parent().unwrap().join("warm.log");
        let mut warming = Daemon::start("roadstead warm", command(), &log);
        until("half of it has crossed", PATIENCE, async || {
            upstream.tap.blob_bytes() > whole / 2
        })
        .await;
        warming.signal(signal);
        let ended = warming.wait(PATIENCE);
        assert_eq!(ended, Some(code), "{}", warming.log());
        let before = upstream.tap.blob_bytes();
        assert!(before < whole, "it was not stopped in the midst");
        upstream.tap.forget();
        upstream.tap.throttle(None);
        let (code, report) = warmed(command()).await;
        assert_eq!(code, 0, "{report:#}");
        let after = upstream.tap.blob_bytes();
        // Of what was under way when it was killed, the last MiB of each of the three layers may not have been noted;
        // some more was on its way.
        assert!(
            after < whole - before + 8_000_000,
            "{before} and {after} of {whole}"
        );
        assert!(after < whole - whole / 5, "{before} and {after} of {whole}");
        let content = mirror.content();
        assert!(missing(large.layers(), &content).is_empty(), "{content:?}");
    }
}

/// What can be said on the command line, and what it ends with.
#[tokio::test(flavor = "multi_thread")]
async fn lists_come_from_compose_and_kubernetes_and_the_exit_code_tells() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let images = images(&upstream, 2).await;
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let compose = file(
        "compose.yaml",
        "services: {a: {image: 'warm-0:${TAG:-one}'}, b: {build: .}}",
    );
    let manifests = "kind: Pod\nspec:\n  containers:\n  - {name: a, image: warm-1:one}\n  initContainers:\n  - {name: b, image: none}\n";
    let pods = file("pod.yaml", manifests);
    let server = mirror.operator();
    let outcome = async |more: &[&str]| {
        let mut command = warm(&["--server", &server, "--json"]);
        command.args(more);
        let (code, report) = warmed(command).await;
        let state = |row: &Value| row["state"].as_str().unwrap().to_owned();
        let states: Vec<_> = report["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(state)
            .collect();
        (code, states.join(" "))
    };
    assert_eq!(
        outcome(&["--compose", &compose]).await,
        (0, "done".to_owned())
    );
    let both = ["--compose", &compose, "--kubernetes", &pods];
    assert_eq!(outcome(&both).await.0, 3);
    assert_eq!(outcome(&["none"]).await, (1, "failed".to_owned()));
    // In a pipe: a line for each image, and what came of it.
    let output = run(warm(&["--server", &server, &images[1].1]), PATIENCE).await;
    let text = said(&output);
    assert!(text.contains("complete: 1 images: 1 done"), "{text}");
    for misuse in [
        &["--server", &server][..],
        &["Alpine"],
        &["--server", "nonsense", "alpine"],
        &["-f", "/nowhere"],
    ] {
        let output = run(warm(misuse), PATIENCE).await;
        assert_eq!(
            output.status.code(),
            Some(2),
            "{misuse:?}: {}",
            said(&output)
        );
    }
    let unreachable = run(
        warm(&["--server", "http://127.0.0.1:1", "alpine"]),
        PATIENCE,
    )
    .await;
    assert_eq!(unreachable.status.code(), Some(1), "{}", said(&unreachable));
    // The mirror that runs by this config is asked: it holds the data folder.
    let config = mirror.config().display().to_string();
    let (code, report) = warmed(warm(&["--config", &config, "--json", &images[0].1])).await;
    assert_eq!((code, &report["fetched"]), (0, &0.into()), "{report:#}");
    jobs_are_listed(&mirror).await;
}

async fn jobs_are_listed(mirror: &Mirror) {
    let address = mirror
        .operator()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let jobs = crate::support::http::get(address, "/api/v1/warm").await;
    assert_eq!(jobs.status(), 200);
    let jobs: Value = serde_json::from_slice(&jobs.body).unwrap();
    let jobs = jobs["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 5, "{jobs:?}");
    assert!(jobs.iter().all(|job| job["images"].as_u64().is_some()));
    for (method, path, status) in [
        ("POST", "/api/v1/warm", 400),
        ("POST", "/api/v1/warm?reference=A", 400),
        ("GET", "/api/v1/warm/1", 404),
        ("DELETE", "/api/v1/warm/x", 404),
        ("PUT", "/api/v1/warm", 405),
    ] {
        let answer = crate::support::http::send(address, method, path, &[], b"")
            .await
            .whole()
            .await;
        assert_eq!(
            answer.status(),
            status,
            "{method} {path}: {}",
            answer.text()
        );
    }
}
