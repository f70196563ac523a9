//! What a start finds: the scan, the notes, and what other hands did meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::{DiskStore, Scrub};
use crate::oci::{Digest, Verifier};
use crate::store::{Contents, Limits, Reason, Retention, StoreErrorKind, Usage, Verdict};

/// Unix seconds, behind all stamps of files.
const LATER: u64 = 4_000_000_000;

fn open(folder: &TempDir) -> DiskStore {
    within(folder, Limits::default())
}

fn within(folder: &TempDir, limits: Limits) -> DiskStore {
    DiskStore::open(folder.path(), limits).unwrap()
}

/// After a scan.
fn scanned(folder: &TempDir) -> DiskStore {
    let store = open(folder);
    assert!(store.scan(|_| true).unwrap());
    store
}

fn keep(store: &DiskStore, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256_of(bytes);
    let proof = Verifier::verify(&digest, bytes).unwrap().unwrap();
    let partial = store.begin(&digest).unwrap().partial;
    partial.write_at(0, bytes).unwrap();
    partial.commit(&proof).unwrap();
    digest
}

fn path(root: &Path, digest: &Digest) -> PathBuf {
    let encoded = digest.encoded();
    root.join("content/sha256")
        .join(&encoded[..2])
        .join(encoded)
}

fn manifest(layer: &Digest) -> Vec<u8> {
    format!(r#"{{"layers":[{{"mediaType":"a/b","size":1,"digest":"{layer}"}}]}}"#).into_bytes()
}

fn is_here(store: &DiskStore, digest: &Digest) -> bool {
    store.open(digest).unwrap().is_some()
}

fn content(usage: Usage) -> (u64, u64) {
    (usage.content_count, usage.content_bytes)
}

/// An image of two files, noted, and a third that is not.
fn three(folder: &TempDir) -> [Digest; 3] {
    let store = open(folder);
    let layer = keep(&store, b"0123456789");
    let head = keep(&store, &manifest(&layer));
    store.note_uses().unwrap();
    let third = keep(&store, b"third");
    [head, layer, third]
}

#[test]
fn a_start_knows_the_sums_and_the_scan_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let [head, layer, third] = three(&folder);
    let size = manifest(&layer).len() as u64;
    let store = open(&folder);
    assert_eq!(content(store.usage()), (2, 10 + size));
    assert!(is_here(&store, &head) && is_here(&store, &third));
    let unready = store.collectable(LATER, 0, None).err().unwrap();
    assert_eq!(unready.kind(), StoreErrorKind::Unready);
    assert!(store.scan(|_| true).unwrap());
    assert_eq!(content(store.usage()), (3, 15 + size));
    assert_eq!(store.collectable(LATER, 0, None).unwrap().len(), 3);
}

#[test]
fn a_lost_catalog_comes_back_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let [head, layer, third] = three(&folder);
    fs::remove_file(folder.path().join("catalog.redb")).unwrap();
    // Used long ago, by its stamp.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let file = fs::File::options()
        .write(true)
        .open(path(folder.path(), &third))
        .unwrap();
    file.set_modified(long_ago).unwrap();
    drop(file);
    let store = open(&folder);
    assert_eq!(content(store.usage()), (0, 0));
    assert!(store.scan(|_| true).unwrap());
    assert_eq!(store.usage().content_count, 3);
    assert_eq!(store.explain(&third).unwrap().last_use, Some(1000));
    // The graph is back.
    store.pin("kept", std::slice::from_ref(&head)).unwrap();
    assert_eq!(store.explain(&layer).unwrap().pins, ["kept"]);
    drop(store);
    // And it was noted: nothing is new to the next one.
    let store = open(&folder);
    assert_eq!(store.usage().content_count, 3);
    assert_eq!(store.pins()[0].digests, [head]);
}

#[test]
fn what_is_gone_is_forgotten_and_what_is_foreign_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [head, layer, _] = three(&folder);
    fs::remove_file(path(folder.path(), &layer)).unwrap();
    let foreign = path(folder.path(), &head).with_file_name("thesis.tex");
    fs::write(&foreign, "precious").unwrap();
    let misplaced = path(folder.path(), &head).with_file_name(layer.encoded());
    if misplaced != path(folder.path(), &layer) {
        fs::write(&misplaced, "not in its folder").unwrap();
    }
    let store = scanned(&folder);
    assert_eq!(store.usage().content_count, 2);
    assert_eq!(store.explain(&layer).unwrap().size, None);
    assert_eq!(fs::read_to_string(foreign).unwrap(), "precious");
    // While it serves, too.
    fs::remove_file(path(folder.path(), &head)).unwrap();
    assert!(!is_here(&store, &head));
    assert_eq!(store.usage().content_count, 1);
}

#[test]
fn content_of_another_size_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let [head, layer, third] = three(&folder);
    let cut = |digest: &Digest| fs::write(path(folder.path(), digest), "cut").unwrap();
    cut(&layer);
    let store = scanned(&folder);
    assert!(!is_here(&store, &layer));
    cut(&third);
    assert!(!is_here(&store, &third));
    assert_eq!(store.usage().wrong, 2);
    assert_eq!(store.usage().content_count, 1);
    assert!(is_here(&store, &head));
    let wrong = folder.path().join("wrong/sha256").join(third.encoded());
    assert_eq!(fs::read(wrong).unwrap(), b"cut");
    keep(&store, b"third");
    assert!(is_here(&store, &third));
}

