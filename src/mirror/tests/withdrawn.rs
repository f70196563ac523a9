//! What a repository no longer has is not given out there again because another repository has it.

use std::sync::Arc;

use super::tags::manifest_of;
use crate::mirror::testkit::*;
use crate::mirror::{MirrorError, Outcome};
use crate::oci::{Accepts, Digest, Reference};
use crate::store::faulty::{Fault, Faulty};
use crate::store::{MemoryStore, Reason};
use crate::upstream::ErrorKind;

const SIZE: u64 = 1000;

/// Upstream's answer to who asks for what is gone.
fn gone() -> Script {
    Script::of(vec![Step::Fail(ErrorKind::NotFound { code: None })])
}

async fn read(house: &House, who: &Asker, name: &str, digest: &Digest) -> Result<(), MirrorError> {
    let answer = house.mirror.blob(who, &origin(name), digest, &[]).await?;
    drain_all(&answer.value).await;
    house.settle().await;
    Ok(())
}

/// Whether GET, HEAD and a range of the blob are all refused as what is not there.
async fn is_gone(house: &House, who: &Asker, name: &str, digest: &Digest) -> bool {
    let (mirror, origin) = (&house.mirror, origin(name));
    let part = [crate::oci::RangeSpec::FromTo(0, 9)];
    let answers = [
        mirror.blob(who, &origin, digest, &[]).await.map(drop),
        mirror.blob(who, &origin, digest, &part).await.map(drop),
        mirror.blob_size(who, &origin, digest).await.map(drop),
    ];
    let mut outcomes = answers
        .into_iter()
        .map(|it| it.err().map(|it| it.outcome()));
    outcomes.all(|it| it == Some(Outcome::Negative))
}

#[tokio::test]
async fn incident_02_what_was_deleted_in_one_repository_is_not_given_back_by_another() {
    // The second time it cannot be looked up whether there is a link.
    for trouble in [Fault::None, Fault::KnowsNothing] {
        let store = Arc::new(Faulty::new(MemoryStore::default(), Fault::None));
        let house = House::over(Arc::clone(&store) as _);
        let bytes = noise(1000);
        let digest = house.upstream.serves(&bytes);
        house.upstream.has_blob(&origin("b"), &digest, SIZE);
        let who = Asker::Mirror;
        read(&house, &who, "a", &digest).await.unwrap();

        // It makes room for others, and is deleted upstream: so much is heard by the next one who asks.
        house
            .store
            .remove(std::slice::from_ref(&digest), Reason::Removed)
            .unwrap();
        house.upstream.on_blob(&digest, gone());
        store.becomes(trouble);
        let missing = read(&house, &who, "a", &digest).await.unwrap_err();
        assert_eq!(missing.outcome(), Outcome::Negative);

        store.becomes(Fault::None);

        // Another repository brings it back, for itself.
        house.upstream.serves(&bytes);
        read(&house, &who, "b", &digest).await.unwrap();
        assert!(house.has(&digest));
        assert!(is_gone(&house, &who, "a", &digest).await);
        read(&house, &who, "b", &digest).await.unwrap();
        assert_eq!(house.upstream.count("GET blob"), 3);
    }
}

#[tokio::test]
async fn incident_02_what_was_purged_in_one_repository_is_not_given_back_by_another() {
    for by_tag in [true, false] {
        let house = House::over(Arc::new(MemoryStore::default()));
        let bytes = noise(1000);
        let digest = house.upstream.serves(&bytes);
        house.upstream.has_blob(&origin("b"), &digest, SIZE);
        let (who, tag): (_, Reference) = (Asker::Mirror, "1".parse().unwrap());
        let a = origin("a");
        house
            .upstream
            .tag("1", manifest_of(&digest, 1000).as_bytes());
        let image = house.mirror.manifest(&who, &a, &tag, Accepts::MODERN);
        image.await.unwrap();
        read(&house, &who, "a", &digest).await.unwrap();

        let what = if by_tag {
            tag
        } else {
            Reference::Digest(digest.clone())
        };
        // Content bears the time of the disk until it is used: long ago by this clock.
        house.clock.pass(u32::MAX.into());
        house.mirror.purge(&a, &what).unwrap();
        assert!(!house.has(&digest));
        house.upstream.serves(&bytes);
        read(&house, &who, "b", &digest).await.unwrap();
        assert!(
            is_gone(&house, &who, "a", &digest).await,
            "by tag: {by_tag}"
        );
    }
}

#[tokio::test]
async fn incident_02_a_right_that_was_revoked_is_not_given_back_by_another_repository() {
    let (house, book) = House::guarded(Arc::new(MemoryStore::default()));
    let bytes = noise(1000);
    let digest = house.upstream.serves(&bytes);
    for name in ["a", "b"] {
        house.upstream.has_blob(&origin(name), &digest, SIZE);
        book.grant("alice", name);
    }
    let alice = client("alice");
    read(&house, &alice, "a", &digest).await.unwrap();
    book.revoke("alice", "a");
    book.hides();
    house.clock.pass(300);
    read(&house, &alice, "b", &digest).await.unwrap();
    assert!(is_gone(&house, &alice, "a", &digest).await);
    read(&house, &alice, "b", &digest).await.unwrap();
}
