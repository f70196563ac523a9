//! What other tools wrote.

use super::*;
use crate::oci::{Referrers, fallback_tag};

const MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A layout of these manifests, each with what its descriptor has behind its size.
fn layout(manifests: &[(&str, &str)], blobs: &[&[u8]]) -> Vec<u8> {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let entries = manifests.iter().map(|(manifest, more)| {
        let descriptor = descriptor(kind, manifest.as_bytes());
        format!("{}{more}}}", descriptor.trim_end_matches('}'))
    });
    let entries: Vec<_> = entries.collect();
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        entries.join(",")
    );
    let mut files = vec![("oci-layout".to_owned(), MARK.to_vec())];
    let manifests = manifests.iter().map(|(manifest, _)| manifest.as_bytes());
    for bytes in blobs.iter().copied().chain(manifests) {
        files.push((path_of(bytes), bytes.to_vec()));
    }
    // Last, as a folder that is packed in order has it.
    files.push(("index.json".to_owned(), index.into_bytes()));
    files.dedup();
    let files: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (&**path, &**bytes))
        .collect();
    packed(&files)
}

fn annotated(key: &str, value: &str) -> String {
    format!(r#","annotations":{{"{key}":"{value}"}}"#)
}

#[test]
fn names_of_a_layout_are_full_or_completed() {
    let layer = noise(2_000);
    let manifest = image(b"{}", &[&layer], None);
    let ref_name = "org.opencontainers.image.ref.name";
    for (more, called, expected) in [
        (annotated(ref_name, "docker.io/o/r:1"), None, Ok("o/r 1")),
        (
            annotated(ref_name, "alpine:3"),
            None,
            Ok("library/alpine 3"),
        ),
        (
            annotated("io.containerd.image.name", "docker.io/o/r:1"),
            None,
            Ok("o/r 1"),
        ),
        (annotated(ref_name, "3.19"), Some("o/r:9"), Ok("o/r 3.19")),
        (String::new(), Some("o/r:9"), Ok("o/r 9")),
        (
            annotated(ref_name, "3.19"),
            None,
            Err("it is called 3.19; say by --as of which repository that is"),
        ),
        (
            annotated(ref_name, "quay.io/o/r:1"),
            None,
            Err("no upstream named quay.io is declared"),
        ),
    ] {
        let bytes = layout(&[(&manifest, &more)], &[b"{}", &layer]);
        let store = MemoryStore::default();
        let said = Said {
            called,
            ..Said::default()
        };
        match (imported_as(&bytes, &store, &said), expected) {
            (Ok(taken), Ok(expected)) => {
                let (repository, tag) = expected.split_once(' ').unwrap();
                assert_eq!(taken.new, 3, "{expected}");
                assert!(
                    store.record(&key(repository, tag)).unwrap().is_some(),
                    "{expected}"
                );
            }
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
                assert!(error.to_string().starts_with("index.json: "), "{error}");
            }
            (taken, expected) => panic!("{taken:?}, not {expected:?}"),
        }
    }
}

#[test]
fn what_refers_to_an_image_is_listed_for_those_who_ask_offline() {
    let layer = noise(2_000);
    let subject = image(b"{}", &[&layer], None);
    let referrers = [b"a", b"b"].map(|layer| image(b"{}", &[layer], Some(&subject)));
    let name = annotated("org.opencontainers.image.ref.name", "docker.io/o/r:1");
    let bytes = layout(
        &[(&subject, &name), (&referrers[0], "")],
        &[b"{}", &layer, b"a"],
    );
    let store = MemoryStore::default();
    let said = || Said {
        called: Some("o/r"),
        ..Said::default()
    };
    imported_as(&bytes, &store, &said()).unwrap();
    let tag = fallback_tag(&Digest::sha256_of(subject.as_bytes())).unwrap();
    let listed = || {
        let record = store.record(&key("o/r", tag.as_str())).unwrap().unwrap();
        let content = store.open(&record.digest).unwrap().unwrap();
        let size = usize::try_from(content.size()).unwrap();
        let bytes = content.source().read_all(size).unwrap();
        let descriptors = Referrers::read(&bytes).unwrap().into_descriptors();
        let digests = descriptors
            .iter()
            .map(|it| it["digest"].as_str().unwrap().to_owned());
        digests.collect::<BTreeSet<_>>()
    };
    let digest = |at: usize| Digest::sha256_of(referrers[at].as_bytes()).to_string();
    assert_eq!(listed(), BTreeSet::from([digest(0)]));
    // A later bundle with another one adds to the list.
    let more = layout(&[(&referrers[1], "")], &[b"{}", b"b"]);
    imported_as(&more, &store, &said()).unwrap();
    assert_eq!(listed(), BTreeSet::from([digest(0), digest(1)]));
}

