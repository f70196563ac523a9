//! The suite on every store, and on stores that it must find out.

use super::super::faulty::{Fault, Faulty};
use super::super::{Catalog, Contents, DiskStore, Limits, MemoryStore};
use super::*;

#[test]
fn the_memory_store_conforms() {
    assert_eq!(failures(&MemoryStore::default()), Vec::<String>::new());
}

#[test]
fn the_disk_store_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    assert_eq!(failures(&store), Vec::<String>::new());
}

#[test]
fn the_memory_store_keeps_its_room() {
    let make = |limits| Box::new(MemoryStore::new(limits)) as Box<dyn Store>;
    assert_eq!(failures_of(&make), Vec::<String>::new());
}

#[test]
fn the_disk_store_keeps_its_room() {
    let folders = std::cell::RefCell::new(Vec::new());
    let make = |limits| {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path(), limits).unwrap();
        folders.borrow_mut().push(folder);
        Box::new(store) as Box<dyn Store>
    };
    assert_eq!(failures_of(&make), Vec::<String>::new());
}

#[test]
fn a_failure_of_any_operation_fails_the_suite() {
    let clean = Faulty::new(MemoryStore::default(), Fault::None);
    assert_eq!(failures(&clean), Vec::<String>::new());
    let operations = clean.operations();
    assert!(
        operations > 50,
        "the suite exercises the store: {operations}"
    );
    for nth in 1..=operations {
        let faulty = Faulty::new(MemoryStore::default(), Fault::FailsAt(nth));
        // What is not learnt may also be told to a later case, when it writes.
        assert_ne!(
            failures(&faulty),
            Vec::<String>::new(),
            "operation {nth} failed unseen"
        );
    }
}

#[test]
fn a_store_that_lies_fails_the_suite() {
    for lie in [
        Fault::LosesCommits,
        Fault::LosesCheckpoints,
        Fault::KeepsFills,
        Fault::FlipsABit,
        Fault::LosesRecords,
        Fault::WritesNothingDown,
        Fault::KnowsNothing,
        Fault::LinksAll,
        Fault::LinksForEver,
    ] {
        let faulty = Faulty::new(MemoryStore::default(), lie);
        assert_ne!(failures(&faulty), Vec::<String>::new(), "{lie:?}");
    }
}

#[test]
fn a_store_that_takes_no_more_bytes_still_gives_and_removes() {
    let kind = StoreErrorKind::Full;
    // Begin, write, checkpoint; begin, write, commit.
    let store = Faulty::new(MemoryStore::default(), Fault::FailsFrom(7, kind));
    let (digest, left) = fills::leave(&store, b"before the disk was full").unwrap();
    let kept = keep(&store, b"kept before the disk was full").unwrap();
    for trouble in [
        store.begin(&digest).err(),
        store.probe().err(),
        store.link(&[left.link]).err(),
    ] {
        assert_eq!(trouble.unwrap().kind(), kind);
    }
    assert!(store.open(&kept).unwrap().is_some());
    assert_eq!(store.unfinished().unwrap().len(), 1);
    store.drop_unfinished(&digest).unwrap();
    assert_eq!(store.unfinished().unwrap().len(), 0);
}
