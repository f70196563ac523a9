//! Fills that run ahead of the clients.

use std::fmt::Write;

use crate::mirror::Outcome;
use crate::mirror::testkit::*;
use crate::oci::{Accepts, Digest};

/// Each fill under way holds a file open: a manifest of ten thousand layers must not take them all.
#[tokio::test]
async fn a_manifest_begins_no_more_fills_than_an_image_has_layers() {
    let house = House::eager();
    let mut manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":["#.to_owned();
    for nth in 0_u16..10_000 {
        let comma = if nth > 0 { "," } else { "" };
        let digest = Digest::sha256_of(&nth.to_le_bytes());
        write!(manifest, r#"{comma}{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":2}}"#).unwrap();
    }
    manifest.push_str("]}");
    house.upstream.tag("1", manifest.as_bytes());
    let pulled = house
        .mirror
        .manifest(
            &Asker::Mirror,
            &origin("a"),
            &"1".parse().unwrap(),
            Accepts::MODERN,
        )
        .await;
    pulled.unwrap();
    let under_way = house.under_way();
    assert!((2..=130).contains(&under_way), "{under_way}");
}

/// What is made to be read in parts is left to those who read it so, and foreign layers to where they are.
#[tokio::test]
async fn only_what_is_pulled_whole_is_fetched_ahead() {
    let house = House::eager();
    let plain = noise(5_000);
    let layers = [
        (r#""annotations":{"org.example":"x"}"#, plain.clone()),
        (
            r#""annotations":{"containerd.io/snapshot/stargz/toc.digest":"x"}"#,
            noise(1),
        ),
        (
            r#""annotations":{"io.containers.zstd-chunked.manifest-position":"x"}"#,
            noise(2),
        ),
        (
            r#""annotations":{"io.github.containers.zstd-chunked.manifest-checksum":"x"}"#,
            noise(3),
        ),
        (
            r#""annotations":{"containerd.io/snapshot/nydus-blob":"true"}"#,
            noise(4),
        ),
        (r#""urls":["https://elsewhere.example/x"]"#, noise(6)),
    ];
    let descriptors = layers.each_ref().map(|(more, bytes)| {
        house.upstream.serves(bytes);
        let digest = Digest::sha256_of(bytes);
        let size = bytes.len();
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{size},{more}}}"#
        )
    });
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{}]}}"#,
        descriptors.join(",")
    );
    house.upstream.tag("1", manifest.as_bytes());
    for _ in 0..2 {
        let tag = "1".parse().unwrap();
        house
            .mirror
            .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
            .await
            .unwrap();
        house.settle().await;
    }
    let digest = Digest::sha256_of(&plain);
    assert!(house.has(&digest));
    assert_eq!(house.upstream.count("GET blob"), 1);
    assert_eq!(house.upstream.count(&format!("GET blob {digest}")), 1);
}

/// An image of two blobs, the first of which comes in two halves with a gate between.
#[tokio::test]
async fn each_transfer_is_the_miss_of_the_first_who_asks_for_it() {
    let house = House::eager();
    let (slow, quick) = (noise(200_000), noise(5_000));
    let slow_digest = Digest::sha256_of(&slow);
    let gate = gate();
    let script = halves(&slow, Step::Gate(gate.clone()));
    house.upstream.on_blob(&slow_digest, script);
    let quick_digest = house.upstream.serves(&quick);
    let layer = |digest: &Digest, size: usize| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{size}}}"#
        )
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{},{}]}}"#,
        layer(&slow_digest, slow.len()),
        layer(&quick_digest, quick.len()),
    );
    house.upstream.tag("1", manifest.as_bytes());
    let (tag, from) = ("1".parse().unwrap(), origin("a"));
    let pull = house
        .mirror
        .manifest(&Asker::Mirror, &from, &tag, Accepts::MODERN);
    pull.await.unwrap();
    let asked = async |digest: &Digest| {
        let (asker, origin) = (Asker::Mirror, origin("a"));
        let answer = house.mirror.blob(&asker, &origin, digest, &[]).await;
        answer.unwrap().outcome
    };

    // Both were begun ahead. One is under way when it is asked for, the other one is here.
    assert_eq!(asked(&slow_digest).await, Outcome::Miss);
    assert_eq!(asked(&slow_digest).await, Outcome::Join);
    while !house.has(&quick_digest) {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked(&quick_digest).await, Outcome::Miss);
    assert_eq!(asked(&quick_digest).await, Outcome::Hit);
    gate.add_permits(1);
    house.settle().await;
    assert_eq!(asked(&slow_digest).await, Outcome::Hit);
    for digest in [slow_digest, quick_digest] {
        assert_eq!(house.upstream.count(&format!("GET blob {digest}")), 1);
    }
}
