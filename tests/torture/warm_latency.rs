//! What clients feel of a job that warms a hundred images over the same narrow uplink: of hits and of misses.

use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::{MIB, alone, full, scale};
use crate::support::blobs::{Blob, blobs};
use crate::support::bound::until;
use crate::support::http::{get, open};
use crate::support::mirror::{Mirror, roadstead};
use crate::support::noise;
use crate::support::process::Daemon;
use crate::support::registry::Registry;
use crate::support::upstream::Upstream;

const PATIENCE: Duration = Duration::from_mins(2);
/// Bytes a second of the uplink, and of what clients ask for.
const UPLINK: u64 = 20_000_000;
const SIZE: usize = 256 * 1024;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Puts images of two layers into the registry; gives their references.
async fn images(registry: &Registry, many: u64, size: usize) -> Vec<String> {
    let mut references = Vec::new();
    for seed in 0..many {
        let repository = format!("library/warm-{seed}");
        let config = registry.push_blob(&repository, b"{}").await;
        let mut layers = Vec::new();
        for nth in 1..=2 {
            let bytes = noise(seed * 10 + nth, size);
            let digest = registry.push_blob(&repository, &bytes).await;
            let kind = "application/vnd.oci.image.layer.v1.tar";
            layers.push(json!({"mediaType": kind, "digest": digest, "size": size}));
        }
        let kind = "application/vnd.oci.image.config.v1+json";
        let config = json!({"mediaType": kind, "digest": config, "size": 2});
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let manifest = manifest.to_string();
        let put = registry.put_manifest(&repository, "one", MANIFEST, manifest.as_bytes());
        put.await;
        references.push(format!("docker.io/{repository}:one\n"));
    }
    references
}

/// Hits and misses in turn, one after the other; how long each took to its last byte. Ends with the misses, or when
/// `going` says so.
async fn pulls(
    mirror: &Mirror,
    hit: &Blob,
    misses: &[Blob],
    going: impl AsyncFn() -> bool,
) -> [Vec<Duration>; 2] {
    let mut took = [Vec::new(), Vec::new()];
    for miss in misses {
        if !going().await {
            break;
        }
        for (blob, took) in [hit, miss].into_iter().zip(&mut took) {
            let began = Instant::now();
            let download = open(mirror.address, &blob.path).await;
            assert!(download.compare(&blob.bytes).await.is_whole(&blob.bytes));
            took.push(began.elapsed());
        }
    }
    took
}

/// The one in the middle.
fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_beside_a_job_that_warms_a_hundred_images() {
    let _alone = alone().await;
    let (upstream, mirror) = Upstream::mirrored().await;
    let (many, rounds) = scale((100, 100), (20, 12));
    let references = images(&upstream.registry, many, scale(MIB, MIB / 2)).await;
    let cold = blobs(&upstream.registry, 1 + 2 * rounds, SIZE).await;
    let (hit, misses) = cold.split_first().unwrap();
    let (first, second) = misses.split_at(misses.len() / 2);
    assert_eq!(get(mirror.address, &hit.path).await.status(), 200);
    mirror.rests(PATIENCE).await;
    upstream.tap.throttle(Some(UPLINK));
    let idle = pulls(&mirror, hit, first, async || true).await;

    let folder = TempDir::new().unwrap();
    let list = folder.path().join("list");
    std::fs::write(&list, references.concat()).unwrap();
    let mut command = roadstead();
    command.args(["warm", "--server", &mirror.operator(), "--json", "-f"]);
    command.arg(&list);
    upstream.tap.forget();
    let mut warming = Daemon::start("roadstead warm", command, &folder.path().join("log"));
    until("the job brings blobs", PATIENCE, async || {
        upstream.tap.blob_bytes() > 0
    })
    .await;
    let of_job = async || {
        let told = mirror.admin_get("/api/v1/warm").await.text();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        told["jobs"][0].clone()
    };
    let running = async || of_job().await["state"] == "running";
    let beside = pulls(&mirror, hit, second, running).await;
    let job = of_job().await;
    assert_eq!(warming.wait(PATIENCE), Some(0), "{}", warming.log());

    let seen = beside[1].len();
    println!(
        "warm: {} of {} bytes of the job came while {seen} hits and misses of {} KiB did",
        job["present"],
        job["bytes"],
        SIZE / 1024
    );
    assert!(seen > 3, "the job ended before anything was measured");
    for (what, idle, beside) in [
        ("hits", &idle[0], &beside[0]),
        ("misses", &idle[1], &beside[1]),
    ] {
        let (idle, beside) = (median(idle.clone()), median(beside.clone()));
        let slower = beside.as_secs_f64() / idle.as_secs_f64();
        println!("warm: {what}, medians: {idle:?} idle, {beside:?} beside the job ({slower:.2} x)");
        if full() {
            assert!(slower < 1.2, "{what}: {slower:.2} x");
        }
    }
}
