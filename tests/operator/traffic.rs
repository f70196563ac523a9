//! Traffic of every kind through a mirror, counted on the side of its clients.

use serde_json::Value;

use crate::support::http::{get, send};
use crate::support::images::{Format, Layout};
use crate::support::mirror::Mirror;
use crate::support::noise;
use crate::support::upstream::Upstream;

/// No blob is fetched ahead of the client who asks for it: what crosses the tap is what clients asked for.
pub(crate) const NOTHING_AHEAD: &str = "eager = false\n";

/// Clients of one blob at once.
const HERD: usize = 8;

/// What clients asked for and got, manifests and blobs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
}

impl Asked {
    fn add(&mut self, bytes: &[u8]) {
        self.requests += 1;
        self.bytes += bytes.len() as u64;
    }
}

/// Pulls a new image three times, and a new blob by many clients at once: misses, hits and joins.
pub(crate) async fn pulls(upstream: &Upstream, mirror: &Mirror, seed: u64) -> Asked {
    let mut asked = Asked::default();
    let layout = Layout::image(seed, &[400_000, 3_000]);
    let repository = format!("library/image-{seed}");
    let registry = &upstream.registry;
    registry
        .push(&layout, &repository, "one", Format::Oci)
        .await;
    for _ in 0..3 {
        let manifest = mirror.get(&format!("/v2/{repository}/manifests/one")).await;
        assert_eq!(manifest.status(), 200, "{}", manifest.text());
        asked.add(&manifest.body);
        let manifest: Value = serde_json::from_slice(&manifest.body).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        for blob in layers.iter().chain([&manifest["config"]]) {
            let digest = blob["digest"].as_str().unwrap();
            let blob = mirror
                .get(&format!("/v2/{repository}/blobs/{digest}"))
                .await;
            assert_eq!(blob.status(), 200, "{}", blob.text());
            asked.add(&blob.body);
        }
    }

    let bytes = noise(seed + 1000, 300_000);
    let digest = registry.push_blob(&repository, &bytes).await;
    let target = format!("/v2/{repository}/blobs/{digest}");
    let gate = upstream.tap.on(&digest).gate_at(1000);
    let herd = (0..HERD).map(|_| mirror.get(&target));
    let herd = async {
        let all = futures_util::future::join_all(herd);
        let released = async {
            crate::support::bound::until(
                "the herd is in",
                std::time::Duration::from_secs(30),
                async || mirror.metric("roadstead_fill_followers", &[]).await > 7.5,
            )
            .await;
            gate.release();
        };
        futures_util::future::join(all, released).await.0
    };
    for blob in herd.await {
        assert!(blob.complete && blob.body == bytes);
        asked.add(&blob.body);
    }
    upstream.tap.heal();
    asked
}

/// What is not there, what upstream fails at, and what is asked for in passing.
pub(crate) async fn troubles(upstream: &Upstream, mirror: &Mirror, seed: u64) {
    let repository = format!("library/image-{seed}");
    let absent = mirror
        .get(&format!("/v2/{repository}/manifests/absent"))
        .await;
    assert_eq!(absent.status(), 404);
    let registry = &upstream.registry;
    let digest = registry
        .push_blob(&repository, &noise(seed + 2000, 9000))
        .await;
    let target = format!("/v2/{repository}/blobs/{digest}");
    let head = send(mirror.address, "HEAD", &target, &[], b"").await;
    assert_eq!(head.head.status(), Some(200));
    upstream.tap.on(&digest).answer(403);
    let refused = mirror.get(&target).await;
    assert!(refused.status() >= 400, "{}", refused.status());
    upstream.tap.heal();
    let unknown = get(mirror.address, "/v2/quay.io/a/b/manifests/1?ns=quay.io").await;
    assert_eq!(unknown.status(), 400, "{}", unknown.text());
}
