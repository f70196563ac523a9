//! Tags: fresh, asked again, moved, gone, and upstream out.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::mirror::testkit::*;
use crate::mirror::{MirrorError, Outcome};
use crate::oci::{Digest, Reference};
use crate::store::MemoryStore;
use crate::upstream::ErrorKind;

/// An image manifest with one layer.
pub(super) fn manifest_of(layer: &Digest, size: usize) -> String {
    format!(
        "{{\n  \"schemaVersion\": 2, \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n  \
         \"config\": {{\"mediaType\": \"application/vnd.oci.image.config.v1+json\", \"digest\": \"{}\", \"size\": 2}},\n  \
         \"layers\": [{{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar\", \"digest\": \"{layer}\", \"size\": {size}}}]   }}",
        Digest::sha256_of(b"{}"),
    )
}

fn house() -> House {
    House::over(Arc::new(MemoryStore::default()))
}

async fn pull(house: &House) -> (Vec<u8>, Outcome) {
    let tag: Reference = "1".parse().unwrap();
    let answer = house.mirror.manifest(&origin("a"), &tag).await.unwrap();
    (answer.value.bytes.to_vec(), answer.outcome)
}

async fn fails(house: &House) -> MirrorError {
    let tag: Reference = "1".parse().unwrap();
    house
        .mirror
        .manifest(&origin("a"), &tag)
        .await
        .err()
        .unwrap()
}

#[tokio::test]
async fn a_tag_is_asked_once_per_ttl_and_its_bytes_are_upstreams_own() {
    let house = house();
    let manifest = manifest_of(&Digest::sha256_of(b"one"), 3);
    let digest = house.upstream.tag("1", manifest.as_bytes());
    assert_eq!(
        pull(&house).await,
        (manifest.clone().into_bytes(), Outcome::Miss)
    );
    let cold = [
        "HEAD manifest 1".to_owned(),
        format!("GET manifest {digest}"),
    ];
    assert_eq!(house.upstream.calls(), cold);
    house.clock.pass(TTL - 1);
    assert_eq!(pull(&house).await.1, Outcome::Hit);
    assert_eq!(house.upstream.calls(), cold);
    house.clock.pass(1);
    assert_eq!(
        pull(&house).await,
        (manifest.into_bytes(), Outcome::Revalidated)
    );
    assert_eq!(house.upstream.count("HEAD"), 2);
    assert_eq!(house.upstream.count("GET"), 1);
}

#[tokio::test]
async fn many_who_ask_for_a_tag_are_one_head_and_one_get() {
    let house = house();
    house
        .upstream
        .tag("1", manifest_of(&Digest::sha256_of(b"one"), 3).as_bytes());
    let pulls = join_all((0..50).map(|_| pull(&house))).await;
    let misses = pulls
        .iter()
        .filter(|(_, outcome)| *outcome == Outcome::Miss);
    assert_eq!(misses.count(), 1, "the others joined");
    assert_eq!(
        (house.upstream.count("HEAD"), house.upstream.count("GET")),
        (1, 1)
    );
}

#[tokio::test]
async fn a_moved_tag_is_seen_after_ttl_with_one_get() {
    let house = house();
    house
        .upstream
        .tag("1", manifest_of(&Digest::sha256_of(b"one"), 3).as_bytes());
    pull(&house).await;
    let moved = manifest_of(&Digest::sha256_of(b"two"), 3);
    house.upstream.tag("1", moved.as_bytes());
    assert_eq!(pull(&house).await.1, Outcome::Hit);
    house.clock.pass(TTL);
    assert_eq!(pull(&house).await, (moved.into_bytes(), Outcome::Miss));
    assert_eq!(
        (house.upstream.count("HEAD"), house.upstream.count("GET")),
        (2, 2)
    );
}

#[tokio::test]
async fn stale_answers_are_bounded_and_marked_and_401_403_404_are_answers() {
    let outages = [
        ErrorKind::Connect,
        ErrorKind::Status(503),
        ErrorKind::Resolve,
    ];
    for kind in outages {
        let house = house();
        house
            .upstream
            .tag("1", manifest_of(&Digest::sha256_of(b"one"), 3).as_bytes());
        pull(&house).await;
        house.upstream.breaks(kind.clone());
        house.clock.pass(TTL + STALE - 1);
        assert_eq!(pull(&house).await.1, Outcome::Stale(kind.word()));
        house.clock.pass(1);
        assert_eq!(fails(&house).await.upstream().unwrap().kind(), &kind);
    }
    for kind in [
        ErrorKind::Unauthorized,
        ErrorKind::Denied,
        ErrorKind::NotFound { code: None },
    ] {
        let house = house();
        house
            .upstream
            .tag("1", manifest_of(&Digest::sha256_of(b"one"), 3).as_bytes());
        pull(&house).await;
        house.upstream.breaks(kind.clone());
        house.clock.pass(TTL);
        assert_eq!(fails(&house).await.upstream().unwrap().kind(), &kind);
    }
}

#[tokio::test]
async fn a_tag_that_is_gone_is_forgotten() {
    let house = house();
    house
        .upstream
        .tag("1", manifest_of(&Digest::sha256_of(b"one"), 3).as_bytes());
    pull(&house).await;
    house.upstream.untag("1");
    house.clock.pass(TTL);
    fails(&house).await;
    // An outage after that has no record to fall back to.
    house.upstream.breaks(ErrorKind::Connect);
    assert_eq!(
        fails(&house).await.upstream().unwrap().kind(),
        &ErrorKind::Connect
    );
}

#[tokio::test]
async fn offline_any_record_answers() {
    let house = house();
    house
        .upstream
        .tag("1", manifest_of(&Digest::sha256_of(b"one"), 3).as_bytes());
    pull(&house).await;
    house.upstream.breaks(ErrorKind::Offline);
    house.clock.pass(1000 * STALE);
    assert_eq!(pull(&house).await.1, Outcome::Stale("offline"));
}

#[tokio::test]
async fn an_upstream_whose_head_has_no_digest_is_asked_by_get() {
    let house = house();
    house.upstream.heads_without_digests();
    let manifest = manifest_of(&Digest::sha256_of(b"one"), 3);
    house.upstream.tag("1", manifest.as_bytes());
    assert_eq!(pull(&house).await, (manifest.into_bytes(), Outcome::Miss));
    assert_eq!(
        house.upstream.calls(),
        ["HEAD manifest 1", "GET manifest 1"]
    );
}

#[tokio::test]
async fn the_head_of_a_tag_costs_no_get() {
    let house = house();
    let manifest = manifest_of(&Digest::sha256_of(b"one"), 3);
    let digest = house.upstream.tag("1", manifest.as_bytes());
    let tag: Reference = "1".parse().unwrap();
    let head = house
        .mirror
        .manifest_summary(&origin("a"), &tag)
        .await
        .unwrap();
    assert_eq!(
        (head.value.digest, head.value.size),
        (digest, manifest.len() as u64)
    );
    assert_eq!(house.upstream.calls(), ["HEAD manifest 1"]);
}

#[tokio::test]
async fn bytes_that_are_no_manifest_are_not_served_as_one() {
    let house = house();
    let digest = house.upstream.tag("1", b"<html>not a registry</html>");
    let error = fails(&house).await;
    assert!(
        matches!(&error, MirrorError::NotAManifest(named, _) if *named == digest),
        "{error:?}"
    );
}
