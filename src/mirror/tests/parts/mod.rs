//! Parts of blobs: what is asked of upstream for each, and what of it is kept for those who come later.

mod cold;
mod shared;

use std::sync::Arc;

use bytes::Bytes;

use crate::mirror::testkit::*;
use crate::mirror::{Blob, FillPolicy, Measures};
use crate::oci::{ByteRange, Digest, RangeSpec};
use crate::store::MemoryStore;

const KIB: u64 = 1024;

/// Fills laid in units of 1 KiB, with windows from 8 to 64 KiB.
fn small() -> House {
    let measures = Measures {
        hold_back: 4 * KIB,
        unit: KIB,
        window: 8 * KIB,
        widest: 64 * KIB,
        near: 16 * KIB,
        near_at_first: 64 * KIB,
        read_over: 8 * KIB,
        publish_every: 4 * KIB,
        hash_behind: 16 * KIB,
        ..Measures::default()
    };
    let policy = FillPolicy {
        measures,
        ..policy()
    };
    House::with(Arc::new(MemoryStore::default()), policy)
}

fn kib(from: u64, to: u64) -> ByteRange {
    ByteRange::new(from * KIB, to * KIB)
}

fn part(range: ByteRange) -> RangeSpec {
    RangeSpec::FromTo(range.start, range.end - 1)
}

fn cut(bytes: &Bytes, range: ByteRange) -> &[u8] {
    let index = |offset| usize::try_from(offset).unwrap();
    &bytes[index(range.start)..index(range.end)]
}

/// Bytes that upstream was asked for in all.
fn bytes_asked(house: &House, digest: &Digest, size: u64) -> u64 {
    let calls = asked(house, digest);
    let asked = calls.iter().map(|call| {
        if let Some(from) = call.strip_prefix("from ") {
            return size - from.parse::<u64>().unwrap();
        }
        let (first, last) = call.strip_prefix("part ").unwrap().split_once('-').unwrap();
        last.parse::<u64>().unwrap() + 1 - first.parse::<u64>().unwrap()
    });
    asked.sum()
}

/// What upstream was asked of the blob, in order.
fn asked(house: &House, digest: &Digest) -> Vec<String> {
    let prefix = format!("GET blob {digest} ");
    let calls = house.upstream.calls();
    calls
        .iter()
        .filter_map(|it| it.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect()
}

async fn begin(house: &House, digest: &Digest, parts: &[RangeSpec]) -> Blob {
    house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), digest, parts)
        .await
        .unwrap()
        .value
}

/// One client's part, from its request to its last byte.
async fn read(house: &House, digest: &Digest, range: ByteRange) -> Vec<u8> {
    let blob = begin(house, digest, &[part(range)]).await;
    let (bytes, error) = drain(&blob, range).await;
    assert!(error.is_none(), "{error:?}");
    bytes
}
