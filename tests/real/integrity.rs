//! Nothing wrong is ever kept, or sent as complete: a flipped bit, a cut, a power failure.

use std::time::Duration;

use crate::support::bound::until;
use crate::support::cold::ColdBlob;
use crate::support::http::{Compared, send};
use crate::support::images::{Format, Layout};
use crate::support::upstream::Upstream;

const SIZE: usize = 8 * 1024 * 1024;
const HALF: u64 = SIZE as u64 / 2;

/// How long the mirror may keep away from an upstream, or a digest, that has just disappointed it.
const GRUDGE: Duration = Duration::from_secs(90);

impl ColdBlob {
    /// One client's whole attempt. `None`: it was told no, with an error of the server's.
    async fn attempt(&self) -> Option<Compared> {
        let download = self.open().await;
        match download.head.status() {
            Some(200) => Some(download.compare(&self.bytes).await),
            Some(502..=504) => None,
            other => panic!("neither the blob nor an outage: {other:?}"),
        }
    }

    /// Eight clients at once, none of which gets a complete body.
    async fn nobody_gets_it(&self) {
        let attempts = futures_util::future::join_all((0..8).map(|_| self.attempt())).await;
        for got in attempts.into_iter().flatten() {
            assert!(!got.complete, "a complete body: {got:?}");
        }
        assert!(
            !self.mirror.content().contains(&self.digest),
            "kept as content"
        );
    }

    /// Sooner or later the blob is served again, and until then never a wrong one.
    async fn comes_right(&self) {
        until("the blob is served again", GRUDGE, async || {
            let got = self.attempt().await;
            assert!(got.is_none_or(|got| got.right), "wrong bytes: {got:?}");
            got.is_some_and(|got| got.is_whole(&self.bytes))
        })
        .await;
        // No client waits for the disk, so the last byte may be with the client a moment earlier.
        until("the blob is kept", Duration::from_secs(10), async || {
            self.mirror.content().contains(&self.digest)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_never_sent_as_complete_or_kept() {
    let blob = ColdBlob::of(SIZE).await;
    blob.upstream.tap.on(&blob.path).flip_at(HALF);
    blob.nobody_gets_it().await;
    blob.upstream.tap.heal();
    blob.comes_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_flipped_in_the_last_byte_is_found_too() {
    let blob = ColdBlob::of(SIZE).await;
    blob.upstream.tap.on(&blob.path).flip_at(SIZE as u64 - 1);
    blob.nobody_gets_it().await;
    blob.upstream.tap.heal();
    blob.comes_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_with_a_flipped_bit_is_an_error() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let digest = upstream
        .registry
        .push(
            &Layout::image(3, &[1000]),
            "library/fragile",
            "one",
            Format::Oci,
        )
        .await;
    upstream.tap.on("/manifests/").flip_at(20);
    for reference in [digest.as_str(), "one"] {
        let target = format!("/v2/library/fragile/manifests/{reference}");
        let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
        let answer = send(mirror.address, "GET", &target, &accept, b"")
            .await
            .whole()
            .await;
        assert_eq!(answer.status(), 502, "{reference}: {}", answer.text());
    }
    assert_eq!(mirror.content().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_always_breaks_off_yields_short_bodies_and_nothing_kept() {
    let blob = ColdBlob::of(SIZE).await;
    blob.upstream.tap.on(&blob.path).cut_at(HALF);
    blob.nobody_gets_it().await;
    blob.upstream.tap.heal();
    blob.comes_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_breaks_off_once_is_only_a_pause() {
    let blob = ColdBlob::of(SIZE).await;
    blob.upstream.tap.on(&blob.path).once().cut_at(HALF);
    let got = blob.attempt().await;
    assert!(got.is_some_and(|got| got.is_whole(&blob.bytes)), "{got:?}");
    let crossed = blob.upstream.tap.blobs()[&blob.digest];
    assert_eq!(
        (crossed.gets, crossed.bytes),
        (2, SIZE as u64),
        "resumed at the byte where it broke"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_failure_in_the_middle_of_a_fill_leaves_nothing_wrong() {
    let mut blob = ColdBlob::of(SIZE).await;
    let gate = blob.upstream.tap.on(&blob.path).once().gate_at(HALF);
    let download = blob.open().await;
    gate.reached().await;
    blob.mirror.kill();
    let got = download.compare(&blob.bytes).await;
    assert!(got.right && !got.complete, "{got:?}");
    gate.release();
    // It goes on by itself, and its last byte is held: whatever is content before that is wrong.
    let last = blob.upstream.tap.on(&blob.path).gate_at(SIZE as u64 - 1);

    blob.mirror.start().await;
    assert!(
        !blob.mirror.content().contains(&blob.digest),
        "half a blob as content"
    );
    last.release();
    blob.comes_right().await;
    blob.mirror.kill();
    blob.mirror.start().await;
    blob.upstream.tap.forget();
    blob.comes_right().await;
    assert_eq!(
        blob.upstream.tap.blob_bytes(),
        0,
        "what was complete before the power failure still is"
    );
}
