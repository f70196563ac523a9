//! What only the store on disk can show: restarts, crashes, folders that are not as we left them.

use std::fs;
use std::path::Path;

use super::DiskStore;
use crate::oci::{Accepts, Digest, MediaType, Verifier};
use crate::store::{
    Catalog, Contents, Limits, Link, Origin, Record, RecordKey, Role, StoreErrorKind,
};

const BYTES: &[u8] = b"kept across restarts";

fn keep(store: &DiskStore) -> Digest {
    let digest = Digest::sha256_of(BYTES);
    let proof = Verifier::verify(&digest, BYTES).unwrap().unwrap();
    let partial = store.begin(&digest).unwrap().partial;
    partial.write_at(0, BYTES).unwrap();
    partial.commit(&proof).unwrap();
    digest
}

fn origin() -> Origin {
    Origin {
        upstream: "docker.io".into(),
        repository: "library/alpine".parse().unwrap(),
    }
}

fn record_key() -> RecordKey {
    RecordKey {
        origin: origin(),
        tag: "latest".parse().unwrap(),
        accepts: Accepts::MODERN,
    }
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for child in fs::read_dir(folder).into_iter().flatten() {
        let path = child.unwrap().path();
        if path.is_dir() {
            names.extend(files_below(&path));
        } else {
            names.push(path.display().to_string());
        }
    }
    names
}

#[test]
fn content_records_and_links_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let record = Record {
        digest: Digest::sha256_of(BYTES),
        media_type: MediaType::OCI_INDEX,
        size: 20,
        checked_at: 7,
    };
    let link = Link {
        origin: origin(),
        digest: Digest::sha256_of(BYTES),
        role: Role::Blob,
    };
    {
        let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
        keep(&store);
        store.put_record(&record_key(), &record).unwrap();
        store.link(std::slice::from_ref(&link)).unwrap();
    }
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let content = store.open(&Digest::sha256_of(BYTES)).unwrap().unwrap();
    assert_eq!(content.source().read_all(BYTES.len()).unwrap(), BYTES);
    assert_eq!(store.record(&record_key()).unwrap(), Some(record));
    assert!(store.linked(&link).unwrap());
}

#[test]
fn a_crash_in_the_midst_of_a_fill_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Digest::sha256_of(BYTES);
    {
        let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
        let partial = store.begin(&digest).unwrap().partial;
        partial.write_at(0, b"half").unwrap();
        // A killed process runs no destructor.
        std::mem::forget(partial);
    }
    assert_eq!(files_below(&folder.path().join("fills")).len(), 1);
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    assert!(store.open(&digest).unwrap().is_none());
    assert_eq!(
        files_below(&folder.path().join("fills")),
        Vec::<String>::new()
    );
    keep(&store);
}

#[test]
fn a_dropped_fill_removes_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    drop(store.begin(&Digest::sha256_of(BYTES)).unwrap());
    assert_eq!(
        files_below(&folder.path().join("fills")),
        Vec::<String>::new()
    );
}

#[test]
fn anything_under_the_data_folder_may_be_deleted_while_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for gone in [
        "VERSION",
        "content",
        "fills",
        "catalog.redb",
        "content/sha256",
    ] {
        keep(&DiskStore::open(root, Limits::default()).unwrap());
        let path = root.join(gone);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let store = DiskStore::open(root, Limits::default()).unwrap();
        let digest = keep(&store);
        assert!(store.open(&digest).unwrap().is_some(), "{gone}");
        assert!(store.record(&record_key()).unwrap().is_none(), "{gone}");
    }
}

#[test]
fn an_unreadable_catalog_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let digest = keep(&DiskStore::open(folder.path(), Limits::default()).unwrap());
    fs::write(
        folder.path().join("catalog.redb"),
        b"not a database at all, but long enough",
    )
    .unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    assert!(store.open(&digest).unwrap().is_some());
    assert!(folder.path().join("catalog.redb.broken").exists());
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let second = DiskStore::open(folder.path(), Limits::default())
        .err()
        .unwrap();
    assert_eq!(second.kind(), StoreErrorKind::Locked);
}

#[test]
fn a_newer_layout_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("VERSION"), "2\n").unwrap();
    let error = DiskStore::open(folder.path(), Limits::default())
        .err()
        .unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Version);
    assert!(
        error
            .to_string()
            .contains("layout is \"2\", this program knows 1"),
        "{error}"
    );
}

