//! What a whole run leaves behind of what clients showed.

use std::path::Path;

use super::{ALICE, BOB, get_as, harbour, reads, token};
use crate::support::http::send;
use crate::support::mirror::Plan;
use crate::support::scripted::{Reply, Scripted};
use crate::support::token::basic;
use crate::support::{digest, noise};

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

#[tokio::test]
async fn incident_13_no_signed_address_is_in_logs_metrics_or_data() {
    const SIGNED: &str = "X-Amz-Signature=s1gned-by-the-store";
    let (good, refused) = (noise(41, 300_000), noise(42, 300_000));
    let (kept, lost) = (digest(&good), digest(&refused));
    let upstream = Scripted::start(move |asked| match asked.path.split_once('?') {
        Some((path, SIGNED)) if path.starts_with("/store/good") => Reply::honest(asked, &good),
        Some((_, SIGNED)) => Reply::new(403, b"<Error>expired</Error>"),
        _ => {
            let which = if asked.path.contains(&kept) {
                "good"
            } else {
                "lost"
            };
            let place = format!("http://{}/store/{which}?{SIGNED}", asked.host);
            Reply::new(307, b"").field("Location", place)
        }
    })
    .await;
    let plan = Plan::of_url(upstream.url()).saying("[log]\nlevel = \"trace\"");
    let mut mirror = plan.start().await;
    let kept = digest(&noise(41, 300_000));
    for (blob, well) in [(&kept, true), (&lost, false)] {
        for method in ["GET", "HEAD"] {
            let target = format!("/v2/library/a/blobs/{blob}");
            let answer = send(mirror.address, method, &target, &[], b"").await;
            let answer = answer.whole().await;
            assert_eq!(
                answer.status() == 200,
                well,
                "{method} {blob}: {}",
                answer.text()
            );
            assert!(!answer.text().contains("s1gned") && answer.head.field("location").is_none());
        }
    }
    mirror.rests(std::time::Duration::from_secs(20)).await;
    let (metrics, log) = (mirror.metrics().await, mirror.log());
    assert_eq!(mirror.stop(), 0);
    assert!(
        log.contains("DEBUG") || log.contains("TRACE"),
        "all was logged: {log}"
    );
    assert!(
        !log.contains("s1gned") && !metrics.contains("s1gned"),
        "{log}"
    );
    for bytes in files(&mirror.data()) {
        assert!(
            !bytes.windows(6).any(|it| it == b"s1gned"),
            "the data folder keeps it"
        );
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
