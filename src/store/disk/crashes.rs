//! What a crash, a power cut or a hand leaves of a fill: content, a fill that can be taken up, or nothing.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::DiskStore;
use crate::oci::{ByteRange, Digest, RangeSet, Verifier};
use crate::store::{Begun, Contents, Limits, Link, Origin, Progress, Role};

const BYTES: &[u8] = b"taken up after a crash";
const SIZE: u64 = BYTES.len() as u64;

/// The boot we are in, and the one before.
const NOW: &str = "now";
const BEFORE: &str = "before";

fn digest() -> Digest {
    Digest::sha256_of(BYTES)
}

fn progress(runs: &[(u64, u64)]) -> Progress {
    let runs = runs.iter().map(|&(start, end)| ByteRange::new(start, end));
    let origin = Origin {
        upstream: "docker.io".into(),
        repository: "library/alpine".parse().unwrap(),
    };
    Progress {
        link: Link {
            origin,
            digest: digest(),
            role: Role::Blob,
        },
        size: SIZE,
        present: runs.collect(),
        wanted: false,
    }
}

/// A note as it stands in a file, of a fill of `size` bytes.
fn note(boot: Option<&str>, size: u64, runs: &[(u64, u64)]) -> Vec<u8> {
    let boot = serde_json::json!(boot);
    let runs = serde_json::json!(runs);
    format!(
        r#"{{"version":1,"upstream":"docker.io","repository":"library/alpine","role":"blob","size":{size},"wanted":false,"boot":{boot},"runs":{runs}}}"#
    )
    .into_bytes()
}

fn written(boot: &str, runs: &[(u64, u64)]) -> Vec<u8> {
    note(Some(boot), SIZE, runs)
}

fn synced(runs: &[(u64, u64)]) -> Vec<u8> {
    note(None, SIZE, runs)
}

fn path(root: &Path, ending: &str) -> PathBuf {
    let folder = root.join("fills/sha256");
    fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{}.{ending}", digest().encoded()))
}

