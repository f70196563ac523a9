//! Tags, catalog and referrers.

use std::sync::Arc;

use super::tags::manifest;
use crate::mirror::testkit::*;
use crate::mirror::{Answer, MirrorError, Outcome, Patience};
use crate::oci::{Digest, fallback_tag};
use crate::upstream::{ErrorKind, ListBody, Listing};

fn tags() -> Listing {
    Listing::Tags("a".parse().unwrap())
}

async fn list(house: &House, listing: Listing) -> Result<Answer<ListBody>, MirrorError> {
    let docker_io = Arc::from("docker.io");
    house
        .mirror
        .list(&Asker::Mirror, Patience::Client, &docker_io, listing, None)
        .await
}

async fn told(house: &House, listing: Listing) -> (String, Outcome) {
    let answer = list(house, listing).await.unwrap();
    let text = String::from_utf8(answer.value.bytes.to_vec()).unwrap();
    (text, answer.outcome)
}

#[tokio::test(start_paused = true)]
async fn a_page_is_asked_for_once_per_ttl_and_stands_in_during_an_outage() {
    let house = house();
    let document = r#"{"name":"a", "tags":["1","2"]}"#;
    house.upstream.tagged.lists(tags(), document, None);
    let as_it_came = |outcome| (document.to_owned(), outcome);
    assert_eq!(told(&house, tags()).await, as_it_came(Outcome::Miss));
    assert_eq!(told(&house, tags()).await, as_it_came(Outcome::Hit));
    assert_eq!(house.upstream.count("GET list"), 1);
    house.clock.pass(TTL);
    house.upstream.breaks(ErrorKind::Status(503));
    assert_eq!(
        told(&house, tags()).await,
        as_it_came(Outcome::Stale("status"))
    );
    house.clock.pass(STALE);
    assert!(list(&house, tags()).await.is_err());
    house.upstream.recovers();
    let document = r#"{"name":"a","tags":["3"]}"#;
    house.upstream.tagged.lists(tags(), document, None);
    assert_eq!(told(&house, tags()).await, (document.into(), Outcome::Miss));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_gone_stands_in_no_more() {
    let house = house();
    let listing = Listing::Referrers("a".parse().unwrap(), Digest::sha256_of(SUBJECT));
    let tagged = &house.upstream.tagged;
    tagged.lists(listing.clone(), &index(&["sig"]), None);
    told(&house, listing.clone()).await;
    house.clock.pass(TTL);
    tagged.lists_no_more(&listing);
    let gone = list(&house, listing.clone()).await.err().unwrap();
    assert_eq!(gone.outcome(), Outcome::Negative);
    house.upstream.breaks(ErrorKind::Connect);
    let error = list(&house, listing).await.err().unwrap();
    assert_eq!(error.outage(), Some("connect"));
}

#[tokio::test(start_paused = true)]
async fn what_clients_cannot_read_is_repaired_or_refused() {
    let house = house();
    house
        .upstream
        .tagged
        .lists(tags(), r#"{"name":"a","tags":null}"#, None);
    assert_eq!(told(&house, tags()).await.0, r#"{"name":"a","tags":[]}"#);
    house.clock.pass(TTL);
    house
        .upstream
        .tagged
        .lists(tags(), r#"{"name":"a","tags":["1",null,"sha256:0"]}"#, None);
    assert_eq!(told(&house, tags()).await.0, r#"{"name":"a","tags":["1"]}"#);
    house.clock.pass(TTL + STALE);
    house.upstream.tagged.lists(tags(), "please log in", None);
    let error = list(&house, tags()).await.err().unwrap();
    assert_eq!(error.outage(), Some("protocol"));
}

const SUBJECT: &[u8] = b"the subject";

async fn referrers(
    house: &House,
    artifact_type: Option<&str>,
) -> Result<Answer<ListBody>, MirrorError> {
    let digest = Digest::sha256_of(SUBJECT);
    let a = origin("a");
    let query = None;
    house
        .mirror
        .referrers(
            &Asker::Mirror,
            Patience::Client,
            &a,
            &digest,
            artifact_type,
            query,
        )
        .await
}

fn index(types: &[&str]) -> String {
    let digest = Digest::sha256_of(b"signature");
    let descriptor = |artifact_type: &&str| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":3,"artifactType":"{artifact_type}"}}"#
        )
    };
    let manifests: Vec<_> = types.iter().map(descriptor).collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        manifests.join(",")
    )
}

#[tokio::test(start_paused = true)]
async fn referrers_are_upstreams_own_and_filtered_here_where_upstream_did_not() {
    let house = house();
    let listing = Listing::Referrers("a".parse().unwrap(), Digest::sha256_of(SUBJECT));
    house
        .upstream
        .tagged
        .lists(listing, &index(&["sig", "sbom"]), None);
    let all = referrers(&house, None).await.unwrap().value;
    assert_eq!(all.bytes, index(&["sig", "sbom"]));
    assert!(!all.is_filtered);
    let some = referrers(&house, Some("sbom")).await.unwrap().value;
    assert!(some.is_filtered);
    let some: serde_json::Value = serde_json::from_slice(&some.bytes).unwrap();
    assert_eq!(some["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(some["manifests"][0]["artifactType"], "sbom");
}

#[tokio::test(start_paused = true)]
async fn item_56_without_referrers_upstream_the_fallback_tag_answers_and_what_is_pushed_is_seen() {
    let house = house();
    let tag = fallback_tag(&Digest::sha256_of(SUBJECT))
        .unwrap()
        .to_string();
    let absent = referrers(&house, None).await.err().unwrap();
    assert_eq!(absent.outcome(), Outcome::Negative);
    house.upstream.tag(&tag, index(&["sig"]).as_bytes());
    assert_eq!(
        referrers(&house, None).await.unwrap().value.bytes,
        index(&["sig"])
    );
    // The tag is an ordinary one: what is pushed is seen within its ttl.
    house.upstream.tag(&tag, index(&["sig", "sbom"]).as_bytes());
    house.clock.pass(TTL);
    let filtered = referrers(&house, Some("sbom")).await.unwrap().value;
    assert!(filtered.is_filtered);
    // An image under that name lists nothing.
    house.upstream.tag(&tag, manifest(b"image").as_bytes());
    house.clock.pass(TTL);
    let absent = referrers(&house, None).await.err().unwrap();
    assert_eq!(absent.outcome(), Outcome::Negative);
}

#[tokio::test(start_paused = true)]
async fn item_57_an_outage_never_makes_referrers_or_signatures_absent() {
    let house = house();
    let tag = fallback_tag(&Digest::sha256_of(SUBJECT))
        .unwrap()
        .to_string();
    house.upstream.tag(&tag, index(&["sig"]).as_bytes());
    house.upstream.breaks(ErrorKind::Connect);
    let error = referrers(&house, None).await.err().unwrap();
    assert_eq!(error.outage(), Some("connect"));
    house.upstream.recovers();
    referrers(&house, None).await.unwrap();
    // Offline, what is known of the fallback tag answers.
    house.clock.pass(TTL + STALE);
    house.upstream.breaks(ErrorKind::Offline);
    let answer = referrers(&house, None).await.unwrap();
    assert_eq!(answer.value.bytes, index(&["sig"]));
    assert_eq!(answer.outcome, Outcome::Stale("offline"));
}

#[tokio::test(start_paused = true)]
async fn offline_a_list_is_what_the_records_know_page_by_page() {
    let house = house();
    for tag in ["1", "2", "3"] {
        house.upstream.tag(tag, manifest(tag.as_bytes()).as_bytes());
        let reference = tag.parse().unwrap();
        let a = origin("a");
        let pulled = house
            .mirror
            .manifest(&Asker::Mirror, &a, &reference, crate::oci::Accepts::MODERN)
            .await;
        pulled.unwrap();
    }
    house.settle().await;
    house.upstream.breaks(ErrorKind::Offline);
    let docker_io = Arc::from("docker.io");
    let page = |listing, query: &str| {
        let (mirror, upstream, query) = (&house.mirror, &docker_io, Some(query.to_owned()));
        async move {
            let page = mirror
                .list(&Asker::Mirror, Patience::Client, upstream, listing, query)
                .await;
            let page = page.unwrap().value;
            (String::from_utf8(page.bytes.to_vec()).unwrap(), page.next)
        }
    };
    let (first, next) = page(tags(), "n=2").await;
    assert_eq!(first, r#"{"name":"a","tags":["1","2"]}"#);
    let (second, next) = page(tags(), &next.unwrap()).await;
    assert_eq!(second, r#"{"name":"a","tags":["3"]}"#);
    assert_eq!(next, None);
    let (all, _) = page(Listing::Catalog, "n=5").await;
    assert_eq!(all, r#"{"repositories":["a"]}"#);
    // Of what nothing is known nothing is said.
    let other = Listing::Tags("b".parse().unwrap());
    assert!(list(&house, other).await.is_err());
}
