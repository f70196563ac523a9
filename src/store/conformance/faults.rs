//! Whatever operation fails, in whatever way: what must hold, holds. On disk the same is shown call by call, by
//! `tests/faults`.

use super::retention::key;
use super::room::{LATER, manifest, within};
use super::{Outcome, ensure, fills, keep, proof};
use crate::oci::{Digest, MediaType};
use crate::store::faulty::{Fault, Faulty};
use crate::store::{Limits, MemoryStore, Reason, Record, Store, StoreErrorKind};

/// Less than the life below brings.
fn limits() -> Limits {
    Limits::of(400)
}

/// A fill that reserves its room; its file goes when it fails.
fn fill(store: &dyn Store, n: u8) -> Outcome {
    let bytes = [n; 100];
    let proof = proof(&bytes)?;
    let partial = store.begin(proof.digest())?.partial;
    partial.reserve(100)?;
    let done = partial
        .write_at(0, &bytes[..50])
        .and_then(|()| partial.write_at(50, &bytes[50..]))
        .and_then(|()| partial.commit(&proof));
    if done.is_err() {
        partial.discard()?;
    }
    done?;
    Ok(())
}

/// Goes through all that a store does, and on after each failure.
fn live(store: &dyn Store) -> Outcome {
    let layer = Digest::sha256_of(&[0; 100]);
    let head = manifest(&[&layer]);
    let digest = Digest::sha256_of(&head);
    let record = Record {
        digest: digest.clone(),
        media_type: MediaType::OCI_MANIFEST,
        size: head.len() as u64,
        checked_at: LATER,
    };
    let latest = key("a/b", "latest")?;
    let steps: [&dyn Fn() -> Outcome; 12] = [
        &|| fill(store, 0),
        &|| keep(store, &head).map(drop),
        &|| Ok(store.put_record(&latest, &record)?),
        &|| fills::leave(store, b"left behind, and gone first").map(drop),
        &|| Ok(store.pin("kept", std::slice::from_ref(&digest))?),
        &|| (1..6).try_for_each(|n| fill(store, n)),
        &|| Ok(store.set_aside(&Digest::sha256_of(&[5; 100]))?),
        &|| Ok(store.verify(&layer, &mut |_| ()).map(drop)?),
        &|| Ok(store.unpin("kept").map(drop)?),
        &|| {
            let garbage = store.collectable(LATER, 0, None)?;
            let garbage: Vec<_> = garbage.into_iter().map(|it| it.digest).collect();
            Ok(store.remove(&garbage, Reason::Gc).map(drop)?)
        },
        &|| fill(store, 7),
        &|| Ok(store.note_uses()?),
    ];
    for step in steps {
        // What failed is no matter, but what is left of it.
        let _ = step();
        within(store)?;
    }
    Ok(())
}

/// What a life may leave.
fn holds(store: &dyn Store) -> Outcome {
    let usage = store.usage();
    within(store)?;
    ensure(usage.reserved_bytes == 0, "something is reserved")?;
    let unfinished = store.unfinished()?;
    let left: u64 = unfinished.iter().map(|it| it.bytes).sum();
    ensure(usage.fills_bytes >= left, "a fill does not count")?;
    ensure(unfinished.len() <= 1, "a fill that failed is left")?;
    let known = (0..8).map(|n| vec![n; 100]);
    let head = manifest(&[&Digest::sha256_of(&[0; 100])]);
    let (mut count, mut bytes) = (0, 0);
    for expected in known.chain([head]) {
        if let Some(content) = store.open(&Digest::sha256_of(&expected))? {
            let found = content.source().read_all(expected.len())?;
            ensure(
                found == expected && content.size() == found.len() as u64,
                "wrong bytes",
            )?;
            count += 1;
            bytes += content.size();
        }
    }
    ensure(
        (usage.content_count, usage.content_bytes) == (count, bytes),
        &format!("miscounted: {usage:?}, not {count} and {bytes}"),
    )?;
    // And it goes on.
    fill(store, 9)?;
    within(store)
}

#[test]
fn every_fault_leaves_what_holds() {
    let make = || MemoryStore::new(limits());
    let clean = Faulty::new(make(), Fault::None);
    live(&clean).unwrap();
    holds(clean.inner()).unwrap();
    let operations = clean.operations();
    assert!(operations > 40, "a short life: {operations}");
    let kinds = [
        StoreErrorKind::Io,
        StoreErrorKind::Full,
        StoreErrorKind::ReadOnly,
    ];
    for nth in 1..=operations {
        let faults = kinds.map(|kind| Fault::FailsSo(nth, kind));
        for fault in faults.into_iter().chain([Fault::CutsShort(nth)]) {
            let store = Faulty::new(make(), fault);
            let done = live(&store).and_then(|()| holds(store.inner()));
            assert!(done.is_ok(), "{fault:?}: {}", done.unwrap_err());
        }
    }
}
