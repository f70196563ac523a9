//! What is learnt goes to disk behind whoever waits for it.

#![allow(clippy::unwrap_used)]

use std::sync::Barrier;

use super::DiskStore;
use crate::store::conformance::learnt::tag;
use crate::store::{Catalog, Limits, Link};

#[test]
fn what_was_learnt_is_there_after_it_was_written_down_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let open = || DiskStore::open(folder.path(), Limits::default()).unwrap();
    let (early, late) = (tag("early", 1).unwrap(), tag("late", 1).unwrap());
    let store = open();
    store.learn(std::slice::from_ref(&early.2), Some((&early.0, &early.1)));
    store.write_down().unwrap();
    store.learn(std::slice::from_ref(&late.2), Some((&late.0, &late.1)));
    // As a kill would: nothing is written on the way out.
    drop(store);
    let store = open();
    assert_eq!(store.record(&early.0).unwrap(), Some(early.1));
    assert!(store.linked(&early.2).unwrap());
    assert_eq!(store.record(&late.0).unwrap(), None);
    assert!(!store.linked(&late.2).unwrap());
}

#[test]
fn many_who_learn_at_once_share_their_commits() {
    const THREADS: usize = 32;
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let tags: Vec<_> = (0..THREADS)
        .map(|nth| tag(&format!("t{nth}"), 1).unwrap())
        .collect();
    let together = Barrier::new(THREADS);
    let before = store.catalog.commits();
    std::thread::scope(|scope| {
        for (key, record, link) in &tags {
            let (store, together) = (&store, &together);
            scope.spawn(move || {
                store.learn(std::slice::from_ref(link), Some((key, record)));
                together.wait();
                store.write_down().unwrap();
            });
        }
    });
    // All had learnt before anyone wrote.
    assert_eq!(store.catalog.commits() - before, 1);
    drop(store);
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    for (key, record, link) in tags {
        assert_eq!(store.record(&key).unwrap(), Some(record));
        assert!(store.linked(&link).unwrap());
    }
}

/// What the tables have is not written again.
#[test]
fn what_is_known_costs_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let (_, _, link) = tag("known", 1).unwrap();
    let links: &[Link] = std::slice::from_ref(&link);
    store.learn(links, None);
    store.write_down().unwrap();
    let before = store.catalog.commits();
    store.learn(links, None);
    store.write_down().unwrap();
    assert_eq!(store.catalog.commits(), before);
    store.unlink(links).unwrap();
    store.learn(links, None);
    assert!(store.linked(&link).unwrap());
    store.write_down().unwrap();
    drop(store);
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    assert!(store.linked(&link).unwrap());
}
