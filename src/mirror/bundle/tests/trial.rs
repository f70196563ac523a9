//! Taking in any bytes at all, for those who try what becomes of them.

use std::io::Cursor;

use bytes::Bytes;

use crate::mirror::Names;
use crate::mirror::bundle::{
    BundleError, Calling, StoreHolds, Supply, Tarball, named, plan, survey, take_in,
};
use crate::store::{Limits, MemoryStore, Retention, Verdict};

/// The upstream that there is, and what images are called that have no name.
const UPSTREAM: &str = "docker.io";
const CALLED: &str = "docker.io/library/tried";
/// Bytes that the store holds.
const ROOM: u64 = 4 * 1024 * 1024;

/// Whether a store in memory takes `bytes` in as a bundle.
///
/// # Panics
/// When it then holds what it must not: content that has not its digest, or anything at all of what was refused.
pub(super) fn reads_as_bundle(bytes: &[u8]) -> bool {
    let store = MemoryStore::new(Limits::of(ROOM));
    let bytes = Bytes::copy_from_slice(bytes);
    let supply = Tarball::new(move || Ok(Box::new(Cursor::new(bytes.clone()))));
    let taken = taken_in(&supply, &store);
    let held = store.contents(None, usize::MAX);
    if let Err(error) = &taken {
        assert!(held.is_empty(), "refused ({error}), and kept: {held:?}");
    }
    for content in held {
        let verdict = store.verify(&content.digest, &mut |_| {});
        assert!(matches!(verdict, Ok(Verdict::Right(_))), "{verdict:?}");
    }
    taken.is_ok()
}

fn taken_in(supply: &dyn Supply, store: &MemoryStore) -> Result<(), BundleError> {
    let survey = survey(supply, ROOM, &mut |_| {})?;
    let names = Names::new([(UPSTREAM.to_owned(), UPSTREAM.into())]);
    let called = CALLED.parse().ok();
    let calling = Calling {
        names: &names,
        called: called.as_ref(),
        upstream: Some(UPSTREAM),
    };
    let images = named(&survey, calling)?;
    let plan = plan(&survey, images, &StoreHolds(store), false, 0)?;
    take_in(&plan, supply, store, &mut |_| {}).map(drop)
}
