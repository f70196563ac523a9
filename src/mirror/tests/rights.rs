//! Content is shared; the right to it is not.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::tags::{manifest, manifest_of};
use crate::mirror::testkit::*;
use crate::mirror::{MirrorError, Outcome};
use crate::oci::{Accepts, Digest, Reference};
use crate::store::{MemoryStore, Store};
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
    house
        .mirror
        .blob(&Asker::Mirror, &ours, &digest, &[])
        .await
        .unwrap();
    house.settle().await;

    let refused = house
        .mirror
        .blob(&Asker::Mirror, &stranger, &digest, &[])
        .await
        .err()
        .unwrap();
    assert!(is_not_found(&refused), "{refused:?}");
    let refused = house
        .mirror
        .blob_size(&Asker::Mirror, &stranger, &digest)
        .await
        .err()
        .unwrap();
    assert!(is_not_found(&refused), "{refused:?}");

    // Many who ask at once are one question, and no transfer.
    let asked = house.upstream.count("HEAD blob");
    let answers =
        join_all((0..16).map(|_| house.mirror.blob(&Asker::Mirror, &granted, &digest, &[]))).await;
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.outcome, Outcome::Revalidated);
        assert!(drain_all(&answer.value).await.0 == bytes);
    }
    assert_eq!(house.upstream.count("HEAD blob"), asked + 1);
    // Shown once is remembered.
    assert_eq!(
        house
            .mirror
            .blob(&Asker::Mirror, &granted, &digest, &[])
            .await
            .unwrap()
            .outcome,
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
    let gate = Arc::new(Semaphore::new(0));
    let steps = vec![
        Step::Send(bytes.slice(..150_000)),
        Step::Gate(Arc::clone(&gate)),
        Step::Send(bytes.slice(150_000..)),
    ];
    house.upstream.on_blob(&digest, Script::of(steps));
    house
        .upstream
        .has_blob(&origin("granted"), &digest, 300_000);
    let first = house
        .mirror
        .blob(&Asker::Mirror, &origin("ours"), &digest, &[])
        .await
        .unwrap();
    let refused = house
        .mirror
        .blob(&Asker::Mirror, &origin("stranger"), &digest, &[])
        .await
        .err()
        .unwrap();
    assert!(is_not_found(&refused), "{refused:?}");
    let joined = house
        .mirror
        .blob(&Asker::Mirror, &origin("granted"), &digest, &[])
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
        .blob(&Asker::Mirror, &origin("elsewhere"), &digest, &[])
        .await
        .unwrap();
    house.settle().await;
    let manifest = manifest_of(&digest, 1000);
    house.upstream.tag("1", manifest.as_bytes());
    house
        .mirror
        .manifest(
            &Asker::Mirror,
            &origin("ours"),
            &"1".parse().unwrap(),
            Accepts::MODERN,
        )
        .await
        .unwrap();
    assert_eq!(
        house
            .mirror
            .blob(&Asker::Mirror, &origin("ours"), &digest, &[])
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
    let head = house
        .mirror
        .blob_size(&Asker::Mirror, &origin("a"), &digest)
        .await
        .unwrap();
    assert_eq!((head.value, head.outcome), (4, Outcome::Bypass("head")));
    assert_eq!(house.upstream.calls(), [format!("HEAD blob {digest}")]);
}

#[tokio::test]
async fn only_declared_upstreams_are_asked() {
    let house = House::over(Arc::new(MemoryStore::default()));
    let mut origin = origin("a");
    origin.upstream = Arc::from("evil.example");
    let digest = Digest::sha256_of(b"x");
    let error = house
        .mirror
        .blob(&Asker::Mirror, &origin, &digest, &[])
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, MirrorError::UnknownUpstream(_)),
        "{error:?}"
    );
}

/// HEAD blob of a manifest's digest is 404 at real registries: a manifest held from one repository is
/// refused under another one that has it too, when pulled by digest.
#[tokio::test]
async fn a_manifest_held_from_elsewhere_is_proved_as_a_manifest() {
    let house = house();
    let digest = house.upstream.tag("1", manifest(b"one").as_bytes());
    let reference = Reference::Digest(digest);
    house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &reference, Accepts::MODERN)
        .await
        .unwrap();
    house.settle().await;
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &origin("b"), &reference, Accepts::MODERN)
        .await;
    assert!(
        answer.is_ok(),
        "{:?} {:?}",
        answer.err(),
        house.upstream.calls()
    );
}

/// The same, by tag, where upstream's HEAD has no digest: upstream has just handed us the bytes.
#[tokio::test]
async fn a_tag_whose_manifest_is_held_from_elsewhere_is_served() {
    let house = house();
    house.upstream.tagged.heads_without_digests();
    house.upstream.tag("1", manifest(b"one").as_bytes());
    let tag: Reference = "1".parse().unwrap();
    house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .unwrap();
    house.settle().await;
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &origin("b"), &tag, Accepts::MODERN)
        .await;
    assert!(
        answer.is_ok(),
        "{:?} {:?}",
        answer.err(),
        house.upstream.calls()
    );
}

