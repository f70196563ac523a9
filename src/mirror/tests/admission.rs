//! What admission costs and tells: the same whether something is here or not, and no longer than it may.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::tags::manifest;
use crate::mirror::testkit::*;
use crate::mirror::{AccessPolicy, MirrorError, Outcome};
use crate::oci::{Accepts, Digest, Reference};
use crate::store::MemoryStore;
use crate::store::faulty::{Fault, Faulty};

/// Everything but the digest that an answer tells of a refusal.
fn told(error: &MirrorError, digest: &Digest) -> String {
    format!("{error} {:?}", error.outcome()).replace(&digest.to_string(), "it")
}

/// The clock cannot be asked for proof, for it is never the same twice: so the steps are counted that would take its time.
#[tokio::test]
async fn incident_05_a_refusal_takes_the_same_steps_whether_it_is_here_or_not() {
    let store = Arc::new(Faulty::new(MemoryStore::default(), Fault::None));
    let (house, book) = House::guarded(Arc::clone(&store) as _);
    let here = house.upstream.serves(&noise(300_000));
    let kept = house.upstream.tag("1", manifest(b"one").as_bytes());
    book.grant("alice", "secret");
    let (secret, mirror) = (origin("secret"), &house.mirror);
    house.upstream.has_blob(&secret, &here, 300_000);
    let by_digest = |digest: &Digest| Reference::Digest(digest.clone());
    let alice = client("alice");
    let blob = mirror.blob(&alice, &secret, &here, &[]).await.unwrap();
    drain_all(&blob.value).await;
    let kept_as = by_digest(&kept);
    let image = mirror.manifest(&alice, &secret, &kept_as, Accepts::MODERN);
    image.await.unwrap();
    house.settle().await;
    assert!(house.has(&here) && house.has(&kept));
    let nowhere = Digest::sha256_of(b"nowhere");

    let mallory = client("mallory");
    let mut steps = Vec::new();
    for digest in [&here, &kept, &nowhere] {
        let mut taken = Vec::new();
        for way in 0..4 {
            // Nothing of the one before is remembered.
            house.clock.pass(ALLOW);
            let (asked, worked) = (book.asked("mallory"), store.operations());
            let reference = by_digest(digest);
            let error = match way {
                0 => mirror.blob(&mallory, &secret, digest, &[]).await.err(),
                1 => mirror.blob_size(&mallory, &secret, digest).await.err(),
                2 => {
                    let read = mirror.manifest(&mallory, &secret, &reference, Accepts::MODERN);
                    read.await.err()
                }
                _ => {
                    let read =
                        mirror.manifest_summary(&mallory, &secret, &reference, Accepts::MODERN);
                    read.await.err()
                }
            };
            let error = error.unwrap();
            assert_eq!(error.outcome(), Outcome::Denied, "{digest} {way}");
            taken.push((
                told(&error, digest),
                book.asked("mallory") - asked,
                store.operations() - worked,
            ));
        }
        steps.push(taken);
    }
    assert_eq!(steps[0], steps[2], "a blob that is here");
    assert_eq!(steps[1], steps[2], "a manifest that is here");
}

const ALLOW: u64 = 300;

#[tokio::test(start_paused = true)]
async fn with_upstream_silent_public_content_goes_on_and_private_is_refused_in_time() {
    let (house, book) = House::guarded(Arc::new(MemoryStore::default()));
    let digest = house.upstream.tag("1", manifest(b"one").as_bytes());
    for (who, repository) in [("", "open"), ("alice", "open"), ("alice", "secret")] {
        book.grant(who, repository);
    }
    let reference = Reference::Digest(digest);
    let patience = AccessPolicy::default().patience;
    let ask = |name: &str, repository: &str| {
        let (mirror, who, reference) = (Arc::clone(&house.mirror), client(name), reference.clone());
        let origin = origin(repository);
        async move {
            let began = Instant::now();
            let read = mirror.manifest(&who, &origin, &reference, Accepts::MODERN);
            (read.await, began.elapsed())
        }
    };
    ask("", "open").await.0.unwrap();
    ask("alice", "secret").await.0.unwrap();
    house.settle().await;
    house.clock.pass(ALLOW);
    house.upstream.tagged.heads_wait_for(gate());
    let most = patience + Duration::from_secs(1);
    for name in ["", "alice"] {
        let (given, waited) = ask(name, "open").await;
        assert_eq!(given.unwrap().outcome, Outcome::Hit, "{name:?}");
        assert!(waited < most, "{name:?}: {waited:?}");
    }
    let (refused, waited) = ask("alice", "secret").await;
    assert_eq!(refused.unwrap_err().outage(), Some("timeout-header"));
    assert!(waited < most, "{waited:?}");
}
