//! Warming: what was asked for is here, came once, and serves clients with the upstream gone.

mod fifty;
mod stopped;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::images::{Format, Layout};
use crate::support::mirror::{Mirror, roadstead};
use crate::support::process::{run, said};
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
    let gets = requests.iter().filter(|it| it.method == "GET");
    gets.map(|request| request.bytes).sum()
}

/// A file that lists these references.
fn list(folder: &Path, references: &[String]) -> String {
    let lines = references.iter().map(|it| format!("{it} # wanted\n"));
    let file = folder.join("list");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    file.display().to_string()
}

/// What can be said on the command line, and what it ends with.
#[tokio::test(flavor = "multi_thread")]
async fn lists_come_from_compose_and_kubernetes_and_the_exit_code_tells() {
    let (upstream, mirror) = Upstream::mirrored().await;
    for seed in 0..2 {
        let layout = Layout::image(seed + 100, &SIZES);
        let repository = format!("library/warm-{seed}");
        let registry = &upstream.registry;
        registry
            .push(&layout, &repository, "one", Format::Oci)
            .await;
    }
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
    let output = run(warm(&["--server", &server, "warm-1:one"]), PATIENCE).await;
    let text = said(&output);
    let lines: Vec<_> = text
        .lines()
        .filter(|it| it.contains("warm-1:one"))
        .collect();
    assert!(lines.len() == 1 && lines[0].starts_with("done "), "{text}");
    assert!(text.contains("complete: 1 image (1 done);"), "{text}");
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
    let (code, report) = warmed(warm(&["--config", &config, "--json", "warm-0:one"])).await;
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
