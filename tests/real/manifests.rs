//! Manifests of odd sizes and spellings, and by every way of accepting them.

use std::sync::Arc;

use crate::support::dice::Dice;
use crate::support::digest;
use crate::support::http::send;
use crate::support::mirror::Plan;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tap::Request;
use crate::support::upstream::Upstream;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The words of a manifest of nothing, in their order; white space may stand between any two.
fn words() -> Vec<String> {
    let empty = digest(b"{}");
    let text = format!(
        "{{ \"schemaVersion\" : 2 , \"mediaType\" : \"{MANIFEST}\" , \"config\" : {{ \"mediaType\" : \
         \"application/vnd.oci.empty.v1+json\" , \"digest\" : \"{empty}\" , \"size\" : 2 }} , \"layers\" : [ ] }}"
    );
    text.split(' ').map(str::to_owned).collect()
}

/// A manifest of so many bytes.
fn manifest_of(size: usize) -> Vec<u8> {
    let mut bytes = words().join("").into_bytes();
    bytes.pop();
    bytes.resize(size - 1, b' ');
    bytes.push(b'}');
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn item_20_white_space_goes_out_exactly_as_it_came_in() {
    let mut dice = Dice::thrown_for("item_20_white_space_goes_out_exactly_as_it_came_in");
    let (upstream, mirror) = Upstream::mirrored().await;
    let registry = &upstream.registry;
    registry.push_blob("library/a", b"{}").await;
    for number in 0..16 {
        let mut text = String::new();
        for word in words() {
            for _ in 0..dice.within(0..4) {
                text.push([' ', '\n', '\t', '\r'][dice.within(0..4)]);
            }
            text.push_str(&word);
        }
        text.push_str(&"\n".repeat(dice.within(0..3)));
        let (tag, name) = (format!("t{number}"), digest(text.as_bytes()));
        registry
            .put_manifest("library/a", &tag, MANIFEST, text.as_bytes())
            .await;
        for reference in [&tag, &name, &tag] {
            let target = format!("/v2/a/manifests/{reference}");
            let accept = [("Accept", MANIFEST)];
            let answer = send(mirror.address, "GET", &target, &accept, b"").await;
            let answer = answer.whole().await;
            assert_eq!(answer.text(), text, "{reference}");
            let told = answer.head.field("docker-content-digest");
            assert_eq!(told, Some(&*name));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_23_manifests_of_four_mib_and_more_pass() {
    // What a registry takes at least, and one byte more than containerd reads.
    for size in [4 * 1024 * 1024, 4_393_217] {
        let bytes = Arc::new(manifest_of(size));
        let (name, told) = (digest(&bytes), Arc::clone(&bytes));
        let upstream = Scripted::start(move |asked| {
            if !asked.path.contains("/manifests/") {
                return Reply::new(404, b"");
            }
            let reply = Reply::new(200, &told).field("Content-Type", MANIFEST);
            reply.field("Docker-Content-Digest", digest(&told))
        })
        .await;
        let mirror = Plan::of_url(upstream.url()).start().await;
        for reference in ["one", &name, "one"] {
            let target = format!("/v2/a/manifests/{reference}");
            let fields = [("Accept", MANIFEST)];
            let asked = send(mirror.address, "HEAD", &target, &fields, b"").await;
            let length = size.to_string();
            assert_eq!(asked.head.status(), Some(200), "{reference}, {size}");
            assert_eq!(asked.head.field("content-length"), Some(&*length));
            let answer = send(mirror.address, "GET", &target, &fields, b"").await;
            assert_eq!(answer.head.status(), Some(200), "{reference}, {size}");
            let got = answer.compare(&bytes).await;
            assert!(got.is_whole(&bytes), "{reference}, {size}: {got:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_18_six_accept_lines_equal_one() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let registry = &upstream.registry;
    registry.push_blob("library/a", b"{}").await;
    let bytes = manifest_of(1000);
    registry
        .put_manifest("library/a", "one", MANIFEST, &bytes)
        .await;
    let lines = [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
        MANIFEST,
    ];
    let merged = lines.join(",");
    let six = lines.map(|line| ("Accept", line));
    let mut backward = six;
    backward.reverse();
    for fields in [&six[..], &[("Accept", &*merged)], &backward] {
        for method in ["GET", "HEAD"] {
            let target = "/v2/a/manifests/one";
            let answer = send(mirror.address, method, target, fields, b"").await;
            assert_eq!(answer.head.status(), Some(200), "{method} {fields:?}");
            let told = answer.head.field("docker-content-digest");
            assert_eq!(told, Some(&*digest(&bytes)));
            assert_eq!(answer.head.field("vary"), Some("Accept"));
            assert!(answer.head.field("age").is_some());
        }
    }
    let of_the_tag = |it: &Request| it.path.ends_with("/manifests/one");
    assert_eq!(upstream.tap.count(of_the_tag), 1);
}
