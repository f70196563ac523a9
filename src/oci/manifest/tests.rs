#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(body: &Value, declared: Option<&MediaType>) -> Result<Manifest, ManifestError> {
    Manifest::parse(body.to_string().as_bytes(), declared)
}

fn blob(media_type: &str, content: &str) -> Value {
    let digest = super::super::digest::Digest::sha256_of(content.as_bytes());
    json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "config": blob("application/vnd.oci.image.config.v1+json", "config"),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", "one"), blob("application/x-two", "layer two")],
    })
}

fn index() -> Value {
    json!({ "schemaVersion": 2, "manifests": [blob(MediaType::OCI_MANIFEST.as_str(), "child")] })
}

fn schema1() -> Value {
    json!({ "schemaVersion": 1, "fsLayers": [{ "blobSum": "sha256:00" }], "history": [] })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body.as_object_mut().unwrap().insert(field.into(), value);
    body
}

fn docker_image() -> Value {
    with(
        image(),
        "config",
        blob(MediaType::DOCKER_CONFIG.as_str(), "config"),
    )
}

fn docker_list() -> Value {
    with(
        index(),
        "manifests",
        json!([blob(MediaType::DOCKER_MANIFEST.as_str(), "child")]),
    )
}

#[test]
fn an_image_refers_to_its_configuration_and_then_its_layers() {
    let manifest = parse(&image(), None).unwrap();
    assert_eq!(manifest.kind, ManifestKind::Image);
    let sizes: Vec<_> = manifest
        .references
        .iter()
        .map(|descriptor| descriptor.size)
        .collect();
    assert_eq!(sizes, [6, 3, 9]);
    assert_eq!(
        manifest.references[2].media_type.as_str(),
        "application/x-two"
    );
    assert_eq!(
        manifest.references[1].digest,
        super::super::digest::Digest::sha256_of(b"one")
    );
    assert_eq!(manifest.subject, None);
}