#[test]
fn wrong_content_is_found_by_its_hash_beside_a_store_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let [head, layer, third] = three(&folder);
    let store = scanned(&folder);
    for digest in [&layer, &third] {
        let file = path(folder.path(), digest);
        let mut bytes = fs::read(&file).unwrap();
        bytes[0] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    let scrub = Scrub::open(folder.path()).unwrap();
    let mut found = Vec::new();
    for digest in scrub.digests().map(Result::unwrap) {
        found.push((scrub.verify(&digest, &mut |_| ()).unwrap(), digest));
    }
    found.sort_by(|one, other| one.1.cmp(&other.1));
    let size = manifest(&layer).len() as u64;
    let mut expected = [
        (Verdict::Right(size), head.clone()),
        (Verdict::Wrong, layer.clone()),
        (Verdict::Wrong, third),
    ];
    expected.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(found, expected);
    assert_eq!(scrub.verify(&layer, &mut |_| ()).unwrap(), Verdict::Gone);
    assert!(!is_here(&store, &layer) && is_here(&store, &head));
    // The store itself, of what it serves.
    fs::write(
        path(folder.path(), &head),
        vec![b'!'; manifest(&layer).len()],
    )
    .unwrap();
    assert_eq!(store.verify(&head, &mut |_| ()).unwrap(), Verdict::Wrong);
    assert_eq!(store.verify(&head, &mut |_| ()).unwrap(), Verdict::Gone);
    assert_eq!(store.usage().wrong, 1);
    let nowhere = Scrub::open(&folder.path().join("nowhere")).err().unwrap();
    assert_eq!(nowhere.kind(), StoreErrorKind::Io);
}

#[test]
fn nothing_is_evicted_before_it_is_known_what_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let [head, layer, third] = three(&folder);
    {
        let store = scanned(&folder);
        store.pin("kept", std::slice::from_ref(&head)).unwrap();
        store.used(&third, LATER);
        store.note_uses().unwrap();
    }
    let limits = Limits::of(15 + manifest(&layer).len() as u64);
    let store = within(&folder, limits);
    let partial = store.begin(&Digest::sha256_of(b"new")).unwrap().partial;
    let full = partial.reserve(3).err().unwrap();
    assert_eq!(full.kind(), StoreErrorKind::Full);
    assert!(store.scan(|_| true).unwrap());
    partial.reserve(3).unwrap();
    assert!(is_here(&store, &head) && is_here(&store, &layer));
    assert!(!is_here(&store, &third), "it was the only one that may go");
}

#[test]
fn a_scan_that_is_told_to_stop_stops() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for n in 0..300_u32 {
        let name = Digest::sha256_of(&n.to_le_bytes());
        let file = path(folder.path(), &name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, n.to_le_bytes()).unwrap();
    }
    assert!(!store.scan(|done| done < 256).unwrap());
    assert_eq!(store.usage().content_count, 256);
    let mut told = Vec::new();
    let whole = store.scan(|done| {
        told.push(done);
        true
    });
    assert!(whole.unwrap());
    assert_eq!(told, [256]);
    assert_eq!(content(store.usage()), (300, 1200));
}

#[test]
fn a_crash_in_the_midst_of_an_eviction_leaves_it_done() {
    let folder = tempfile::tempdir().unwrap();
    let [head, layer, third] = three(&folder);
    let leaving = folder.path().join("evicted");
    fs::create_dir_all(&leaving).unwrap();
    let gone = leaving.join(format!("sha256-{}", layer.encoded()));
    fs::rename(path(folder.path(), &layer), &gone).unwrap();
    let store = scanned(&folder);
    assert!(!gone.exists());
    assert_eq!(store.usage().content_count, 2);
    assert!(!is_here(&store, &layer));
    keep(&store, b"0123456789");
    for digest in [&head, &layer, &third] {
        assert!(is_here(&store, digest));
    }
}

#[test]
fn evicted_content_is_off_the_disk_and_out_of_the_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let [head, layer, third] = three(&folder);
    {
        let store = scanned(&folder);
        let removed = store.remove(&[layer.clone(), third.clone()], Reason::Removed);
        assert_eq!(removed.unwrap().count, 2);
        assert!(!path(folder.path(), &layer).exists());
    }
    let store = open(&folder);
    assert_eq!(store.usage().content_count, 1);
    assert!(store.scan(|_| true).unwrap());
    assert_eq!(store.usage().content_count, 1);
    assert!(is_here(&store, &head));
}

#[test]
fn an_older_layout_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let [head, ..] = three(&folder);
    let version = folder.path().join("VERSION");
    fs::write(&version, "0\n").unwrap();
    let store = scanned(&folder);
    assert!(is_here(&store, &head));
    assert_eq!(fs::read_to_string(version).unwrap(), "1\n");
}
