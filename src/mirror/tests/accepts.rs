//! The same tag for clients that take different types.

use super::tags::manifest;
use crate::mirror::testkit::*;
use crate::mirror::{Outcome, TagPolicies, TagPolicy};
use crate::oci::{Accepts, Digest, Reference};
use crate::upstream::ErrorKind;

const SCHEMA2: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn index(child: &Digest) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{child}","size":9}}]}}"#
    )
}

/// A schema 2 manifest.
fn schema2() -> String {
    manifest(b"child")
        .replace(
            "oci.image.manifest.v1+json",
            "docker.distribution.manifest.v2+json",
        )
        .replace("oci.image.config.v1+json", "docker.container.image.v1+json")
}

async fn pull(house: &House, accepts: Accepts) -> (Digest, Outcome) {
    let reference: Reference = "1".parse().unwrap();
    let a = origin("a");
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &a, &reference, accepts)
        .await;
    let answer = answer.unwrap();
    (answer.value.digest, answer.outcome)
}

#[tokio::test]
async fn item_19_who_takes_less_gets_upstreams_own_answer_and_disturbs_nobody() {
    let house = house();
    let old = Accepts::of_lines([SCHEMA2]);
    let child = schema2();
    let list = house
        .upstream
        .tag("1", index(&Digest::sha256_of(b"x")).as_bytes());
    house
        .upstream
        .tagged
        .converts("1", old, Some(child.as_bytes()));
    let converted = Digest::sha256_of(child.as_bytes());

    let all = Accepts::of_lines([&*Accepts::MODERN.header(), "*/*"]);
    assert_eq!(pull(&house, all).await, (list.clone(), Outcome::Miss));
    assert_eq!(pull(&house, old).await, (converted.clone(), Outcome::Miss));
    // Each has its own record from here on.
    assert_eq!(house.upstream.count("HEAD manifest 1"), 2);
    assert_eq!(pull(&house, all).await, (list.clone(), Outcome::Hit));
    assert_eq!(pull(&house, old).await, (converted.clone(), Outcome::Hit));
    assert_eq!(house.upstream.count("HEAD manifest 1"), 2);

    // And each keeps it through an outage.
    house.clock.pass(TTL);
    house.upstream.breaks(ErrorKind::Connect);
    assert_eq!(
        pull(&house, old).await,
        (converted, Outcome::Stale("connect"))
    );
    assert_eq!(pull(&house, all).await, (list, Outcome::Stale("connect")));
}

#[tokio::test]
async fn who_takes_what_is_there_shares_its_record_in_whatever_words() {
    let house = house();
    let digest = house.upstream.tag("1", schema2().as_bytes());
    for accepts in [
        Accepts::MODERN,
        Accepts::of_lines([SCHEMA2]),
        Accepts::of_lines(["*/*"]),
        Accepts::of_lines([]),
    ] {
        assert_eq!(pull(&house, accepts).await.0, digest);
    }
    assert_eq!(house.upstream.count("HEAD"), 1);
}

#[tokio::test]
async fn what_is_there_for_other_types_only_is_asked_for_with_the_clients_own() {
    let house = house();
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let old = Accepts::of_lines([signed, "application/json"]);
    let child = schema2();
    house
        .upstream
        .tagged
        .converts("1", old, Some(child.as_bytes()));
    assert_eq!(
        pull(&house, old).await.0,
        Digest::sha256_of(child.as_bytes())
    );
    let reference: Reference = "1".parse().unwrap();
    let a = origin("a");
    let modern = house
        .mirror
        .manifest(&Asker::Mirror, &a, &reference, Accepts::MODERN)
        .await;
    let error = modern.err().unwrap();
    assert_eq!(error.outcome(), Outcome::Negative);
}

#[tokio::test]
async fn what_is_there_for_other_types_only_stands_in_for_them_too() {
    let house = house();
    let old = Accepts::of_lines(["application/vnd.docker.distribution.manifest.v1+prettyjws"]);
    let child = schema2();
    house
        .upstream
        .tagged
        .converts("1", old, Some(child.as_bytes()));
    let converted = Digest::sha256_of(child.as_bytes());
    assert_eq!(pull(&house, old).await, (converted.clone(), Outcome::Miss));
    house.clock.pass(TTL);
    house.upstream.breaks(ErrorKind::Connect);
    let stale = Outcome::Stale("connect");
    assert_eq!(pull(&house, old).await, (converted, stale));
}

#[tokio::test]
async fn a_record_that_outlived_its_manifest_is_asked_about_anew() {
    let house = House::tagged(TagPolicies::all(TagPolicy {
        is_immutable: true,
        ..tag_policy()
    }));
    let gone = house.upstream.tag("1", manifest(b"one").as_bytes());
    let reference: Reference = "1".parse().unwrap();
    let a = origin("a");
    let head = house
        .mirror
        .manifest_summary(&Asker::Mirror, &a, &reference, Accepts::MODERN);
    assert_eq!(head.await.unwrap().value.digest, gone);
    // The tag moved, and the old manifest went, before anybody fetched it here.
    house.upstream.tagged.drops(&gone.to_string());
    let moved = house.upstream.tag("1", manifest(b"two").as_bytes());
    assert_eq!(pull(&house, Accepts::MODERN).await, (moved, Outcome::Miss));
}