#[test]
fn an_index_tells_platforms() {
    let mut child = blob(MediaType::OCI_MANIFEST.as_str(), "arm");
    child["platform"] =
        json!({ "os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "1" });
    let manifest = parse(&with(index(), "manifests", json!([child])), None).unwrap();
    assert_eq!(manifest.kind, ManifestKind::Index);
    let platform = manifest.references[0].platform.clone().unwrap();
    assert_eq!(
        (platform.os.as_str(), platform.architecture.as_str()),
        ("linux", "arm64")
    );
    assert_eq!(platform.variant.as_deref(), Some("v8"));
}

#[test]
fn the_type_comes_from_the_body_then_the_header_then_the_structure() {
    let own = |body, media_type: &MediaType| with(body, "mediaType", json!(media_type.as_str()));
    let plain: MediaType = "text/plain".parse().unwrap();
    for (body, declared, expected) in [
        (
            own(image(), &MediaType::OCI_MANIFEST),
            None,
            MediaType::OCI_MANIFEST,
        ),
        (
            own(image(), &MediaType::DOCKER_MANIFEST),
            Some(&MediaType::OCI_MANIFEST),
            MediaType::DOCKER_MANIFEST,
        ),
        (
            own(index(), &MediaType::DOCKER_MANIFEST_LIST),
            Some(&plain),
            MediaType::DOCKER_MANIFEST_LIST,
        ),
        (
            with(image(), "mediaType", json!("")),
            Some(&MediaType::DOCKER_MANIFEST),
            MediaType::DOCKER_MANIFEST,
        ),
        (
            with(image(), "mediaType", json!(7)),
            None,
            MediaType::OCI_MANIFEST,
        ),
        (
            image(),
            Some(&MediaType::DOCKER_MANIFEST),
            MediaType::DOCKER_MANIFEST,
        ),
        (image(), Some(&plain), MediaType::OCI_MANIFEST),
        (
            image(),
            Some(&MediaType::OCTET_STREAM),
            MediaType::OCI_MANIFEST,
        ),
        (image(), None, MediaType::OCI_MANIFEST),
        (docker_image(), None, MediaType::DOCKER_MANIFEST),
        (index(), None, MediaType::OCI_INDEX),
        (docker_list(), Some(&plain), MediaType::DOCKER_MANIFEST_LIST),
        (
            with(index(), "manifests", json!([])),
            None,
            MediaType::OCI_INDEX,
        ),
        (
            json!({ "blobs": [blob("a/b", "x")] }),
            None,
            MediaType::OCI_ARTIFACT,
        ),
        (schema1(), None, MediaType::DOCKER_SCHEMA1),
        (
            with(schema1(), "signatures", json!([])),
            None,
            MediaType::DOCKER_SCHEMA1_SIGNED,
        ),
        (
            schema1(),
            Some(&MediaType::DOCKER_SCHEMA1_SIGNED),
            MediaType::DOCKER_SCHEMA1_SIGNED,
        ),
    ] {
        let manifest = parse(&body, declared).unwrap();
        assert_eq!(manifest.media_type, expected, "{body} as {declared:?}");
    }
}

#[test]
fn incident_12_type_confusion_is_refused() {
    for (body, claim) in [
        (index(), MediaType::OCI_MANIFEST),
        (index(), MediaType::DOCKER_MANIFEST),
        (index(), MediaType::OCI_ARTIFACT),
        (image(), MediaType::OCI_INDEX),
        (image(), MediaType::DOCKER_MANIFEST_LIST),
        (image(), MediaType::DOCKER_SCHEMA1_SIGNED),
        (schema1(), MediaType::OCI_MANIFEST),
        (schema1(), MediaType::OCI_INDEX),
    ] {
        let error = Err(ManifestError::Contradiction(claim.clone()));
        assert_eq!(parse(&body, Some(&claim)), error, "declared {claim}");
        let own = with(body, "mediaType", json!(claim.as_str()));
        assert_eq!(parse(&own, None), error, "own {claim}");
    }
    let own = with(
        image(),
        "mediaType",
        json!(MediaType::OCI_MANIFEST.as_str()),
    );
    assert!(parse(&own, Some(&MediaType::OCI_INDEX)).is_err());
}

#[test]
fn two_structures_at_once_are_refused() {
    for (body, field, value) in [
        (image(), "manifests", json!([])),
        (image(), "manifests", Value::Null),
        (image(), "fsLayers", json!([])),
        (index(), "layers", json!([])),
        (index(), "config", Value::Null),
        (index(), "fsLayers", json!([])),
    ] {
        assert_eq!(
            parse(&with(body, field, value), None),
            Err(ManifestError::Ambiguous),
            "{field}"
        );
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    for bytes in ["", "<!DOCTYPE html><html></html>", "{", "{}x", "\u{feff}{}"] {
        assert!(
            matches!(
                Manifest::parse(bytes.as_bytes(), None),
                Err(ManifestError::NotJson(_))
            ),
            "{bytes}"
        );
    }
    assert!(matches!(
        Manifest::parse(b"{\"layers\":[],\"x\":\"\xff\"}", None),
        Err(ManifestError::NotJson(_))
    ));
    let deep = "[".repeat(100_000);
    assert!(matches!(
        Manifest::parse(deep.as_bytes(), None),
        Err(ManifestError::NotJson(_))
    ));
    for bytes in ["[]", "null", "\"manifest\"", "7"] {
        assert_eq!(
            Manifest::parse(bytes.as_bytes(), None),
            Err(ManifestError::NotAnObject),
            "{bytes}"
        );
    }
    for body in [
        json!({}),
        json!({ "errors": [{ "code": "MANIFEST_UNKNOWN" }] }),
        json!({ "schemaVersion": 2 }),
    ] {
        assert_eq!(
            parse(&body, Some(&MediaType::OCI_MANIFEST)),
            Err(ManifestError::NoStructure),
            "{body}"
        );
    }
}

#[test]
fn malformed_descriptors_are_refused_by_field() {
    let bad = |field: &str, value: Value| with(blob("a/b", "x"), field, value);
    for (body, field) in [
        (
            with(image(), "config", bad("digest", json!("sha256:00"))),
            "config",
        ),
        (with(image(), "config", json!("x")), "config"),
        (with(image(), "layers", json!({})), "layers"),
        (
            with(image(), "layers", json!([bad("size", json!(-1))])),
            "layers",
        ),
        (
            with(image(), "layers", json!([bad("size", Value::Null)])),
            "layers",
        ),
        (
            with(image(), "layers", json!([{ "digest": "sha256:00" }])),
            "layers",
        ),
        (
            with(index(), "manifests", json!([bad("digest", Value::Null)])),
            "manifests",
        ),
        (with(image(), "subject", json!(1)), "subject"),
    ] {
        match parse(&body, None) {
            Err(ManifestError::Descriptor(error)) => assert_eq!(error.field, field),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn what_only_helps_to_choose_may_be_malformed() {
    let odd = json!({
        "mediaType": 7, "digest": "blake3:00", "size": 5, "platform": "linux", "urls": "x", "annotations": null,
    });
    let manifest = parse(&with(image(), "layers", json!([odd])), None).unwrap();
    let layer = &manifest.references[1];
    assert_eq!(layer.media_type, MediaType::OCTET_STREAM);
    assert_eq!(
        (layer.size, layer.platform.is_none(), layer.has_urls),
        (5, true, false)
    );
}

#[test]
fn null_is_an_empty_list() {
    assert_eq!(
        parse(&json!({ "manifests": null }), None)
            .unwrap()
            .references,
        []
    );
    assert_eq!(
        parse(&with(image(), "layers", Value::Null), None)
            .unwrap()
            .references
            .len(),
        1
    );
}

#[test]
fn foreign_layers_are_marked() {
    let foreign = with(
        blob("a/b", "x"),
        "urls",
        json!(["https://elsewhere.example/x"]),
    );
    let local = with(blob("a/b", "y"), "urls", json!([]));
    let manifest = parse(&with(image(), "layers", json!([foreign, local])), None).unwrap();
    let marks: Vec<_> = manifest
        .references
        .iter()
        .map(|descriptor| descriptor.has_urls)
        .collect();
    assert_eq!(marks, [false, true, false]);
}

#[test]
fn a_referrer_names_its_subject() {
    let subject = blob(MediaType::OCI_MANIFEST.as_str(), "subject");
    for body in [image(), index()] {
        let manifest = parse(&with(body, "subject", subject.clone()), None).unwrap();
        assert_eq!(manifest.subject.unwrap().size, 7);
    }
}

#[test]
fn repeated_keys_are_tolerated_and_the_last_counts() {
    let body = r#"{"layers":[7],"layers":[],"x":1,"x":2}"#;
    assert_eq!(
        Manifest::parse(body.as_bytes(), None).unwrap().references,
        []
    );
}

#[test]
fn schema_1_lists_nothing() {
    let manifest = parse(&schema1(), None).unwrap();
    assert_eq!(
        (manifest.kind, manifest.references.len()),
        (ManifestKind::Schema1, 0)
    );
}

proptest! {
    #[test]
    fn the_type_always_fits_the_kind(
        fields in prop::sample::subsequence(
            vec!["config", "layers", "blobs", "manifests", "fsLayers", "signatures", "schemaVersion"], 0..4),
        own in prop::sample::select(ANY_TYPES.to_vec()),
        declared in prop::sample::select(ANY_TYPES.to_vec()),
    ) {
        let mut body = json!({ "mediaType": own });
        for field in fields {
            body[field] = Value::Null;
        }
        let declared: MediaType = declared.parse().unwrap();
        if let Ok(manifest) = parse(&body, Some(&declared)) {
            prop_assert!(manifest.media_type.is_manifest());
            prop_assert_eq!(kind_of_type(&manifest.media_type), manifest.kind);
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(Manifest::parse(&bytes, None).is_err());
    }
}

const ANY_TYPES: [&str; 9] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.artifact.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/json",
    "text/plain",
];
