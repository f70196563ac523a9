//! What lies on the disk, and what other hands did to it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::blobs::{Blob, blobs};
use crate::support::http::open;
use crate::support::mirror::{Mirror, roadstead};
use crate::support::upstream::Upstream;

async fn pull(mirror: &Mirror, blob: &Blob) {
    let download = open(mirror.address, &blob.path).await;
    let got = download.compare(&blob.bytes).await;
    assert!(got.is_whole(&blob.bytes), "{}: {got:?}", blob.digest);
}

fn content(mirror: &Mirror, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    mirror
        .data()
        .join("content/sha256")
        .join(&hex[..2])
        .join(hex)
}

fn verify(mirror: &Mirror) -> (bool, String) {
    let mut command = roadstead();
    command
        .arg("verify")
        .arg("--config")
        .arg(mirror.config_file());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_and_the_next_pull_is_right() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let blobs = blobs(&upstream.registry, 3, 300_000).await;
    for blob in &blobs {
        pull(&mirror, blob).await;
    }
    mirror.rests(Duration::from_secs(30)).await;
    let (right, said) = verify(&mirror);
    assert!(right && said.contains("3 right"), "{said}");
    let path = content(&mirror, &blobs[1].digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[150_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    // Beside the mirror, which goes on serving.
    let (right, said) = verify(&mirror);
    assert!(!right, "{said}");
    assert!(
        said.contains(&format!("wrong: {}", blobs[1].digest)),
        "{said}"
    );
    assert!(
        said.contains("2 right") && said.contains("1 wrong"),
        "{said}"
    );
    upstream.tap.forget();
    for blob in &blobs {
        pull(&mirror, blob).await;
    }
    assert_eq!(
        upstream.tap.blobs().len(),
        1,
        "only what was wrong crosses again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_another_size_is_never_served() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let blob = &blobs(&upstream.registry, 1, 300_000).await[0];
    pull(&mirror, blob).await;
    mirror.rests(Duration::from_secs(30)).await;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(content(&mirror, &blob.digest));
    file.unwrap().set_len(299_999).unwrap();
    pull(&mirror, blob).await;
    assert_eq!(upstream.tap.blobs()[&blob.digest].gets, 2);
}

/// Every file and folder below `folder`.
fn everything_in(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything_in(&path, found);
        }
        found.push(path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_one_file_or_folder_may_be_deleted_while_it_is_stopped() {
    let (upstream, mut mirror) = Upstream::mirrored().await;
    let blobs = blobs(&upstream.registry, 2, 100_000).await;
    for blob in &blobs {
        pull(&mirror, blob).await;
    }
    mirror.rests(Duration::from_secs(30)).await;
    // A download that stays unfinished.
    upstream.tap.on(&blobs[1].path).stall_at(50_000);
    mirror.stop();
    std::fs::remove_file(content(&mirror, &blobs[1].digest)).unwrap();
    mirror.start().await;
    drop(open(mirror.address, &blobs[1].path).await);
    mirror.kill();
    upstream.tap.heal();
    let whole = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(from).arg(to);
        assert!(copy.status().unwrap().success());
    };
    let kept = whole.path().join("data");
    copy(&mirror.data(), &kept);
    let mut everything = Vec::new();
    everything_in(&mirror.data(), &mut everything);
    assert!(everything.len() > 8, "{everything:?}");
    for victim in everything {
        if victim.is_dir() {
            std::fs::remove_dir_all(&victim).unwrap();
        } else {
            std::fs::remove_file(&victim).unwrap();
        }
        mirror.start().await;
        for blob in &blobs {
            pull(&mirror, blob).await;
        }
        mirror.kill();
        std::fs::remove_dir_all(mirror.data()).unwrap();
        copy(&kept, &mirror.data());
    }
}
