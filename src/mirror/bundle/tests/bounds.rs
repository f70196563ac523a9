//! Sizes are what they are said to be, and nothing is without a bound.

use super::refused::{files, gzip, packed_as, refused, unchanged, with_member};
use super::*;
use crate::store::Limits;

/// Sizes that manifests tell are those that the bytes have: room is promised by them.
#[test]
fn sizes_that_are_told_wrong_are_refused() {
    let layer = noise(1_000);
    let right = image(b"{}", &[&layer], None);
    let wrong = right.replace("\"size\":1000", "\"size\":1");
    let name = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"DIGEST","size":1,"annotations":{"org.opencontainers.image.ref.name":"o/r:1"}}]}"#;
    let digest = Digest::sha256_of(wrong.as_bytes());
    let index = name.replace("DIGEST", digest.as_str());
    let files = [
        ("oci-layout".to_owned(), b"{}".to_vec()),
        ("index.json".to_owned(), index.into_bytes()),
        (path_of(b"{}"), b"{}".to_vec()),
        (path_of(&layer), layer.to_vec()),
        (path_of(wrong.as_bytes()), wrong.into_bytes()),
    ];
    let digest = Digest::sha256_of(&layer);
    assert_eq!(
        refused(&packed_as(&files)),
        format!("docker.io/o/r:1: {digest} has 1000 bytes, and its manifest says 1")
    );
    let large = vec![b' '; 5000];
    let files = [("oci-layout".to_owned(), large)];
    assert_eq!(
        refused(&packed_as(&files)),
        "oci-layout: it has 5000 bytes, more than 4096"
    );
}

/// Indexes that lie in each other without end would take the stack, and what lies in itself would never end.
#[test]
fn indexes_within_indexes_have_a_bound() {
    let layer = noise(1_000);
    let kind = "application/vnd.oci.image.index.v1+json";
    let mut manifest = image(b"{}", &[&layer], None);
    let mut files = vec![("oci-layout".to_owned(), b"{}".to_vec())];
    for _ in 0..2_000 {
        let child = descriptor(kind, manifest.as_bytes());
        files.push((path_of(manifest.as_bytes()), manifest.into_bytes()));
        manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{child}]}}"#);
    }
    let name = r#","annotations":{"org.opencontainers.image.ref.name":"o/r:1"}}"#;
    let top = descriptor(kind, manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}{name}]}}"#,
        top.trim_end_matches('}')
    );
    files.push((path_of(manifest.as_bytes()), manifest.into_bytes()));
    files.push(("index.json".to_owned(), index.into_bytes()));
    let error = refused(&packed_as(&files));
    assert!(error.ends_with("indexes lie more than 8 deep"), "{error}");
}

/// What could never be held is refused before it is read, be it packed into next to nothing.
#[test]
fn what_there_is_no_room_for_is_refused_by_name() {
    let small = || MemoryStore::new(Limits::of(100_000));
    let zeros = vec![0; 4_000_000];
    let path = path_of(&zeros);
    let mut bomb = files();
    bomb.push((path.clone(), zeros));
    let bomb = packed_as(&bomb);
    for packed in [
        bomb.clone(),
        gzip(&bomb),
        zstd::encode_all(&bomb[..], 3).unwrap(),
    ] {
        assert_eq!(
            unchanged(&packed, &small()),
            format!("{path}: it has 4000000 bytes, and there is room for 100000")
        );
    }
    let promised = with_member(|header| header.set_size(1 << 62), b"x", b"");
    let error = refused(&promised);
    assert!(error.starts_with("x: "), "{error}");

    // Each by itself would find room.
    let layers = [noise(60_000), noise(70_000)];
    let manifest = image(b"{}", &[&layers[0], &layers[1]], None);
    let top = descriptor(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.as_bytes(),
    );
    let name = r#","annotations":{"org.opencontainers.image.ref.name":"o/r:1"}}"#;
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}{name}]}}"#,
        top.trim_end_matches('}')
    );
    let files = [
        ("oci-layout".to_owned(), b"{}".to_vec()),
        ("index.json".to_owned(), index.into_bytes()),
        (path_of(b"{}"), b"{}".to_vec()),
        (path_of(&layers[0]), layers[0].to_vec()),
        (path_of(&layers[1]), layers[1].to_vec()),
        (path_of(manifest.as_bytes()), manifest.into_bytes()),
    ];
    let error = unchanged(&packed_as(&files), &small());
    assert!(error.starts_with("its images need 130"), "{error}");
    assert!(
        error.ends_with("the store holds 100000 (store.capacity)"),
        "{error}"
    );
}