#[test]
fn a_digest_that_cannot_be_verified_is_never_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let digest: Digest = "blake9:abcdef0123456789abcdef0123456789".parse().unwrap();
    assert!(store.open(&digest).unwrap().is_none());
    assert_eq!(
        store.begin(&digest).err().unwrap().kind(),
        StoreErrorKind::Misuse
    );
}

/// A crash or a full disk between making VERSION and writing it leaves it empty.
#[test]
fn an_empty_version_is_one_that_was_never_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("VERSION"), "").unwrap();
    let opened = DiskStore::open(folder.path(), Limits::default());
    assert!(opened.is_ok(), "{}", opened.err().unwrap());
}

#[test]
fn two_probes_at_once_do_not_fail_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let failed = std::thread::scope(|scope| {
        let probes: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..2000).find_map(|_| store.probe().err())))
            .collect();
        probes.into_iter().find_map(|probe| probe.join().unwrap())
    });
    assert!(failed.is_none(), "{}", failed.unwrap());
}

/// redb may refuse or panic: to the store both are a catalog that is put aside.
#[test]
fn a_store_opens_and_answers_however_its_catalog_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.redb");
    let link = |n: u32| Link {
        origin: origin(),
        digest: Digest::sha256_of(&n.to_le_bytes()),
        role: Role::Blob,
    };
    {
        let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
        for n in 0..20 {
            let some: Vec<_> = (n * 50..(n + 1) * 50).map(link).collect();
            store.link(&some).unwrap();
        }
    }
    let whole = fs::read(&path).unwrap();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).unwrap() % below
    };
    for case in 0..100 {
        let mut broken = whole.clone();
        match case % 4 {
            0 => broken.truncate(random(whole.len())),
            1 => broken[random(4096)] ^= 1 << random(8),
            2 => {
                let page = random(whole.len() / 4096) * 4096;
                broken[page..page + 4096].fill(0);
            }
            _ => {
                let at = random(whole.len() - 64);
                broken[at..at + 64].fill_with(|| u8::try_from(random(256)).unwrap());
            }
        }
        fs::write(&path, &broken).unwrap();
        let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
        for n in 0..1000 {
            // What it says may be an error, or that it does not know; never a panic.
            let _ = store.linked(&link(n));
        }
        let _ = store.link(&[link(5000)]);
    }
}

#[test]
fn somebody_elses_folder_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "precious").unwrap();
    let error = DiskStore::open(folder.path(), Limits::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn any_one_thing_of_ours_tells_a_data_folder() {
    for left in [
        "VERSION",
        "content",
        "wrong",
        "fills",
        "catalog.redb.broken",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(left);
        if left.starts_with(char::is_lowercase) && !left.contains('.') {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, "").unwrap();
        }
        let opened = DiskStore::open(folder.path(), Limits::default());
        assert!(opened.is_ok(), "{left}: {}", opened.err().unwrap());
    }
}

#[test]
fn only_fills_are_dropped_from_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("fills/mine/doc");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "precious").unwrap();
    DiskStore::open(folder.path(), Limits::default()).unwrap();
    assert_eq!(fs::read_to_string(&mine).unwrap(), "precious");
}

#[test]
fn what_is_no_file_in_the_place_of_a_fill_is_not_opened_and_keeps_nobody_from_serving() {
    let folder = tempfile::tempdir().unwrap();
    let fills = folder.path().join("fills/sha256");
    fs::create_dir_all(&fills).unwrap();
    let (foreign, digest) = (folder.path().join("VERSION"), Digest::sha256_of(BYTES));
    let path = |ending| fills.join(format!("{}.{ending}", digest.encoded()));
    let note = r#"{"version":1,"upstream":"u","repository":"r","role":"blob","size":9,"wanted":true,"boot":null,"runs":[[0,1]]}"#;
    let pipe = |path: &Path| {
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    let link = |path: &Path| std::os::unix::fs::symlink(&foreign, path).unwrap();
    let make = |path: &Path| fs::create_dir(path).unwrap();
    for odd in [&pipe as &dyn Fn(&Path), &link, &make] {
        for (place, beside, text) in [("part", "synced", note), ("synced", "part", "bytes")] {
            fs::create_dir_all(&fills).unwrap();
            odd(&path(place));
            fs::write(path(beside), text).unwrap();
            let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
            assert!(store.unfinished().unwrap().is_empty());
            assert_eq!(fs::read_to_string(&foreign).unwrap(), "1\n");
            fs::remove_dir_all(&fills).unwrap();
        }
    }
}