#[test]
fn what_docker_saved_is_an_image_with_its_layers_as_they_are() {
    let layers = [noise(3_000), noise(4_000)];
    let config = br#"{"rootfs":{"type":"layers"},"config":{"Cmd":["x"]}}"#;
    let name = format!("{}.json", Digest::sha256_of(config).encoded());
    let manifest = format!(
        r#"[{{"Config":"{name}","RepoTags":["busybox:1","o/r:2"],"Layers":["a/layer.tar","b/layer.tar","c/layer.tar"]}}]"#
    );
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes).unwrap();
    };
    add("a/layer.tar", &layers[0]);
    add("a/VERSION", b"1.0");
    add("b/layer.tar", &layers[1]);
    add(&name, config);
    add("manifest.json", manifest.as_bytes());
    add("repositories", b"{}");
    // A layer that is there twice.
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "c/layer.tar", "../a/layer.tar")
        .unwrap();
    let bytes = tar.into_inner().unwrap();

    let store = MemoryStore::default();
    let taken = imported(&bytes, &store).unwrap();
    assert_eq!(taken.new, 4);
    let record = store.record(&key("library/busybox", "1")).unwrap().unwrap();
    assert_eq!(
        store.record(&key("o/r", "2")).unwrap().unwrap().digest,
        record.digest
    );
    let content = store.open(&record.digest).unwrap().unwrap();
    let size = usize::try_from(content.size()).unwrap();
    let manifest = content.source().read_all(size).unwrap();
    let manifest = Manifest::parse(&manifest, None).unwrap();
    let references: Vec<_> = manifest
        .references
        .iter()
        .map(|it| it.digest.clone())
        .collect();
    let [a, b] = layers.each_ref().map(|layer| Digest::sha256_of(layer));
    assert_eq!(references, [Digest::sha256_of(config), a.clone(), b, a]);
    assert_eq!(imported(&bytes, &store).unwrap().new, 0);
}

#[test]
fn the_storage_of_a_registry_is_taken_in_with_what_it_still_has() {
    let layer = noise(2_000);
    let manifest = image(b"{}", &[&layer], None);
    let lost = image(b"{}", &[b"never pushed whole"], None);
    let root = "docker/registry/v2";
    let data = |bytes: &[u8]| {
        let digest = Digest::sha256_of(bytes);
        let hex = digest.encoded();
        format!("{root}/blobs/sha256/{}/{hex}/data", &hex[..2])
    };
    let link = |text: &str| Digest::sha256_of(text.as_bytes()).to_string();
    let repository = format!("{root}/repositories/o/r/_manifests");
    let revision = |text: &str| {
        let digest = Digest::sha256_of(text.as_bytes());
        format!("{repository}/revisions/sha256/{}/link", digest.encoded())
    };
    let files = [
        (data(b"{}"), b"{}".to_vec()),
        (data(&layer), layer.to_vec()),
        (data(manifest.as_bytes()), manifest.clone().into_bytes()),
        (data(lost.as_bytes()), lost.clone().into_bytes()),
        (
            format!("{repository}/tags/1/current/link"),
            link(&manifest).into_bytes(),
        ),
        (
            format!("{repository}/tags/1/index/sha256/x/link"),
            b"odd".to_vec(),
        ),
        (
            format!("{repository}/tags/old/current/link"),
            link(&lost).into_bytes(),
        ),
        (revision(&manifest), link(&manifest).into_bytes()),
        (revision(&lost), link(&lost).into_bytes()),
    ];
    let files: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (&**path, &**bytes))
        .collect();
    let bytes = packed(&files);
    let store = MemoryStore::default();
    let error = imported(&bytes, &store).unwrap_err().to_string();
    assert!(error.contains("say by --upstream"), "{error}");
    let said = Said {
        upstream: Some("docker.io"),
        ..Said::default()
    };
    let supply = tarball(&bytes);
    let plan = planned(&supply, &store, &said).unwrap();
    assert_eq!((plan.images.len(), plan.left_out.len()), (2, 2));
    assert!(
        plan.left_out[0].contains("docker.io/o/r:old: sha256:"),
        "{:?}",
        plan.left_out
    );
    let taken = take_in(&plan, &supply, &store, &mut |_| {}).unwrap();
    assert_eq!(taken.new, 3);
    assert!(store.record(&key("o/r", "1")).unwrap().is_some());
    assert!(store.record(&key("o/r", "old")).unwrap().is_none());
}