fn fills(root: &Path) -> Vec<String> {
    let folder = root.join("fills/sha256");
    let files = fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// A data folder with these files of a fill, by their endings.
fn left(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (ending, bytes) in files {
        fs::write(path(folder.path(), ending), bytes).unwrap();
    }
    folder
}

/// Takes up the fill and brings it to its end: only what is not present is written.
fn finish(store: &DiskStore, root: &Path, expected: Option<&Progress>) {
    let Begun { partial, progress } = store.begin(&digest()).unwrap();
    assert_eq!(progress.as_ref(), expected);
    let mut present = progress.map_or_else(RangeSet::new, |progress| progress.present);
    while let Some(hole) = present.first_hole(0, SIZE) {
        let (start, end) = (hole.start, hole.end);
        let bytes = &BYTES[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
        partial.write_at(start, bytes).unwrap();
        present.insert(hole);
    }
    let whole = partial.source().read_all(BYTES.len()).unwrap();
    let proof = Verifier::verify(&digest(), &whole).unwrap().unwrap();
    partial.commit(&proof).unwrap();
    assert_eq!(fills(root), Vec::<String>::new());
    let content = store.open(&digest()).unwrap().unwrap();
    assert_eq!(content.source().read_all(BYTES.len()).unwrap(), BYTES);
}

/// Opens what is left, twice, as the second start may crash, too; then fills it.
fn recover(files: &[(&str, &[u8])], expected: Option<&[(u64, u64)]>) {
    let folder = left(files);
    let root = folder.path();
    let expected = expected.map(progress);
    drop(DiskStore::open_in(root, NOW, Limits::default()).unwrap());
    if expected.is_none() {
        assert_eq!(fills(root), Vec::<String>::new());
    }
    assert!(!path(root, "new").exists());
    let store = DiskStore::open_in(root, NOW, Limits::default()).unwrap();
    let listed = store.unfinished().unwrap();
    let listed: Vec<_> = listed.iter().map(|fill| &fill.progress).collect();
    assert_eq!(listed, Vec::from_iter(expected.as_ref()));
    finish(&store, root, expected.as_ref());
}

#[test]
fn a_crash_at_any_step_of_a_checkpoint_leaves_the_one_before() {
    let half: &[u8] = b"{\"version\":1,\"up";
    let part = ("part", &BYTES[..10]);
    let first = ("ranges", &*written(NOW, &[(0, 4)]));
    let next = ("ranges", &*written(NOW, &[(0, 10)]));
    let old = ("synced", &*synced(&[(0, 4)]));
    let new = ("synced", &*synced(&[(0, 10)]));
    recover(&[part], None);
    recover(&[part, ("new", b"")], None);
    recover(&[part, ("new", half)], None);
    recover(&[part, first], Some(&[(0, 4)]));
    recover(&[part, first, ("new", half)], Some(&[(0, 4)]));
    recover(&[part, first, ("new", next.1)], Some(&[(0, 4)]));
    recover(&[part, next], Some(&[(0, 10)]));
    recover(&[part, next, ("new", half)], Some(&[(0, 10)]));
    recover(&[part, next, old], Some(&[(0, 10)]));
    recover(&[part, next, old, ("new", new.1)], Some(&[(0, 10)]));
    recover(&[part, next, new], Some(&[(0, 10)]));
}

#[test]
fn after_a_power_cut_only_what_was_synced_counts() {
    let part = ("part", BYTES);
    let ranges = ("ranges", &*written(BEFORE, &[(0, 10), (12, SIZE)]));
    let synced = ("synced", &*synced(&[(0, 4)]));
    // Who wanted what is still known.
    recover(&[part, ranges], Some(&[]));
    recover(&[part, ranges, synced], Some(&[(0, 4)]));
    // A rename that came through without the bytes of the file.
    recover(&[part, ("ranges", b""), synced], Some(&[(0, 4)]));
    recover(&[part, ("ranges", b"")], None);
    recover(&[part, synced], Some(&[(0, 4)]));
}

#[test]
fn what_is_odd_is_nothing() {
    let ranges = ("ranges", &*written(NOW, &[(0, 4)]));
    let known = ("synced", &*synced(&[(0, 4)]));
    let larger = note(None, SIZE + 1, &[(0, 4)]);
    let beyond = note(None, SIZE, &[(0, SIZE + 1)]);
    let longer = [BYTES, b"!"].concat();
    recover(&[ranges], None);
    recover(&[known], None);
    recover(&[ranges, known, ("new", b"")], None);
    recover(&[("part", BYTES), ("ranges", &[0; 4096])], None);
    recover(&[("part", BYTES), ("synced", &beyond)], None);
    recover(&[("part", BYTES), ranges, ("synced", &larger)], None);
    recover(&[("part", &longer), ranges], None);
    // A file that lost its end still has its beginning.
    recover(&[("part", &BYTES[..2]), ranges], Some(&[(0, 2)]));
    recover(&[("part", b""), ranges, known], Some(&[]));
}

#[test]
fn a_crash_at_any_step_of_a_commit_leaves_the_content() {
    let notes: [(&str, &[u8]); 2] = [
        ("ranges", &written(NOW, &[(0, 4)])),
        ("synced", &synced(&[(0, 4)])),
    ];
    // The last is of a fill that began in spite of the content.
    for files in [&notes[..], &notes[1..], &[("part", BYTES), notes[0]]] {
        let folder = left(files);
        let content = folder.path().join("content/sha256");
        let content = content.join(&digest().encoded()[..2]);
        fs::create_dir_all(&content).unwrap();
        fs::write(content.join(digest().encoded()), BYTES).unwrap();
        let store = DiskStore::open_in(folder.path(), NOW, Limits::default()).unwrap();
        assert!(store.open(&digest()).unwrap().is_some());
        assert_eq!(fills(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn a_killed_process_hands_on_what_it_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // Killed, killed, powered off, and killed.
    for (boot, present) in [(BEFORE, None), (BEFORE, Some((0, 8))), (NOW, Some((0, 4)))] {
        let store = DiskStore::open_in(root, boot, Limits::default()).unwrap();
        let begun = store.begin(&digest()).unwrap();
        let expected = present.map(|run| progress(&[run]));
        assert_eq!(begun.progress, expected, "{boot}");
        begun.partial.write_at(0, &BYTES[..10]).unwrap();
        for (end, durable) in [(4, true), (8, false)] {
            let progress = progress(&[(0, end)]);
            begun.partial.checkpoint(&progress, durable).unwrap();
        }
        // A killed process runs no destructor.
        std::mem::forget(begun.partial);
    }
    let store = DiskStore::open_in(root, NOW, Limits::default()).unwrap();
    finish(&store, root, Some(&progress(&[(0, 8)])));
}

#[test]
fn a_fill_begins_anew_when_its_files_are_taken_away() {
    for gone in [&["part"][..], &["ranges", "synced"]] {
        let folder = left(&[("part", BYTES), ("ranges", &written(NOW, &[(0, 4)]))]);
        let store = DiskStore::open_in(folder.path(), NOW, Limits::default()).unwrap();
        for ending in gone {
            let _ = fs::remove_file(path(folder.path(), ending));
        }
        assert!(store.unfinished().unwrap().is_empty(), "{gone:?}");
        finish(&store, folder.path(), None);
    }
    let folder = left(&[("part", BYTES), ("ranges", &written(NOW, &[(0, 4)]))]);
    let store = DiskStore::open_in(folder.path(), NOW, Limits::default()).unwrap();
    fs::remove_dir_all(folder.path().join("fills")).unwrap();
    assert!(store.unfinished().unwrap().is_empty());
    store.drop_unfinished(&digest()).unwrap();
    finish(&store, folder.path(), None);
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
    let folder = left(&[("part", BYTES), ("ranges", &written(NOW, &[(0, 4)]))]);
    let store = DiskStore::open_in(folder.path(), NOW, Limits::default()).unwrap();
    let partial = store.begin(&digest()).unwrap().partial;
    let in_the_way = path(folder.path(), "new");
    fs::create_dir(&in_the_way).unwrap();
    assert!(partial.checkpoint(&progress(&[(0, 8)]), false).is_err());
    assert!(partial.checkpoint(&progress(&[(0, 8)]), true).is_err());
    drop(partial);
    fs::remove_dir(&in_the_way).unwrap();
    finish(&store, folder.path(), Some(&progress(&[(0, 4)])));
}

#[test]
fn what_is_no_fills_file_is_left_alone() {
    let encoded = digest().encoded().to_owned();
    let foreign = [
        "thesis.part".to_owned(),
        format!("{encoded}.txt"),
        encoded.clone(),
        format!("{}.ranges", encoded.to_uppercase()),
    ];
    let folder = left(&[]);
    let below = folder.path().join("fills/sha256");
    fs::create_dir_all(&below).unwrap();
    for name in &foreign {
        fs::write(below.join(name), "precious").unwrap();
    }
    let store = DiskStore::open_in(folder.path(), NOW, Limits::default()).unwrap();
    assert!(store.unfinished().unwrap().is_empty());
    assert_eq!(fills(folder.path()).len(), foreign.len());
}
