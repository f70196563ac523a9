//! What any store must do: one list of cases, run on every implementation.
//!
//! A case returns its failure instead of panicking, so that the suite itself can be tested on stores that
//! fail ([`faulty`](super::faulty)): a case that cannot fail would be a defect.

#[cfg(test)]
mod faults;
mod fills;
pub(super) mod learnt;
mod retention;
mod room;

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;

use super::{
    Content, Fact, Limits, Link, Origin, Record, RecordKey, Role, Source, Store, StoreError,
    StoreErrorKind,
};
use crate::oci::{Accepts, Digest, MediaType, Verified, Verifier};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

type Case = (&'static str, fn(&dyn Store) -> Outcome);

/// The suite, with [`fills::CASES`]: name and case. Each case brings digests of its own and may run on a used store.
const CASES: &[Case] = &[
    ("absent_content_is_none", absent_content_is_none),
    ("committed_content_reads_back", committed_content_reads_back),
    ("empty_content_is_content", empty_content_is_content),
    (
        "partial_is_invisible_until_commit",
        partial_is_invisible_until_commit,
    ),
    ("a_sparse_partial_reads_back", a_sparse_partial_reads_back),
    ("pieces_are_written_one_after_the_other", pieces_are_written),
    ("what_is_set_aside_is_absent", what_is_set_aside_is_absent),
    (
        "a_proof_of_other_bytes_is_refused",
        a_proof_of_other_bytes_is_refused,
    ),
    (
        "a_source_outlives_commit_and_drop",
        a_source_outlives_commit_and_drop,
    ),
    (
        "a_store_that_takes_bytes_probes_well",
        a_store_that_takes_bytes_probes_well,
    ),
    (
        "records_are_kept_apart_replaced_and_forgotten",
        records_are_kept,
    ),
    ("links_are_kept_apart", links_are_kept_apart),
    ("what_is_public_is_kept", what_is_public_is_kept),
    (
        "what_is_learnt_is_known_at_once",
        learnt::what_is_learnt_is_known_at_once,
    ),
    (
        "what_is_learnt_is_listed_in_its_place",
        learnt::what_is_learnt_is_listed_in_its_place,
    ),
];

/// Runs every case; the names and reasons of those that failed.
pub(crate) fn failures(store: &dyn Store) -> Vec<String> {
    let cases = CASES.iter().chain(fills::CASES);
    cases
        .filter_map(|(name, case)| case(store).err().map(|why| format!("{name}: {why}")))
        .collect()
}

/// Runs every case that needs an empty store, each on one of its own, which `make` makes; the names and reasons of those
/// that failed.
pub(crate) fn failures_of(make: &dyn Fn(Limits) -> Box<dyn Store>) -> Vec<String> {
    let cases = room::CASES.iter().chain(retention::CASES);
    let failed = cases.filter_map(|(name, limits, case)| {
        let store = make(limits());
        let why = case(&*store).err()?;
        Some(format!("{name}: {why}"))
    });
    failed.collect()
}

fn ensure(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// A refusal by rule; a broken disk is no refusal.
fn refused(result: Result<Content, StoreError>, otherwise: &str) -> Outcome {
    match result {
        Err(error) if error.kind() == StoreErrorKind::Misuse => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(otherwise.into()),
    }
}

fn proof(bytes: &[u8]) -> Result<Verified, Box<dyn Error>> {
    let mut verifier = Verifier::of(&Digest::sha256_of(bytes)).ok_or("sha256 is verifiable")?;
    verifier.update(bytes);
    Ok(verifier.finish()?)
}

fn read(source: &Source, size: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(source.read_all(size)?)
}

fn keep(store: &dyn Store, bytes: &[u8]) -> Result<Digest, Box<dyn Error>> {
    let proof = proof(bytes)?;
    let partial = store.begin(proof.digest())?.partial;
    partial.write_at(0, bytes)?;
    partial.commit(&proof)?;
    Ok(proof.digest().clone())
}

fn absent_content_is_none(store: &dyn Store) -> Outcome {
    ensure(
        store.open(&Digest::sha256_of(b"never written"))?.is_none(),
        "absent content was found",
    )
}

fn committed_content_reads_back(store: &dyn Store) -> Outcome {
    let bytes = b"committed content reads back";
    let digest = keep(store, bytes)?;
    // A second commit of the same bytes is no error and changes nothing.
    keep(store, bytes)?;
    let content = store.open(&digest)?.ok_or("committed content is absent")?;
    ensure(content.size() == bytes.len() as u64, "size differs")?;
    ensure(
        read(content.source(), bytes.len())? == bytes,
        "bytes differ",
    )?;
    let mut tail = [0; 64];
    ensure(
        content.source().read_at(10, &mut tail)? == bytes.len() - 10,
        "tail's length differs",
    )?;
    ensure(
        content.source().read_at(1 << 40, &mut tail)? == 0,
        "bytes past the end",
    )
}

fn empty_content_is_content(store: &dyn Store) -> Outcome {
    let digest = keep(store, b"")?;
    let content = store.open(&digest)?.ok_or("empty content is absent")?;
    ensure(content.size() == 0, "empty content has a size")
}

fn partial_is_invisible_until_commit(store: &dyn Store) -> Outcome {
    let bytes = b"partial is invisible until commit";
    let proof = proof(bytes)?;
    let partial = store.begin(proof.digest())?.partial;
    partial.write_at(0, bytes)?;
    ensure(
        store.open(proof.digest())?.is_none(),
        "unverified bytes are visible",
    )?;
    let committed = partial.commit(&proof)?;
    ensure(
        committed.size() == bytes.len() as u64,
        "commit gave another size",
    )?;
    ensure(
        store.open(proof.digest())?.is_some(),
        "committed bytes are not visible",
    )
}

fn a_sparse_partial_reads_back(store: &dyn Store) -> Outcome {
    let bytes = b"head.....tail";
    let proof = proof(bytes)?;
    let partial = store.begin(proof.digest())?.partial;
    partial.write_at(9, b"tail")?;
    let mut tail = [0; 4];
    ensure(
        partial.source().try_read_at(9, &mut tail)? == 4 && &tail == b"tail",
        "tail differs",
    )?;
    partial.write_at(0, b"head.....")?;
    ensure(
        read(&partial.source(), bytes.len())? == bytes,
        "bytes differ",
    )?;
    partial.commit(&proof)?;
    Ok(())
}

fn pieces_are_written(store: &dyn Store) -> Outcome {
    // Empty ones among them.
    let piece = |nth: u32| Bytes::from(nth.to_string().repeat(nth as usize % 4));
    let pieces: Vec<_> = (0..3000).map(piece).collect();
    let bytes = pieces.concat();
    let proof = proof(&bytes)?;
    let partial = store.begin(proof.digest())?.partial;
    let (head, tail) = pieces.split_at(2000);
    let middle: usize = head.iter().map(Bytes::len).sum();
    partial.write_pieces_at(middle as u64, tail)?;
    partial.write_pieces_at(0, head)?;
    ensure(
        read(&partial.source(), bytes.len())? == bytes,
        "bytes differ",
    )?;
    partial.commit(&proof)?;
    Ok(())
}

fn what_is_set_aside_is_absent(store: &dyn Store) -> Outcome {
    let bytes = b"what is set aside is absent";
    let digest = keep(store, bytes)?;
    store.set_aside(&digest)?;
    ensure(store.open(&digest)?.is_none(), "it is still there")?;
    // A second time there is nothing to set aside, and the digest can be filled anew.
    store.set_aside(&digest)?;
    keep(store, bytes)?;
    ensure(store.open(&digest)?.is_some(), "it cannot be filled anew")
}

fn a_proof_of_other_bytes_is_refused(store: &dyn Store) -> Outcome {
    let digest = Digest::sha256_of(b"a proof of other bytes");
    let partial = store.begin(&digest)?.partial;
    partial.write_at(0, b"a proof of other bytes")?;
    refused(
        partial.commit(&proof(b"other")?),
        "another digest's proof was taken",
    )?;
    drop(partial);
    ensure(store.open(&digest)?.is_none(), "refused bytes are visible")?;
    let right = proof(b"a proof of the size")?;
    let partial = store.begin(right.digest())?.partial;
    partial.write_at(0, b"a proof of the size, and more")?;
    refused(partial.commit(&right), "a proof of fewer bytes was taken")?;
    ensure(
        store.open(right.digest())?.is_none(),
        "refused bytes are visible",
    )
}

fn a_source_outlives_commit_and_drop(store: &dyn Store) -> Outcome {
    let bytes = b"a source outlives commit and drop";
    let proof = proof(bytes)?;
    let partial = store.begin(proof.digest())?.partial;
    partial.write_at(0, bytes)?;
    let source = partial.source();
    partial.commit(&proof)?;
    drop(partial);
    ensure(
        read(&source, bytes.len())? == bytes,
        "bytes differ after commit",
    )?;
    let partial = store.begin(&Digest::sha256_of(b"dropped source"))?.partial;
    partial.write_at(0, b"still")?;
    let source = partial.source();
    drop(partial);
    ensure(read(&source, 5)? == b"still", "bytes differ after drop")
}

fn a_store_that_takes_bytes_probes_well(store: &dyn Store) -> Outcome {
    Ok(store.probe()?)
}

fn origin(upstream: &str, repository: &str) -> Result<Origin, Box<dyn Error>> {
    Ok(Origin {
        upstream: Arc::from(upstream),
        repository: repository.parse()?,
    })
}

fn records_are_kept(store: &dyn Store) -> Outcome {
    let key = |upstream, repository, tag: &str| -> Result<RecordKey, Box<dyn Error>> {
        Ok(RecordKey {
            origin: origin(upstream, repository)?,
            tag: tag.parse()?,
            accepts: Accepts::MODERN,
        })
    };
    let record = |text: &str| Record {
        digest: Digest::sha256_of(text.as_bytes()),
        media_type: MediaType::OCI_MANIFEST,
        size: text.len() as u64,
        checked_at: 1_700_000_000,
    };
    let ours = key("docker.io", "library/alpine", "3")?;
    let others = [
        key("ghcr.io", "library/alpine", "3")?,
        key("docker.io", "library/busybox", "3")?,
        key("docker.io", "library/alpine", "latest")?,
    ];
    store.put_record(&ours, &record("first"))?;
    ensure(
        store.record(&ours)? == Some(record("first")),
        "the record differs",
    )?;
    for other in &others {
        ensure(store.record(other)?.is_none(), "another key has our record")?;
    }
    store.put_record(&ours, &record("second"))?;
    ensure(
        store.record(&ours)? == Some(record("second")),
        "the record was not replaced",
    )?;
    store.put_record(&others[0], &record("theirs"))?;
    // Of what is not there any more, too.
    let gone = Fact::Record(ours.clone(), None);
    store.learn(&[gone.clone(), gone]);
    ensure(
        store.record(&ours)?.is_none(),
        "the record was not forgotten",
    )?;
    ensure(
        store.record(&others[0])? == Some(record("theirs")),
        "another record was lost",
    )?;
    Ok(())
}

fn what_is_public_is_kept(store: &dyn Store) -> Outcome {
    let (ours, other) = (
        origin("ghcr.io", "o/shown")?,
        origin("ghcr.io", "o/shown/more")?,
    );
    ensure(!store.is_public(&ours)?, "public from the start")?;
    store.learn(&[Fact::Public(ours.clone(), true)]);
    ensure(store.is_public(&ours)?, "not kept")?;
    ensure(
        !store.is_public(&other)?,
        "another repository is public with it",
    )?;
    store.learn(&[Fact::Public(ours.clone(), false)]);
    ensure(!store.is_public(&ours)?, "public for ever")
}

fn links_are_kept_apart(store: &dyn Store) -> Outcome {
    let link = |upstream, repository, text: &str| -> Result<Link, Box<dyn Error>> {
        let digest = Digest::sha256_of(text.as_bytes());
        Ok(Link {
            origin: origin(upstream, repository)?,
            digest,
            role: Role::Blob,
        })
    };
    let ours = [
        link("docker.io", "library/alpine", "a")?,
        link("docker.io", "library/alpine", "b")?,
    ];
    // One of them twice.
    store.link(&[&ours[..], &ours[..1]].concat())?;
    for known in &ours {
        ensure(store.linked(known)?, "a link was not kept")?;
    }
    for other in [
        link("ghcr.io", "library/alpine", "a")?,
        link("docker.io", "library/busybox", "a")?,
        link("docker.io", "library/alpine", "c")?,
        Link {
            role: Role::Manifest,
            ..ours[0].clone()
        },
    ] {
        ensure(!store.linked(&other)?, "a link that nobody made")?;
    }
    let gone = Fact::Link(ours[0].clone(), false);
    store.learn(&[gone.clone(), gone]);
    ensure(!store.linked(&ours[0])?, "a link for ever")?;
    ensure(store.linked(&ours[1])?, "another link went with it")?;
    store.link(&ours[..1])?;
    ensure(store.linked(&ours[0])?, "a link was not kept again")
}

mod tests;
