//! Bundles out of one store in memory and into another.

mod bounds;
mod carried;
mod foreign;
mod refused;
mod trial;

use std::collections::BTreeSet;
use std::io::Cursor;

use bytes::Bytes;

use super::{
    BundleError, Calling, Cut, CutOptions, Plan, Selection, StoreHolds, Supply, TakenIn, Tarball,
    cut, named, plan, survey, take_in, write,
};
use crate::mirror::Names;
use crate::mirror::testkit::{noise, origin};
use crate::oci::{Accepts, Digest, Manifest, Verifier};
use crate::store::{
    Catalog, Contents, Link, MemoryStore, Record, RecordKey, Retention, Role, Store,
};

const NOW: u64 = 1_000;

fn names() -> Names {
    Names::new([("docker.io".to_owned(), "docker.io".into())])
}

/// Puts content into a store.
fn keep(store: &dyn Store, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256_of(bytes);
    let partial = store.begin(&digest).unwrap().partial;
    partial.write_at(0, bytes).unwrap();
    let proof = Verifier::verify(&digest, bytes).unwrap().unwrap();
    partial.commit(&proof).unwrap();
    digest
}

fn descriptor(kind: &str, bytes: &[u8]) -> String {
    let (digest, size) = (Digest::sha256_of(bytes), bytes.len());
    format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
}

/// An image manifest with a config and these layers, about `subject` if there is one.
fn image(config: &[u8], layers: &[&[u8]], subject: Option<&str>) -> String {
    let kind = "application/vnd.oci.image.layer.v1.tar";
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(kind, layer)).collect();
    let subject = subject.map_or(String::new(), |manifest| {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        format!(r#","subject":{}"#, descriptor(kind, manifest.as_bytes()))
    });
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]{subject}}}"#,
        descriptor("application/vnd.oci.image.config.v1+json", config),
        layers.join(","),
    )
}

/// Records a tag, as if upstream had shown it.
fn record(store: &dyn Store, repository: &str, tag: &str, manifest: &str) -> Digest {
    let digest = keep(store, manifest.as_bytes());
    let parsed = Manifest::parse(manifest.as_bytes(), None).unwrap();
    let key = key(repository, tag);
    let link = Link {
        origin: key.origin.clone(),
        digest: digest.clone(),
        role: Role::Manifest,
    };
    store.link(&[link]).unwrap();
    let record = Record {
        digest: digest.clone(),
        media_type: parsed.media_type,
        size: manifest.len() as u64,
        checked_at: NOW - 1,
    };
    store.put_record(&key, &record).unwrap();
    digest
}

fn key(repository: &str, tag: &str) -> RecordKey {
    RecordKey {
        origin: origin(repository),
        tag: tag.parse().unwrap(),
        accepts: Accepts::MODERN,
    }
}

/// A store with two images that share a layer, and one of two platforms.
fn furnished() -> (MemoryStore, Vec<Bytes>) {
    let store = MemoryStore::default();
    let layers: Vec<_> = (1..=4).map(|nth| noise(nth * 3_000)).collect();
    for layer in &layers {
        keep(&store, layer);
    }
    keep(&store, b"{}");
    record(
        &store,
        "o/one",
        "1",
        &image(b"{}", &[&layers[0], &layers[1]], None),
    );
    record(
        &store,
        "o/two",
        "2",
        &image(b"{}", &[&layers[0], &layers[2]], None),
    );
    let platforms = ["amd64", "arm64"].map(|architecture| {
        let layers: &[&[u8]] = if architecture == "amd64" {
            &[&layers[3]]
        } else {
            &[&layers[0]]
        };
        let manifest = image(b"{}", layers, None);
        keep(&store, manifest.as_bytes());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let descriptor = descriptor(kind, manifest.as_bytes());
        let descriptor = descriptor.trim_end_matches('}');
        format!(r#"{descriptor},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#)
    });
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        platforms.join(",")
    );
    record(&store, "o/many", "1", &index);
    (store, layers)
}

fn chosen(
    store: &dyn Store,
    selection: &Selection,
    options: &CutOptions,
) -> Result<Cut, BundleError> {
    cut(store, &names(), selection, options)
}

fn wanted(images: &[&str]) -> Selection {
    Selection::Wanted(images.iter().map(|it| it.parse().unwrap()).collect())
}

fn exported(store: &dyn Store, selection: &Selection, options: &CutOptions) -> Vec<u8> {
    let cut = chosen(store, selection, options).unwrap();
    write(&cut, store, Vec::new(), &mut |_| {}).unwrap()
}

fn tarball(bytes: &[u8]) -> impl Supply {
    let bytes = Bytes::copy_from_slice(bytes);
    Tarball::new(move || Ok(Box::new(Cursor::new(bytes.clone()))))
}

/// What is asked for beside the bytes.
#[derive(Default)]
struct Said<'s> {
    called: Option<&'s str>,
    upstream: Option<&'s str>,
}

fn planned(supply: &dyn Supply, store: &dyn Store, said: &Said<'_>) -> Result<Plan, BundleError> {
    let survey = survey(supply, store.usage().capacity, &mut |_| {})?;
    let (names, called) = (names(), said.called.map(|it| it.parse().unwrap()));
    let calling = Calling {
        names: &names,
        called: called.as_ref(),
        upstream: said.upstream,
    };
    let images = named(&survey, calling)?;
    plan(
        &survey,
        images,
        &StoreHolds(store),
        said.upstream.is_some(),
        NOW,
    )
}

fn imported_as(bytes: &[u8], store: &dyn Store, said: &Said<'_>) -> Result<TakenIn, BundleError> {
    let supply = tarball(bytes);
    let plan = planned(&supply, store, said)?;
    take_in(&plan, &supply, store, &mut |_| {})
}

fn imported(bytes: &[u8], store: &dyn Store) -> Result<TakenIn, BundleError> {
    imported_as(bytes, store, &Said::default())
}

/// The digests that the members of a tar are named by.
fn members(bytes: &[u8]) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap();
    let paths = entries.map(|entry| entry.unwrap().path().unwrap().display().to_string());
    paths.collect()
}

/// A tar of these plain files.
fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn path_of(bytes: &[u8]) -> String {
    format!(
        "blobs/{}",
        Digest::sha256_of(bytes).to_string().replace(':', "/")
    )
}
