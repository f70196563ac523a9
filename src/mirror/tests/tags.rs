//! Tags: fresh, asked again, moved, gone, and upstream out.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::mirror::testkit::*;
use crate::mirror::{MirrorError, Outcome, Who};
use crate::oci::{Accepts, Digest, Reference};
use crate::store::{MemoryStore, Role, Store};
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

/// An image manifest whose only layer has these bytes.
pub(super) fn manifest(layer: &[u8]) -> String {
    manifest_of(&Digest::sha256_of(layer), layer.len())
}

async fn pull(house: &House) -> (Vec<u8>, Outcome) {
    let tag: Reference = "1".parse().unwrap();
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .unwrap();
    (answer.value.bytes.to_vec(), answer.outcome)
}

async fn fails(house: &House) -> MirrorError {
    let tag: Reference = "1".parse().unwrap();
    house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .err()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn item_20_28_a_tag_is_asked_once_per_ttl_and_its_bytes_are_upstreams_own() {
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

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_gone_is_forgotten() {
    let house = house();
    house
        .upstream
        .tag("1", manifest_of(&Digest::sha256_of(b"one"), 3).as_bytes());
    pull(&house).await;
    house.upstream.tagged.drops("1");
    house.clock.pass(TTL);
    fails(&house).await;
    // An outage after that has no record to fall back to.
    house.upstream.breaks(ErrorKind::Connect);
    assert_eq!(
        fails(&house).await.upstream().unwrap().kind(),
        &ErrorKind::Connect
    );
}

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
async fn an_upstream_whose_head_has_no_digest_is_asked_by_get() {
    let house = house();
    house.upstream.tagged.heads_without_digests();
    let manifest = manifest_of(&Digest::sha256_of(b"one"), 3);
    house.upstream.tag("1", manifest.as_bytes());
    assert_eq!(pull(&house).await, (manifest.into_bytes(), Outcome::Miss));
    assert_eq!(
        house.upstream.calls(),
        ["HEAD manifest 1", "GET manifest 1"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_tag_costs_no_get() {
    let house = house();
    let manifest = manifest_of(&Digest::sha256_of(b"one"), 3);
    let digest = house.upstream.tag("1", manifest.as_bytes());
    let tag: Reference = "1".parse().unwrap();
    let head = house
        .mirror
        .manifest_summary(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .unwrap();
    assert_eq!(
        (head.value.digest, head.value.size),
        (digest, manifest.len() as u64)
    );
    assert_eq!(house.upstream.calls(), ["HEAD manifest 1"]);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_manifest_are_not_served_as_one() {
    let house = house();
    let digest = house.upstream.tag("1", b"<html>not a registry</html>");
    let error = fails(&house).await;
    assert!(
        matches!(&error, MirrorError::NotAManifest(named, _) if *named == digest),
        "{error:?}"
    );
}

/// A HEAD (a client's, a watcher's) sees that the tag moved, and the uplink is cut before anybody fetches
/// the new manifest: the old image is here and complete, and is refused.
#[tokio::test(start_paused = true)]
async fn a_tag_seen_to_move_does_not_take_the_image_away() {
    let house = house();
    let tag: Reference = "1".parse().unwrap();
    let old = manifest(b"one");
    house.upstream.tag("1", old.as_bytes());
    house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .unwrap();
    house.settle().await;
    house.upstream.tag("1", manifest(b"two").as_bytes());
    house.clock.pass(TTL);
    house
        .mirror
        .manifest_summary(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .unwrap();
    house.upstream.breaks(ErrorKind::Connect);
    house.clock.pass(TTL);
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await;
    assert!(answer.is_ok(), "{:?}", answer.err());
}

/// Nonsense with status 200 (a gateway in upstream's place) is an outage, as `ErrorKind::Protocol` says: a
/// fresh enough record stands in, and it is never a 404.
#[tokio::test(start_paused = true)]
async fn nonsense_in_upstreams_place_is_an_outage() {
    let house = house();
    house.upstream.tagged.heads_without_digests();
    let tag: Reference = "1".parse().unwrap();
    house.upstream.tag("1", manifest(b"one").as_bytes());
    house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .unwrap();
    house.upstream.tag("1", b"{\"message\": \"please log in\"}");
    house.clock.pass(TTL);
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await;
    assert!(
        matches!(&answer, Ok(answer) if matches!(answer.outcome, Outcome::Stale(_))),
        "{:?}",
        answer.err()
    );
}

/// HEAD and GET of one manifest tell the same type.
#[tokio::test(start_paused = true)]
async fn head_and_get_tell_one_type() {
    let house = house();
    // The upstream's own Content-Type is an OCI manifest's, the body's own is Docker's.
    let manifest = manifest(b"one").replace(
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    );
    house.upstream.tag("1", manifest.as_bytes());
    let tag: Reference = "1".parse().unwrap();
    let get = house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .unwrap();
    let head = house
        .mirror
        .manifest_summary(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
        .unwrap();
    assert_eq!(head.value, get.value.summary());
}

/// What is read back from the store as a manifest is checked: it is small, and memory keeps it then.
#[tokio::test(start_paused = true)]
async fn a_manifest_that_rotted_on_disk_is_neither_served_nor_a_404() {
    let store = Arc::new(MemoryStore::default());
    let bytes = manifest(b"one");
    let reference = Reference::Digest(Digest::sha256_of(bytes.as_bytes()));
    for round in 0..2 {
        // Each round is a new process: memory does not remember the manifest.
        let house = House::over(Arc::clone(&store) as Arc<dyn Store>);
        house.upstream.tag("1", bytes.as_bytes());
        let answer = house
            .mirror
            .manifest(&Asker::Mirror, &origin("a"), &reference, Accepts::MODERN)
            .await;
        let answer = answer.unwrap();
        assert_eq!(answer.value.bytes, bytes.as_bytes());
        assert_eq!(answer.outcome, Outcome::Miss, "round {round}");
        house.settle().await;
        store.rot(&answer.value.digest);
    }
}

/// Larger than what is held back whole, so its fill opens before it is proved.
#[tokio::test(start_paused = true)]
async fn a_large_manifest_that_comes_in_wrong_is_upstreams_fault_and_not_the_disks() {
    let house = house();
    let right = manifest(b"one") + &" ".repeat(100_000);
    let digest = house.upstream.tag("1", right.as_bytes());
    let wrong = bytes::Bytes::from(right.replace("size", "sise"));
    let gate = gate();
    let script = halves(&wrong, Step::Gate(Arc::clone(&gate)));
    house.upstream.on_blob(&digest, script);
    // Somebody asks for it as a blob first. The manifest, whose right is known, joins that fill and begins to read.
    let origin = origin("a");
    let right_to_it = crate::mirror::link(&origin, &digest, Role::Manifest);
    house.store.link(&[right_to_it]).unwrap();
    house
        .mirror
        .blob(&Asker::Mirror, &origin, &digest, &[])
        .await
        .unwrap();
    let reference = Reference::Digest(digest.clone());
    let mut manifest = Box::pin(house.mirror.manifest(
        &Asker::Mirror,
        &origin,
        &reference,
        Accepts::MODERN,
    ));
    assert!((&mut manifest).now_or_never().is_none());
    gate.add_permits(1);
    let error = manifest.await.err().unwrap();
    assert_eq!(error.outcome(), Outcome::Error(Who::Upstream), "{error:?}");
    let asked = [format!("GET blob {digest} from 0")];
    assert_eq!(house.upstream.calls(), asked, "and not once more");
}
