//! Parts of blobs: what is asked of upstream for each, and what of it is kept for those who come later.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::advance;

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
        .blob(&origin("a"), digest, parts)
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

/// A fetch whose way is cut by a part, and that reads over it, hashes only what it brings itself.
#[tokio::test(start_paused = true)]
async fn a_fetch_that_reads_over_what_is_here_leaves_the_hash_right() {
    let house = small();
    let bytes = noise(400 * 1024);
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    let half = 100 * 1024;
    house.upstream.on_blob(
        &digest,
        Script::of(vec![
            Step::Send(bytes.slice(..half)),
            Step::Gate(Arc::clone(&gate)),
            Step::Send(bytes.slice(half..)),
        ]),
    );
    house.upstream.serves(&bytes);
    let whole = begin(&house, &digest, &[]).await;
    let (first, _) = drain(&whole, kib(0, 100)).await;
    assert!(first == bytes[..half]);
    // At this pace the 300th KiB comes in 20 s.
    advance(Duration::from_secs(10)).await;
    assert!(read(&house, &digest, kib(300, 304)).await == cut(&bytes, kib(300, 304)));
    gate.add_permits(1);
    let (all, error) = drain_all(&whole).await;
    assert!(error.is_none(), "{error:?}");
    assert!(all == bytes);
    assert_eq!(asked(&house, &digest), ["from 0", "part 307200-311295"]);
}
