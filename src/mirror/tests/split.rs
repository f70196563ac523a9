//! An upstream that is slow per connection: a large blob comes over several.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::mirror::testkit::*;
use crate::oci::Digest;
use crate::upstream::ErrorKind;

const MIB: usize = 1024 * 1024;
const SIZE: usize = 48 * MIB;
/// Bytes a second of a connection.
const PACE: u64 = 8 * MIB as u64;

/// All of `bytes`, or any part of it, at the pace of a connection.
fn slow(bytes: &Bytes) -> Script {
    Script {
        pace: Some(PACE),
        ..Script::of(vec![Step::Send(bytes.clone())])
    }
}

/// Pulls the blob that the house's upstream has scripts for; what that took.
async fn pull(house: &House, bytes: &Bytes) -> Duration {
    let (began, digest) = (Instant::now(), Digest::sha256_of(bytes));
    let answer = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    let (read, error) = drain_all(&answer.value).await;
    assert!(error.is_none() && read == *bytes, "{error:?}");
    let took = began.elapsed();
    house.settle().await;
    assert!(house.has(&digest));
    took
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_is_slow_per_connection_comes_over_three() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    for _ in 0..6 {
        house.upstream.on_blob(&digest, slow(&bytes));
    }
    let took = pull(&house, &bytes).await;
    // Six seconds over one.
    assert!(took < Duration::from_millis(3_500), "{took:?}");
    let calls = house.upstream.calls();
    assert_eq!(calls[0], format!("GET blob {digest} from 0"));
    assert!((3..=6).contains(&calls.len()), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_more_that_fails_harms_nobody() {
    let fails = |kind| Script::of(vec![Step::Fail(kind)]).announced(Some(SIZE as u64));
    let ignores = |bytes: &Bytes| Script {
        knows_ranges: false,
        ..slow(bytes)
    };
    let bytes = noise(SIZE);
    let digest = Digest::sha256_of(&bytes);
    let (shorter, rotten) = (bytes.slice(1..), bytes.slice(..SIZE - MIB));
    for help in [
        fails(ErrorKind::Cut),
        fails(ErrorKind::Status(503)),
        ignores(&bytes),
        slow(&shorter),
        slow(&rotten),
    ] {
        let house = house();
        house.upstream.on_blob(&digest, slow(&bytes));
        house.upstream.on_blob(&digest, help);
        let took = pull(&house, &bytes).await;
        let calls = house.upstream.calls();
        assert_eq!(calls.len(), 2, "{calls:?}");
        let alone = Duration::from_secs((SIZE as u64).div_ceil(PACE));
        assert!(took < alone + Duration::from_millis(300), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_whole_or_upstream_cannot_cut_comes_over_one() {
    let bytes = noise(SIZE);
    let digest = Digest::sha256_of(&bytes);
    let house = house();
    let script = Script {
        knows_ranges: false,
        ..slow(&bytes)
    };
    house.upstream.on_blob(&digest, script);
    pull(&house, &bytes).await;
    assert_eq!(house.upstream.calls().len(), 1);
}
