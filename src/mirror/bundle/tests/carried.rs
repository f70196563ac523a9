//! What is carried over arrives, whole and once.

use std::sync::Arc;

use super::*;
use crate::mirror::Patience;
use crate::mirror::testkit::{Asker, House, drain_all};
use crate::mirror::warm::cosign_tags;
use crate::oci::{Reference, fallback_tag};
use crate::store::faulty::{Fault, Faulty};
use crate::store::{Fact, Retention};
use crate::upstream::ErrorKind;

#[test]
fn the_same_content_is_the_same_bundle_and_a_plain_layout() {
    let (store, _) = furnished();
    let bundle = exported(&store, &Selection::All, &CutOptions::default());
    let (again, _) = furnished();
    let turned = wanted(&["o/two:2", "o/many:1", "o/one:1", "o/one:1"]);
    assert!(bundle == exported(&again, &turned, &CutOptions::default()));
    let members = members(&bundle);
    assert!(members.contains("oci-layout") && members.contains("index.json"));
    // Four layers, one config, two images, an index of two.
    assert_eq!(members.len(), 2 + 4 + 1 + 2 + 3);
    let text = String::from_utf8_lossy(&bundle).into_owned();
    assert!(text.contains(r#""org.opencontainers.image.ref.name":"docker.io/o/one:1""#));
}

#[test]
fn what_was_exported_is_taken_in_and_then_known() {
    let (store, layers) = furnished();
    let bundle = exported(&store, &Selection::All, &CutOptions::default());
    let other = MemoryStore::default();
    let taken = imported(&bundle, &other).unwrap();
    assert_eq!((taken.new, taken.known), (10, 0));
    for (repository, tag) in [("o/one", "1"), ("o/two", "2"), ("o/many", "1")] {
        let (there, here) = (
            store.record(&key(repository, tag)),
            other.record(&key(repository, tag)),
        );
        let (there, here) = (there.unwrap().unwrap(), here.unwrap().unwrap());
        assert_eq!(
            (there.digest, there.media_type, there.size),
            (here.digest, here.media_type, here.size)
        );
        assert_eq!(here.checked_at, NOW);
    }
    for layer in &layers {
        assert!(other.open(&Digest::sha256_of(layer)).unwrap().is_some());
    }
    let again = imported(&bundle, &other).unwrap();
    assert_eq!((again.new, again.known), (0, 10));
    assert!(bundle == exported(&other, &Selection::All, &CutOptions::default()));
}

#[test]
fn a_delta_holds_what_the_other_side_lacks() {
    let (store, layers) = furnished();
    let other = MemoryStore::default();
    let first = exported(&store, &wanted(&["o/one:1"]), &CutOptions::default());
    imported(&first, &other).unwrap();
    let changed = image(b"{}", &[&layers[0], &layers[1], &layers[2]], None);
    record(&store, "o/one", "1", &changed);
    let have = members(&first);
    let have = have.iter().filter_map(|path| path.strip_prefix("blobs/"));
    let options = CutOptions {
        have: have
            .map(|it| it.replace('/', ":").parse().unwrap())
            .collect(),
        ..CutOptions::default()
    };
    let delta = exported(&store, &wanted(&["o/one:1"]), &options);
    let new = [path_of(changed.as_bytes()), path_of(&layers[2])];
    let mut expected = BTreeSet::from(["oci-layout".to_owned(), "index.json".to_owned()]);
    expected.extend(new);
    assert_eq!(members(&delta), expected);
    // Where the rest is not, it is refused, and the message names what is missing.
    let empty = MemoryStore::default();
    let error = imported(&delta, &empty).unwrap_err().to_string();
    assert!(error.contains("is missing"), "{error}");
    assert_eq!(imported(&delta, &other).unwrap().new, 2);
    let record = other.record(&key("o/one", "1")).unwrap().unwrap();
    assert_eq!(record.digest, Digest::sha256_of(changed.as_bytes()));
    // What the other side has need not be here any more.
    store.set_aside(&Digest::sha256_of(&layers[0])).unwrap();
    assert!(delta == exported(&store, &wanted(&["o/one:1"]), &options));
}

#[test]
fn only_the_chosen_platforms_are_carried() {
    let (store, layers) = furnished();
    let options = CutOptions {
        platforms: vec!["linux/amd64".parse().unwrap()],
        ..CutOptions::default()
    };
    let bundle = exported(&store, &wanted(&["o/many:1"]), &options);
    let members = members(&bundle);
    assert!(members.contains(&path_of(&layers[3])) && !members.contains(&path_of(&layers[0])));
    let other = MemoryStore::default();
    assert_eq!(imported(&bundle, &other).unwrap().new, 4);
    // For the same platform it can be carried on; for all, what is missing is named.
    assert!(bundle == exported(&other, &Selection::All, &options));
    let error = chosen(&other, &Selection::All, &CutOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("docker.io/o/many:1: the manifest sha256:"),
        "{error}"
    );
    let none = CutOptions {
        platforms: vec!["linux/s390x".parse().unwrap()],
        ..CutOptions::default()
    };
    let error = chosen(&store, &wanted(&["o/many:1"]), &none).unwrap_err();
    assert_eq!(
        error.to_string(),
        "docker.io/o/many:1: it has no image for linux/s390x"
    );
}

#[test]
fn what_is_missing_is_named_unless_that_is_allowed() {
    let (store, layers) = furnished();
    let gone = Digest::sha256_of(&layers[1]);
    store.set_aside(&gone).unwrap();
    let both = wanted(&["o/one:1", "o/none:1", "o/two:*", "o/two:9*"]);
    let error = chosen(&store, &both, &CutOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "docker.io/o/one:1: the blob {gone} is not here\n\
             docker.io/o/none:1: the tag is not known here\n\
             docker.io/o/two:9*: no tag that is known here matches"
        )
    );
    let options = CutOptions {
        allow_missing: true,
        ..CutOptions::default()
    };
    let cut = chosen(&store, &both, &options).unwrap();
    assert_eq!((cut.images.len(), cut.lacking.len()), (2, 3));
    let error = chosen(&store, &wanted(&["quay.io/a"]), &options).unwrap_err();
    assert!(
        error.to_string().contains("no upstream named quay.io"),
        "{error}"
    );
}

#[test]
fn what_is_pinned_is_carried_by_its_name() {
    let (store, _) = furnished();
    let one = store.record(&key("o/one", "1")).unwrap().unwrap().digest;
    let two = store.record(&key("o/two", "2")).unwrap().unwrap().digest;
    store.pin("site", &[one.clone(), two.clone()]).unwrap();
    store.learn(&[Fact::Record(key("o/two", "2"), None)]);
    let pinned = Selection::Pinned("site".to_owned());
    let cut = chosen(&store, &pinned, &CutOptions::default()).unwrap();
    let images: Vec<_> = cut
        .images
        .iter()
        .map(|it| (it.tag.is_some(), it.digest.clone()))
        .collect();
    assert_eq!(images, [(true, one), (false, two.clone())]);
    let bundle = exported(&store, &pinned, &CutOptions::default());
    let other = MemoryStore::default();
    imported(&bundle, &other).unwrap();
    let link = Link {
        origin: origin("o/two"),
        digest: two,
        role: Role::Manifest,
    };
    assert!(other.linked(&link).unwrap());
    assert!(
        chosen(
            &store,
            &Selection::Pinned("x".to_owned()),
            &CutOptions::default()
        )
        .is_err()
    );
}

#[tokio::test]
async fn an_offline_mirror_answers_by_tag_by_digest_and_for_referrers() {
    let (store, layers) = furnished();
    let subject = image(b"{}", &[&layers[0], &layers[1]], None);
    let digest = Digest::sha256_of(subject.as_bytes());
    let kind = r#""artifactType":"example/sbom","schemaVersion":2"#;
    let referrer =
        image(b"{}", &[&layers[2]], Some(&subject)).replace(r#""schemaVersion":2"#, kind);
    let referrer_digest = keep(&store, referrer.as_bytes());
    let listed = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        descriptor(
            "application/vnd.oci.image.manifest.v1+json",
            referrer.as_bytes()
        )
    );
    record(
        &store,
        "o/one",
        fallback_tag(&digest).unwrap().as_str(),
        &listed,
    );
    let signature = image(b"{}", &[&layers[3]], None);
    record(
        &store,
        "o/one",
        cosign_tags(&digest)[0].as_str(),
        &signature,
    );
    let options = CutOptions {
        referrers: true,
        ..CutOptions::default()
    };
    let bundle = exported(&store, &wanted(&["o/one:1"]), &options);

    let other: Arc<dyn Store> = Arc::new(MemoryStore::default());
    imported(&bundle, &*other).unwrap();
    let house = House::over(other);
    house.upstream.breaks(ErrorKind::Offline);
    house.clock.pass(1_000_000);
    let ask = |reference: Reference| {
        let mirror = Arc::clone(&house.mirror);
        async move {
            mirror
                .manifest(
                    &Asker::Mirror,
                    &origin("o/one"),
                    &reference,
                    Accepts::MODERN,
                )
                .await
        }
    };
    for reference in [
        "1".to_owned(),
        digest.to_string(),
        referrer_digest.to_string(),
        cosign_tags(&digest)[0].to_string(),
    ] {
        let answer = ask(reference.parse().unwrap()).await;
        assert!(answer.is_ok(), "{reference}: {:?}", answer.err());
    }
    let blob = house
        .mirror
        .blob(
            &Asker::Mirror,
            &origin("o/one"),
            &Digest::sha256_of(&layers[1]),
            &[],
        )
        .await;
    assert!(drain_all(&blob.unwrap().value).await.0 == layers[1]);
    let referrers = house
        .mirror
        .referrers(
            &Asker::Mirror,
            Patience::Client,
            &origin("o/one"),
            &digest,
            None,
            None,
        )
        .await
        .unwrap();
    assert_eq!(&*referrers.value.bytes, listed.as_bytes());
    // What is not here is a clear no, and so is what is here under another name.
    let missing = ask("9".parse().unwrap()).await.unwrap_err();
    assert_eq!(*missing.upstream().unwrap().kind(), ErrorKind::Offline);
    let other_name = house
        .mirror
        .blob(
            &Asker::Mirror,
            &origin("o/other"),
            &Digest::sha256_of(&layers[1]),
            &[],
        )
        .await;
    assert!(other_name.is_err());
}

/// Whatever step fails, the next try ends with all of it here, and nothing wrong was visible in between.
#[test]
fn an_import_that_broke_off_at_any_step_goes_on() {
    let (store, layers) = furnished();
    let bundle = exported(&store, &Selection::All, &CutOptions::default());
    let mut broken = 0;
    for nth in 1.. {
        let faulty = Faulty::new(MemoryStore::default(), Fault::FailsAt(nth));
        let first = imported(&bundle, &faulty);
        if first.is_err() {
            broken += 1;
            let tags = faulty.tags(&origin("o/one"), None, 9).unwrap();
            for tag in tags {
                let record = faulty.record(&key("o/one", tag.as_str())).unwrap().unwrap();
                assert!(faulty.open(&record.digest).unwrap().is_some());
            }
            imported(&bundle, &faulty).unwrap();
        }
        if faulty.operations() < nth {
            break;
        }
        for layer in &layers {
            let content = faulty.open(&Digest::sha256_of(layer)).unwrap().unwrap();
            assert!(content.source().read_all(layer.len()).unwrap() == *layer);
        }
        assert!(faulty.record(&key("o/many", "1")).unwrap().is_some());
    }
    assert!(broken > 20, "{broken}");
}

#[test]
fn content_that_rotted_goes_into_no_bundle() {
    let (store, layers) = furnished();
    store.rot(&Digest::sha256_of(&layers[1]));
    let cut = chosen(&store, &wanted(&["o/one:1"]), &CutOptions::default()).unwrap();
    let error = write(&cut, &store, Vec::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, BundleError::Rotten(_)), "{error}");
}
