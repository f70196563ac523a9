//! Taking a bundle in: bytes into the store, each digest proved once more, then what is known of them.

use super::plan::Plan;
use super::{BundleError, Given, Supply};
use crate::oci::{Digest, Verifier};
use crate::store::{Begun, Partial, Store};

/// Bytes read at once.
const PIECE: usize = 1024 * 1024;

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// Digests that are new here.
    pub new: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// Digests that were here before.
    pub known: u64,
}

/// Carries `plan` out; `tell` hears of the bytes that were read. Each digest becomes content by itself: what was cut off
/// goes on where it stood. Records come last, so that no tag points to what is not here.
pub fn take_in(
    plan: &Plan,
    supply: &dyn Supply,
    store: &dyn Store,
    tell: &mut dyn FnMut(u64),
) -> Result<TakenIn, BundleError> {
    let mut taken = TakenIn::default();
    supply.each(&mut |given| {
        let Given::File(path, size, bytes) = given else {
            return Ok(());
        };
        let Some(digest) = plan.files.get(path) else {
            return Ok(());
        };
        if store.open(digest)?.is_some() {
            taken.known += 1;
            tell(size);
            return Ok(());
        }
        let kept = keep(store, digest, size, |piece| Ok(bytes.read(piece)?), tell);
        kept.map_err(|error| match error {
            BundleError::Rotten(_) => BundleError::entry(
                path,
                "it changed while it was read, or cannot be read right",
            ),
            error => error,
        })?;
        taken.new += 1;
        taken.new_bytes += size;
        Ok(())
    })?;
    for (digest, made) in &plan.made {
        if store.open(digest)?.is_some() {
            taken.known += 1;
            continue;
        }
        let mut left = made.as_slice();
        let read = |piece: &mut [u8]| Ok(std::io::Read::read(&mut left, piece)?);
        keep(store, digest, made.len() as u64, read, &mut |_| {})?;
        taken.new += 1;
        taken.new_bytes += made.len() as u64;
    }
    store.link(&plan.links)?;
    for (key, record) in &plan.records {
        store.put_record(key, record)?;
    }
    Ok(taken)
}

/// Makes `size` bytes content, if they are those of `digest`.
fn keep(
    store: &dyn Store,
    digest: &Digest,
    size: u64,
    mut read: impl FnMut(&mut [u8]) -> Result<usize, BundleError>,
    tell: &mut dyn FnMut(u64),
) -> Result<(), BundleError> {
    let Some(mut verifier) = Verifier::of(digest) else {
        let why = format!("{digest} cannot be verified");
        return Err(BundleError::Whole(why));
    };
    let partial = anew(store, digest)?;
    partial.reserve(size)?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = read(&mut piece)?;
        // Never more than was promised room.
        if length == 0 || verifier.hashed() + length as u64 > size {
            break;
        }
        partial.write_at(verifier.hashed(), &piece[..length])?;
        verifier.update(&piece[..length]);
        tell(length as u64);
    }
    match verifier.finish() {
        Ok(proof) => {
            partial.commit(&proof)?;
            Ok(())
        }
        Err(mismatch) => {
            partial.discard()?;
            Err(mismatch.into())
        }
    }
}

/// An empty file for `digest`: what an earlier download left of it is of no use here.
fn anew(store: &dyn Store, digest: &Digest) -> Result<Box<dyn Partial>, BundleError> {
    let Begun { partial, progress } = store.begin(digest)?;
    if progress.is_none() {
        return Ok(partial);
    }
    partial.discard()?;
    drop(partial);
    Ok(store.begin(digest)?.partial)
}
