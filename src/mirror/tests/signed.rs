//! Signed schema 1 manifests: proved by their payload, passed on, never kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::mirror::testkit::*;
use crate::mirror::{FillError, MirrorError, Outcome};
use crate::oci::{Accepts, Digest, Reference};

const SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// The payload, and the manifest with a signature over it.
fn signed(tag: &str) -> (String, Vec<u8>) {
    let front = format!(
        "{{\n   \"schemaVersion\": 1,\n   \"name\": \"a\",\n   \"tag\": \"{tag}\",\n   \"architecture\": \"amd64\",\n   \"fsLayers\": [],\n   \"history\": []"
    );
    let tail = "\n}";
    let coded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let protected = format!(
        "{{\"formatLength\":{},\"formatTail\":\"{}\"}}",
        front.len(),
        coded(tail)
    );
    let signature = format!(
        "{{\"header\":{{\"alg\":\"ES256\"}},\"signature\":\"x\",\"protected\":\"{}\"}}",
        coded(&protected)
    );
    let whole = format!("{front},\n   \"signatures\": [{signature}]\n}}");
    (format!("{front}{tail}"), whole.into_bytes())
}

#[tokio::test]
async fn a_signed_manifest_is_proved_by_its_payload_and_goes_past_the_store() {
    let house = house();
    let (payload, bytes) = signed("1");
    let digest = Digest::sha256_of(payload.as_bytes());
    house.upstream.tagged.tag_as("1", &bytes, &digest);
    let (a, tag) = (origin("a"), "1".parse::<Reference>().unwrap());
    let old = Accepts::of_lines([SIGNED]);
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &a, &tag, old)
        .await
        .unwrap();
    assert_eq!(answer.outcome, Outcome::Bypass("schema1"));
    assert_eq!(answer.value.bytes, bytes);
    assert_eq!(answer.value.digest, digest);
    assert_eq!(answer.value.media_type.as_str(), SIGNED);
    house.settle().await;
    assert!(!house.has(&digest) && !house.has(&Digest::sha256_of(&bytes)));
    // By digest it is what it was.
    let by_digest = Reference::Digest(digest);
    let answer = house
        .mirror
        .manifest(&Asker::Mirror, &a, &by_digest, old)
        .await
        .unwrap();
    assert_eq!(answer.value.bytes, bytes);
}

#[tokio::test]
async fn item_24_a_manifest_with_another_digest_is_refused_signed_or_not() {
    let house = house();
    let (_, bytes) = signed("1");
    let other = Digest::sha256_of(b"something else");
    house.upstream.tagged.tag_as("1", &bytes, &other);
    let (a, tag) = (origin("a"), "1".parse::<Reference>().unwrap());
    let old = Accepts::of_lines([SIGNED]);
    let found = house.mirror.manifest(&Asker::Mirror, &a, &tag, old).await;
    let error = found.err().unwrap();
    assert!(
        matches!(error, MirrorError::Fill(FillError::Mismatch(_))),
        "{error}"
    );
    house.settle().await;
    // The next try is fresh.
    let asked = house.upstream.count("GET manifest");
    let found = house.mirror.manifest(&Asker::Mirror, &a, &tag, old).await;
    assert!(found.is_err());
    assert!(house.upstream.count("GET manifest") > asked);
}