/// The catalog is lost ("costs questions, never bytes"): what is pulled by digest is gone with it.
#[tokio::test]
async fn a_lost_catalog_costs_questions_only() {
    let store = Arc::new(MemoryStore::default());
    let first = House::over(Arc::clone(&store) as Arc<dyn Store>);
    let bytes = manifest(b"one");
    let digest = first.upstream.tag("1", bytes.as_bytes());
    let reference = Reference::Digest(digest);
    first
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &reference, Accepts::MODERN)
        .await
        .unwrap();
    first.settle().await;
    store.lose_catalog();
    let second = House::over(store);
    second.upstream.tag("1", bytes.as_bytes());
    let answer = second
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &reference, Accepts::MODERN)
        .await;
    assert!(
        answer.is_ok(),
        "{:?} {:?}",
        answer.err(),
        second.upstream.calls()
    );
}

/// A blob whose bytes look like a manifest is no proof of what it names: upstream checks what a manifest
/// refers to, not what is in a blob.
#[tokio::test]
async fn a_blob_shows_no_other_digest() {
    let house = house();
    let secret = noise(1000);
    let digest = Digest::sha256_of(&secret);
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(secret)]));
    house
        .mirror
        .blob(&Asker::Mirror, &origin("private"), &digest, &[])
        .await
        .unwrap();
    house.settle().await;
    // Somebody pushes a blob (not a manifest) to a repository of their own.
    let forged = manifest_of(&digest, 1000);
    let lure = Digest::sha256_of(forged.as_bytes());
    house.upstream.on_blob(
        &lure,
        Script::of(vec![Step::Send(forged.into_bytes().into())]),
    );
    let theirs = origin("theirs");
    house
        .mirror
        .blob(&Asker::Mirror, &theirs, &lure, &[])
        .await
        .unwrap();
    house.settle().await;
    let _ = house
        .mirror
        .manifest(
            &Asker::Mirror,
            &theirs,
            &Reference::Digest(lure),
            Accepts::MODERN,
        )
        .await;
    let stolen = house
        .mirror
        .blob(&Asker::Mirror, &theirs, &digest, &[])
        .await;
    assert!(stolen.is_err(), "{:?}", house.upstream.calls());
}

/// The fills of another repository that break with its own 404 are not our 404.
#[tokio::test]
async fn the_404_of_another_repository_is_never_ours() {
    let house = house();
    let bytes = noise(1000);
    let digest = Digest::sha256_of(&bytes);
    let (good, bogus) = (origin("good"), origin("bogus"));
    house
        .store
        .link(&[crate::store::Link {
            origin: good.clone(),
            digest: digest.clone(),
            role: crate::store::Role::Blob,
        }])
        .unwrap();
    let gates = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
    for gate in &gates {
        let steps = vec![
            Step::Gate(Arc::clone(gate)),
            Step::Fail(ErrorKind::NotFound { code: None }),
        ];
        house
            .upstream
            .on_blob(&digest, Script::of(steps).announced(Some(1000)));
    }
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes.clone())]));
    let mut first = Box::pin(house.mirror.blob(&Asker::Mirror, &bogus, &digest, &[]));
    assert!((&mut first).now_or_never().is_none());
    let mut ours = Box::pin(house.mirror.blob(&Asker::Mirror, &good, &digest, &[]));
    assert!((&mut ours).now_or_never().is_none());
    gates[0].add_permits(1);
    assert!(first.await.is_err());
    // The other one asks again at once, before we have had our turn.
    let mut second = Box::pin(house.mirror.blob(&Asker::Mirror, &bogus, &digest, &[]));
    assert!((&mut second).now_or_never().is_none());
    assert!((&mut ours).now_or_never().is_none());
    gates[1].add_permits(1);
    assert!(second.await.is_err());
    let answer = ours.await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}

/// The blob endpoint's 404 is not the manifest endpoint's.
#[tokio::test]
async fn a_blob_request_for_a_manifests_digest_does_not_spoil_the_manifest() {
    let house = house();
    let digest = house.upstream.tag("1", manifest(b"one").as_bytes());
    let gate = Arc::new(Semaphore::new(0));
    let steps = vec![
        Step::Gate(Arc::clone(&gate)),
        Step::Fail(ErrorKind::NotFound { code: None }),
    ];
    house.upstream.on_blob(&digest, Script::of(steps));
    let a = origin("a");
    let mut blob = Box::pin(house.mirror.blob(&Asker::Mirror, &a, &digest, &[]));
    assert!((&mut blob).now_or_never().is_none());
    let reference = Reference::Digest(digest.clone());
    let mut manifest = Box::pin(house.mirror.manifest(
        &Asker::Mirror,
        &a,
        &reference,
        Accepts::MODERN,
    ));
    assert!((&mut manifest).now_or_never().is_none());
    gate.add_permits(1);
    let answer = manifest.await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}
