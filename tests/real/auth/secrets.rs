//! What a whole run leaves behind of what clients showed.

use std::path::Path;

use super::{ALICE, BOB, get_as, harbour, reads, token};
use crate::support::http::send;
use crate::support::token::basic;

#[tokio::test]
async fn incident_13_no_secret_is_in_logs_metrics_or_data() {
    let (_upstream, mut mirror, image) = harbour("").await;
    let repository = image.repository;
    let alice = token(&mirror, Some(ALICE), repository).await;
    let bob = token(&mirror, Some(BOB), repository).await;
    let by_basic = basic(ALICE.0, ALICE.1);
    for shown in [&*alice, &bob, &by_basic, "Bearer t0p-s3cret"] {
        reads(&mirror, repository, &image, shown).await;
        get_as(mirror.address, "/token?service=docker.io", Some(shown)).await;
    }
    let form = format!("grant_type=password&username=alice&password={}", ALICE.1);
    send(mirror.address, "POST", "/token", &[], form.as_bytes()).await;
    mirror.rests(std::time::Duration::from_secs(20)).await;
    let metrics = mirror.metrics().await;
    let log = mirror.log();
    assert_eq!(mirror.stop(), 0);
    let sealed = alice.strip_prefix("Bearer ").unwrap();
    let coded = by_basic.strip_prefix("Basic ").unwrap();
    let secrets = [ALICE.1, BOB.1, sealed, coded, "t0p-s3cret", "eyJ"];
    assert!(log.contains("secret/a"), "the log was read: {log}");
    for secret in secrets {
        assert!(!log.contains(secret), "the log shows {secret}");
        assert!(!metrics.contains(secret), "the metrics show {secret}");
    }
    let kept = files(&mirror.data());
    assert!(!kept.is_empty());
    for bytes in kept {
        for secret in secrets.iter().take(5) {
            let found = bytes
                .windows(secret.len())
                .any(|it| it == secret.as_bytes());
            assert!(!found, "the data folder keeps {secret}");
        }
    }
}

/// The bytes of all files below a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path());
    let read = |path: std::path::PathBuf| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![std::fs::read(path).unwrap()]
        }
    };
    entries.flat_map(read).collect()
}
