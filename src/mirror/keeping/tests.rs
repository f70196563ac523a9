use super::*;
use crate::mirror::Outcome;
use crate::mirror::testkit::{Asker, House, TTL, house, noise, origin};
use crate::oci::Manifest;

const EMPTY_IMAGE: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

async fn pull(house: &House) -> Outcome {
    let (origin, reference) = (origin("a"), Reference::Tag(tag("1")));
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &origin, &reference, Accepts::MODERN);
    answer.await.unwrap().outcome
}

fn stocked() -> (House, Digest) {
    let house = house();
    assert!(Manifest::parse(EMPTY_IMAGE.as_bytes(), None).is_ok());
    let digest = house.upstream.tag("1", EMPTY_IMAGE.as_bytes());
    (house, digest)
}

#[tokio::test]
async fn a_tag_is_explained_by_its_record_and_content() {
    let (house, digest) = stocked();
    let reference = Reference::Tag(tag("1"));
    let unknown = house.mirror.explain(&origin("a"), &reference);
    assert!(matches!(unknown, Err(KeepingError::NotHere(_))));

    pull(&house).await;
    house.settle().await;
    let told = house.mirror.explain(&origin("a"), &reference).unwrap();
    assert_eq!(told.digest, digest);
    assert!(told.is_here);
    assert_eq!(told.size, Some(EMPTY_IMAGE.len() as u64));
    assert_eq!(told.shown_by_repository, Some(true));
    assert_eq!(told.record.unwrap().state, "fresh");

    house.clock.pass(TTL);
    let told = house.mirror.explain(&origin("a"), &reference).unwrap();
    assert_eq!(told.record.unwrap().state, "revalidate");
    let elsewhere = Reference::Digest(digest);
    let told = house.mirror.explain(&origin("b"), &elsewhere).unwrap();
    assert_eq!(
        (told.is_here, told.shown_by_repository),
        (true, Some(false))
    );
}

#[tokio::test]
async fn a_purged_tag_is_asked_for_again() {
    let (house, _) = stocked();
    pull(&house).await;
    assert_eq!(pull(&house).await, Outcome::Hit);
    let reference = Reference::Tag(tag("1"));
    let purged = house.mirror.purge(&origin("a"), &reference).unwrap();
    assert_eq!(purged.records, 1);
    let again = house.mirror.purge(&origin("a"), &reference);
    assert!(matches!(again, Err(KeepingError::NotHere(_))));
    assert_eq!(pull(&house).await, Outcome::Miss);
}

#[tokio::test]
async fn a_refresh_asks_upstream_within_the_ttl_and_tells_of_a_change() {
    let (house, first) = stocked();
    pull(&house).await;
    let same = house.mirror.refresh(&origin("a"), &tag("1")).await.unwrap();
    assert_eq!(
        (same.digest, same.changed, same.outcome),
        (first, false, "revalidated")
    );

    let moved = format!("{EMPTY_IMAGE}\n");
    let second = house.upstream.tag("1", moved.as_bytes());
    let new = house.mirror.refresh(&origin("a"), &tag("1")).await.unwrap();
    assert_eq!(
        (new.digest, new.changed, new.outcome),
        (second, true, "miss")
    );
    assert_eq!(pull(&house).await, Outcome::Hit);
}

#[tokio::test]
async fn an_upstream_that_is_not_declared_has_nothing() {
    let (house, _) = stocked();
    let mut other = origin("a");
    other.upstream = "quay.io".into();
    let refused = house.mirror.refresh(&other, &tag("1")).await;
    let undeclared = |error: &KeepingError| {
        matches!(error, KeepingError::Mirror(MirrorError::UnknownUpstream(_)))
    };
    assert!(refused.is_err_and(|error| undeclared(&error)));
    let refused = house.mirror.purge(&other, &Reference::Tag(tag("1")));
    assert!(refused.is_err_and(|error| undeclared(&error)));
}

/// What a manifest's list says of one digest.
fn descriptor(media_type: &str, digest: &Digest, size: usize) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.{media_type}","digest":"{digest}","size":{size}}}"#
    )
}

#[tokio::test]
async fn it_is_told_how_much_of_an_image_is_here() {
    let house = house();
    let (first, second) = (noise(1000), noise(2000));
    let (a, b) = (
        house.upstream.serves(&first),
        house.upstream.serves(&second),
    );
    let image = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{},{}]}}"#,
        descriptor("layer.v1.tar", &a, first.len()),
        descriptor("layer.v1.tar", &b, second.len()),
    );
    let image_digest = house.upstream.tagged.holds(image.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{},{}]}}"#,
        descriptor("manifest.v1+json", &image_digest, image.len()),
        descriptor("manifest.v1+json", &Digest::sha256_of(b"for others"), 500),
    );
    let index_digest = house.upstream.tag("1", index.as_bytes());
    let parts = |digest: &Digest| {
        let parts = house.mirror.explain_digest(digest).unwrap().parts;
        parts.map(|it| {
            let manifests = (it.manifests_here, it.manifests);
            (it.is_complete, manifests, (it.blobs_here, it.blobs))
        })
    };
    assert_eq!(parts(&index_digest), None);
    pull(&house).await;
    house.settle().await;
    assert_eq!(parts(&index_digest), Some((false, (0, 2), (0, 0))));
    let reference = Reference::Digest(image_digest.clone());
    let (asker, origin) = (Asker::Mirror, origin("a"));
    let pulled = house
        .mirror
        .manifest(&asker, &origin, &reference, Accepts::MODERN);
    pulled.await.unwrap();
    for (blob, here, complete) in [(&a, 1, false), (&b, 2, true)] {
        house.mirror.blob(&asker, &origin, blob, &[]).await.unwrap();
        house.settle().await;
        assert_eq!(parts(&image_digest), Some((complete, (0, 0), (here, 2))));
        assert_eq!(parts(&index_digest), Some((complete, (1, 2), (here, 2))));
    }
    // A blob has no parts.
    assert_eq!(parts(&a), None);
    let listed = house.mirror.tags_kept(&origin, None, 10).unwrap();
    assert!(listed.items[0].parts.unwrap().is_complete);
}
