//! Upstreams that answer oddly: what is not told, told wrong, or never told at all.

use std::time::Duration;

use tokio::time::timeout;

use crate::mirror::testkit::*;
use crate::mirror::{Blob, FillError, MirrorError};
use crate::oci::{ByteRange, Digest, RangeSpec};
use crate::upstream::ErrorKind;

const SIZE: usize = 400_000;

/// Long enough for every bounded wait together.
const DAY: Duration = Duration::from_hours(24);

/// `Content-Range: bytes 0-65535/*`, and no HEAD: the size is told by a 200 only.
#[tokio::test(start_paused = true)]
async fn a_part_without_a_size_is_asked_for_a_few_times_at_most() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    for _ in 0..100 {
        let mut script = Script::of(vec![Step::Send(bytes.clone())]);
        script.hides_size = true;
        house.upstream.on_blob(&digest, script);
    }
    let a = origin("a");
    let part = [RangeSpec::FromTo(0, 9)];
    let answer = timeout(DAY, house.mirror.blob(&Asker::Mirror, &a, &digest, &part)).await;
    let answer = answer.expect("waits for ever");
    let calls = house.upstream.count("GET blob");
    assert!(
        calls <= 5,
        "{calls} downloads of the same bytes: {:?}",
        answer.err()
    );
    let (read, error) = drain(&answer.unwrap().value, ByteRange::new(0, 10)).await;
    assert!(error.is_none() && read == bytes[..10], "{error:?}");
}

/// A stream without a length that breaks off is asked for from where it stopped to its end, wherever that is: no
/// server reads a last byte of 2^64.
#[tokio::test(start_paused = true)]
async fn a_blob_of_unknown_size_goes_on_with_an_open_range() {
    for sent in [0, SIZE / 2] {
        let (house, bytes) = (house(), noise(SIZE));
        let digest = Digest::sha256_of(&bytes);
        let steps = vec![Step::Send(bytes.slice(..sent)), Step::Fail(ErrorKind::Cut)];
        house
            .upstream
            .on_blob(&digest, Script::of(steps).announced(None));
        house.upstream.serves(&bytes);
        let blob = house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &[])
            .await
            .unwrap();
        let (read, error) = drain_all(&blob.value).await;
        assert!(error.is_none() && read == bytes, "{error:?}");
        let calls = house.upstream.calls();
        let last = calls.last().unwrap();
        assert_eq!(*last, format!("GET blob {digest} from {sent}"));
    }
}

/// A HEAD that says 0 of a blob that is sent without a length knows nothing.
#[tokio::test]
async fn an_empty_head_of_a_blob_that_is_not_empty_is_not_believed() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let halves = vec![Step::Send(bytes.slice(..9)), Step::Send(bytes.slice(9..))];
    house
        .upstream
        .on_blob(&digest, Script::of(halves).announced(None));
    house.upstream.has_blob(&origin("a"), &digest, 0);
    let blob: Result<_, MirrorError> = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await;
    let blob: Blob = blob.unwrap().value;
    let (read, error): (_, Option<FillError>) = drain_all(&blob).await;
    assert!(error.is_none() && read == bytes, "{error:?}");
}

/// A HEAD that is never answered holds up neither a download without a length nor its clients.
#[tokio::test(start_paused = true)]
async fn a_head_that_hangs_is_waited_for_within_the_bound() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let script = Script::of(vec![Step::Send(bytes.clone())]).announced(None);
    house.upstream.on_blob(&digest, script);
    house.upstream.heads_hang();
    let a = origin("a");
    let answer = timeout(DAY, house.mirror.blob(&Asker::Mirror, &a, &digest, &[])).await;
    let blob = answer.expect("waits for ever").unwrap().value;
    let (read, error) = drain_all(&blob).await;
    assert!(error.is_none() && read == bytes, "{error:?}");
}

/// One repository whose bytes come wrong tells nothing of, and takes nothing from, another one.
#[tokio::test]
async fn wrong_bytes_in_one_repository_hold_no_other_up() {
    let (house, bytes) = (house(), noise(1000));
    let digest = Digest::sha256_of(&bytes);
    for _ in 0..2 {
        let wrong = Step::Send(noise(999));
        house.upstream.on_blob(&digest, Script::of(vec![wrong]));
        let theirs = house
            .mirror
            .blob(&Asker::Mirror, &origin("theirs"), &digest, &[])
            .await;
        assert!(theirs.is_err());
    }
    let again = house
        .mirror
        .blob(&Asker::Mirror, &origin("theirs"), &digest, &[])
        .await;
    assert!(matches!(again, Err(MirrorError::Quarantined(..))));
    house.upstream.serves(&bytes);
    let ours = house
        .mirror
        .blob(&Asker::Mirror, &origin("ours"), &digest, &[])
        .await;
    assert!(ours.is_ok(), "{:?}", ours.err());
}
