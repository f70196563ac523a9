//! Joining, leaving and coming late: the life of a fill.

use std::ops::Range;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::mirror::testkit::*;
use crate::mirror::{Blob, Outcome};
use crate::oci::{ByteRange, Digest};

const SIZE: usize = 300_000;

#[tokio::test]
async fn one_digest_one_fill_however_many_clients() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    house
        .upstream
        .on_blob(&digest, halves(&bytes, Step::Gate(Arc::clone(&gate))));
    let clients = (0..32).map(|_| async {
        let answer = house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &[])
            .await
            .unwrap();
        gate.add_permits(1);
        (drain_all(&answer.value).await, answer.outcome)
    });
    let answers = join_all(clients).await;
    assert_eq!(
        answers
            .iter()
            .filter(|(_, outcome)| *outcome == Outcome::Miss)
            .count(),
        1
    );
    assert_eq!(
        answers
            .iter()
            .filter(|(_, outcome)| *outcome == Outcome::Join)
            .count(),
        31
    );
    for ((read, error), _) in answers {
        assert!(read == bytes && error.is_none());
    }
    assert_eq!(
        house.upstream.calls(),
        [format!("GET blob {digest} from 0")]
    );
    house.settle().await;
    let again = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    assert_eq!(again.outcome, Outcome::Hit);
    assert!(drain_all(&again.value).await.0 == bytes);
    assert_eq!(house.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_fill_outlives_its_clients_and_is_not_paced_by_them() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    house
        .upstream
        .on_blob(&digest, halves(&bytes, Step::Gate(Arc::clone(&gate))));
    let first = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    // One client leaves, one stays and never reads.
    let idle = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    drop(first);
    gate.add_permits(1);
    house.settle().await;
    assert!(house.has(&digest));
    // The one that slept reads all of it from where it stands.
    let (read, error) = drain_all(&idle.value).await;
    assert!(read == bytes && error.is_none(), "{error:?}");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_stops_nothing() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes.clone())]));
    // One poll begins the fill; then the client is gone.
    let origin = origin("a");
    assert!(
        house
            .mirror
            .blob(&Asker::Mirror, &origin, &digest, &[])
            .now_or_never()
            .is_none()
    );
    house.settle().await;
    assert!(house.has(&digest));
}

#[tokio::test]
async fn a_late_client_begins_at_byte_0_of_what_is_here() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    house
        .upstream
        .on_blob(&digest, halves(&bytes, Step::Gate(Arc::clone(&gate))));
    let half = (SIZE / 2) as u64;
    let first = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    assert!(drain(&first.value, ByteRange::new(0, half)).await.0 == bytes[..SIZE / 2]);
    // The gate is shut: all that 16 late clients read now is what is here.
    for _ in 0..16 {
        let late = house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &[])
            .await
            .unwrap();
        assert_eq!(late.outcome, Outcome::Join);
        let read = drain(&late.value, ByteRange::new(1000, half)).await;
        assert!(read.0 == bytes[1000..SIZE / 2]);
    }
    gate.add_permits(1);
    assert!(drain_all(&first.value).await.0 == bytes);
    assert_eq!(house.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_blob_of_unknown_size_is_answered_with_its_size_when_it_is_here() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let script = Script::of(vec![Step::Send(bytes.clone())]).announced(None);
    house.upstream.on_blob(&digest, script);
    let blob = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap()
        .value;
    assert_eq!(blob.size(), SIZE as u64);
    assert!(drain_all(&blob).await.0 == bytes);
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let (house, digest) = (house(), Digest::sha256_of(b""));
    house.upstream.on_blob(&digest, Script::of(vec![]));
    let blob = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap()
        .value;
    assert_eq!(blob.size(), 0);
    house.settle().await;
    assert!(house.has(&digest));
}

#[tokio::test]
async fn what_has_arrived_whole_is_kept_before_the_end() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let never = Digest::sha256_of(b"never comes");
    let script = Script::of(vec![Step::Send(noise(10)), Step::Gate(gate())]);
    house
        .upstream
        .on_blob(&never, script.announced(Some(SIZE as u64)));
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes.clone())]));
    // A fill that is still fetching is not waited for.
    house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &never, &[])
        .await
        .unwrap();
    let blob = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    assert!(drain_all(&blob.value).await.0 == bytes);
    house.mirror.commits_ended().await;
    assert!(house.has(&digest));
}

#[tokio::test]
async fn a_follower_of_several_ranges_reads_each_on_its_own_and_in_order() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes.clone())]));
    let answer = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    let Blob::Fill(joined, _) = answer.value else {
        panic!("nothing was here before")
    };
    let wanted = [250_000..250_010, 7..7, 10..20, 20..30, 5..15];
    let range = |range: &Range<usize>| ByteRange::new(range.start as u64, range.end as u64);
    let mut follower = joined.follow(wanted.iter().map(range).collect());
    for range in wanted.into_iter().filter(|range| !range.is_empty()) {
        // More is there in one piece; what is given ends with the range.
        let read = follower.next(SIZE).await.unwrap().unwrap();
        assert!(read == bytes[range.clone()], "{range:?}");
    }
    assert!(follower.next(SIZE).await.unwrap().is_none());
}
