//! Content is shared; the right to it is not.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::mirror::testkit::*;
use crate::mirror::{MirrorError, Outcome};
use crate::oci::Digest;
use crate::store::MemoryStore;
use crate::upstream::ErrorKind;

fn is_not_found(error: &MirrorError) -> bool {
    error
        .upstream()
        .is_some_and(|error| matches!(error.kind(), ErrorKind::NotFound { .. }))
}

#[tokio::test]
async fn a_blob_is_given_out_only_under_a_repository_that_has_shown_it() {
    let house = House::over(Arc::new(MemoryStore::default()));
    let (ours, granted, stranger) = (origin("ours"), origin("granted"), origin("stranger"));
    let bytes = noise(1000);
    let digest = Digest::sha256_of(&bytes);
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes.clone())]));
    house.upstream.has_blob(&granted, &digest, 1000);
    house.mirror.blob(&ours, &digest).await.unwrap();
    house.settle().await;

    let refused = house.mirror.blob(&stranger, &digest).await.err().unwrap();
    assert!(is_not_found(&refused), "{refused:?}");
    let refused = house
        .mirror
        .blob_size(&stranger, &digest)
        .await
        .err()
        .unwrap();
    assert!(is_not_found(&refused), "{refused:?}");

    // Many who ask at once are one question, and no transfer.
    let asked = house.upstream.count("HEAD blob");
    let answers = join_all((0..16).map(|_| house.mirror.blob(&granted, &digest))).await;
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.outcome, Outcome::Revalidated);
        assert!(drain_all(&answer.value).await.0 == bytes);
    }
    assert_eq!(house.upstream.count("HEAD blob"), asked + 1);
    // Shown once is remembered.
    assert_eq!(
        house.mirror.blob(&granted, &digest).await.unwrap().outcome,
        Outcome::Hit
    );
    assert_eq!(house.upstream.count("HEAD blob"), asked + 1);
    assert_eq!(house.upstream.count("GET blob"), 1);
}

#[tokio::test]
async fn a_fill_of_another_repository_is_joined_only_with_a_right_of_ones_own() {
    let house = House::over(Arc::new(MemoryStore::default()));
    let bytes = noise(300_000);
    let digest = Digest::sha256_of(&bytes);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let steps = vec![
        Step::Send(bytes.slice(..150_000)),
        Step::Gate(Arc::clone(&gate)),
        Step::Send(bytes.slice(150_000..)),
    ];
    house.upstream.on_blob(&digest, Script::of(steps));
    house
        .upstream
        .has_blob(&origin("granted"), &digest, 300_000);
    let first = house.mirror.blob(&origin("ours"), &digest).await.unwrap();
    let refused = house
        .mirror
        .blob(&origin("stranger"), &digest)
        .await
        .err()
        .unwrap();
    assert!(is_not_found(&refused), "{refused:?}");
    let joined = house
        .mirror
        .blob(&origin("granted"), &digest)
        .await
        .unwrap();
    assert_eq!(joined.outcome, Outcome::Join);
    gate.add_permits(1);
    assert!(drain_all(&first.value).await.0 == bytes);
    assert!(drain_all(&joined.value).await.0 == bytes);
    assert_eq!(house.upstream.count("GET blob"), 1);
}

#[tokio::test]
async fn a_manifest_shows_its_blobs() {
    let house = House::over(Arc::new(MemoryStore::default()));
    let bytes = noise(1000);
    let digest = Digest::sha256_of(&bytes);
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes)]));
    house
        .mirror
        .blob(&origin("elsewhere"), &digest)
        .await
        .unwrap();
    house.settle().await;
    let manifest = super::tags::manifest_of(&digest, 1000);
    house.upstream.tag("1", manifest.as_bytes());
    house
        .mirror
        .manifest(&origin("ours"), &"1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        house
            .mirror
            .blob(&origin("ours"), &digest)
            .await
            .unwrap()
            .outcome,
        Outcome::Hit
    );
    assert_eq!(house.upstream.count("HEAD blob"), 0);
}

#[tokio::test]
async fn a_head_of_a_cold_blob_downloads_nothing() {
    let house = House::over(Arc::new(MemoryStore::default()));
    let digest = Digest::sha256_of(b"cold");
    house.upstream.has_blob(&origin("a"), &digest, 4);
    let head = house.mirror.blob_size(&origin("a"), &digest).await.unwrap();
    assert_eq!((head.value, head.outcome), (4, Outcome::Bypass("head")));
    assert_eq!(house.upstream.calls(), [format!("HEAD blob {digest}")]);
}

#[tokio::test]
async fn only_declared_upstreams_are_asked() {
    let house = House::over(Arc::new(MemoryStore::default()));
    let mut origin = origin("a");
    origin.upstream = Arc::from("evil.example");
    let digest = Digest::sha256_of(b"x");
    let error = house.mirror.blob(&origin, &digest).await.err().unwrap();
    assert!(
        matches!(error, MirrorError::UnknownUpstream(_)),
        "{error:?}"
    );
}
