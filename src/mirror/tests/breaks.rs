//! Wrong bytes, broken downloads, dead fetches, a disk that fails: how a fill ends when it does not end well.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use crate::mirror::testkit::*;
use crate::mirror::{FillError, MirrorError, Outcome};
use crate::oci::Digest;
use crate::store::MemoryStore;
use crate::store::faulty::{Fault, Faulty};
use crate::upstream::ErrorKind;

const SIZE: usize = 300_000;
const HELD_BACK: usize = 64 * 1024;

#[tokio::test]
async fn no_client_receives_a_complete_body_whose_digest_is_wrong() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let mut flipped = bytes.to_vec();
    flipped[SIZE / 3] ^= 4;
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(Bytes::from(flipped))]));
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes.clone())]));
    let origin = origin("a");
    let clients =
        join_all((0..8).map(|_| house.mirror.blob(&Asker::Mirror, &origin, &digest, &[]))).await;
    for client in clients {
        // The answer may have begun before the digest was known; then it ends short.
        match client {
            Ok(answer) => {
                let (read, error) = drain_all(&answer.value).await;
                assert!(read.len() <= SIZE - HELD_BACK, "{} bytes", read.len());
                assert!(matches!(error, Some(FillError::Mismatch(_))), "{error:?}");
            }
            Err(error) => {
                assert!(
                    matches!(error, MirrorError::Fill(FillError::Mismatch(_))),
                    "{error:?}"
                );
            }
        }
    }
    house.settle().await;
    assert!(!house.has(&digest));
    let next = house
        .mirror
        .blob(&Asker::Mirror, &origin, &digest, &[])
        .await
        .unwrap();
    assert!(drain_all(&next.value).await.0 == bytes);
}

#[tokio::test]
async fn a_small_wrong_blob_is_an_error_before_the_first_byte() {
    let (house, bytes) = (house(), noise(1000));
    let digest = Digest::sha256_of(b"something else");
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes)]));
    let error = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, MirrorError::Fill(FillError::Mismatch(_))),
        "{error:?}"
    );
    assert!(!house.has(&digest));
}

#[tokio::test]
async fn an_error_reaches_every_follower() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    let script = Script::of(vec![
        Step::Send(bytes.slice(..SIZE / 2)),
        Step::Gate(Arc::clone(&gate)),
        Step::Fail(ErrorKind::Protocol),
    ]);
    house
        .upstream
        .on_blob(&digest, script.announced(Some(SIZE as u64)));
    let origin = origin("a");
    let clients =
        join_all((0..8).map(|_| house.mirror.blob(&Asker::Mirror, &origin, &digest, &[]))).await;
    gate.add_permits(1);
    for client in clients {
        let (read, error) = drain_all(&client.unwrap().value).await;
        assert!(
            read == bytes[..SIZE / 2],
            "what is here is given out: {}",
            read.len()
        );
        let Some(FillError::Upstream(error)) = error else {
            panic!("{error:?}")
        };
        assert_eq!(*error.kind(), ErrorKind::Protocol);
    }
    house.settle().await;
    assert!(!house.has(&digest));
}

#[tokio::test]
async fn a_dropped_fill_is_taken_over_from_where_it_stopped() {
    for knows_ranges in [true, false] {
        let (house, bytes) = (house(), noise(SIZE));
        let digest = Digest::sha256_of(&bytes);
        house.upstream.on_blob(&digest, halves(&bytes, Step::Panic));
        let whole = Script::of(vec![Step::Send(bytes.clone())]);
        house.upstream.on_blob(
            &digest,
            Script {
                knows_ranges,
                ..whole
            },
        );
        let origin = origin("a");
        let clients =
            join_all((0..8).map(|_| house.mirror.blob(&Asker::Mirror, &origin, &digest, &[])))
                .await;
        let reads = clients
            .iter()
            .map(|client| drain_all(&client.as_ref().unwrap().value));
        for (read, error) in join_all(reads).await {
            assert!(read == bytes && error.is_none(), "{error:?}");
        }
        assert_eq!(
            house.upstream.calls(),
            [
                format!("GET blob {digest} from 0"),
                format!("GET blob {digest} from {}", SIZE / 2)
            ]
        );
        house.settle().await;
        assert!(house.has(&digest));
    }
}

#[tokio::test]
async fn a_fill_that_is_dropped_again_and_again_is_given_up() {
    let (house, digest) = (house(), Digest::sha256_of(b"never"));
    for _ in 0..9 {
        let script = Script::of(vec![Step::Send(noise(10)), Step::Panic]);
        house
            .upstream
            .on_blob(&digest, script.announced(Some(SIZE as u64)));
    }
    let blob = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap()
        .value;
    let (_, error) = drain_all(&blob).await;
    assert!(matches!(error, Some(FillError::Abandoned)), "{error:?}");
    assert_eq!(house.upstream.count("GET blob"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_length_that_differs_from_the_announced_one_is_an_error() {
    for announced in [SIZE as u64 - 1, SIZE as u64 + 1] {
        let (house, bytes) = (house(), noise(SIZE));
        let digest = Digest::sha256_of(&bytes);
        // What ends too early is asked for again, and found to end there.
        for _ in 0..20 {
            let script = Script::of(vec![Step::Send(bytes.clone())]);
            house
                .upstream
                .on_blob(&digest, script.announced(Some(announced)));
        }
        let error = match house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &[])
            .await
        {
            Ok(answer) => drain_all(&answer.value).await.1,
            Err(MirrorError::Fill(error)) => Some(error),
            Err(error) => panic!("{error}"),
        };
        // Bytes behind the announced end are not read: those before it are not the digest's.
        let short = matches!(error, Some(FillError::Length { .. }));
        let cut = matches!(error, Some(FillError::Mismatch(_)));
        assert!(
            if announced > SIZE as u64 { short } else { cut },
            "{error:?}"
        );
        house.settle().await;
        assert!(!house.has(&digest));
    }
}

#[tokio::test]
async fn a_failed_commit_costs_the_next_client_and_not_this_one() {
    let bytes = noise(SIZE);
    let digest = Digest::sha256_of(&bytes);
    // The operations of this pull, counted on a store without a fault.
    let clean = Arc::new(Faulty::new(MemoryStore::default(), Fault::None));
    let pull = async |store: Arc<Faulty<MemoryStore>>| {
        let house = House::over(store);
        house
            .upstream
            .on_blob(&digest, Script::of(vec![Step::Send(bytes.clone())]));
        let blob = house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &[])
            .await
            .unwrap()
            .value;
        let read = drain_all(&blob).await;
        house.settle().await;
        (read, house)
    };
    pull(Arc::clone(&clean)).await;
    let commit = clean.last("commit").unwrap();
    let faulty = Arc::new(Faulty::new(MemoryStore::default(), Fault::FailsAt(commit)));
    let ((read, error), house) = pull(faulty).await;
    assert!(read == bytes && error.is_none(), "{error:?}");
    assert!(!house.has(&digest));
    // A sync that failed is not made good by the next one.
    assert!(house.store.unfinished().unwrap().is_empty());
    house
        .upstream
        .on_blob(&digest, Script::of(vec![Step::Send(bytes.clone())]));
    let next = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    assert_eq!(next.outcome, Outcome::Miss);
    assert!(drain_all(&next.value).await.0 == bytes);
}

/// A fill taken over by an answer without a length: the size first announced was wrong, the bytes
/// are right. Whoever follows by the old size must hear of it, not wait for ever.
#[tokio::test(start_paused = true)]
async fn a_size_that_was_never_right_ends_its_followers() {
    let house = house();
    let bytes = noise(300_000);
    let digest = Digest::sha256_of(&bytes);
    let broken = Script::of(vec![Step::Send(bytes.slice(..150_000)), Step::Panic]);
    house
        .upstream
        .on_blob(&digest, broken.announced(Some(300_001)));
    let whole = Script::of(vec![Step::Send(bytes.clone())]).announced(None);
    house.upstream.on_blob(&digest, whole);
    let blob = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap()
        .value;
    let drained = tokio::time::timeout(Duration::from_hours(24), drain_all(&blob)).await;
    assert!(drained.is_ok(), "waited for a day");
}

#[tokio::test(start_paused = true)]
async fn a_download_that_breaks_off_goes_on_from_its_cursor() {
    for knows_ranges in [true, false] {
        let (house, bytes) = (house(), noise(SIZE));
        let digest = Digest::sha256_of(&bytes);
        let half = bytes.slice(..SIZE / 2);
        let broken = Script::of(vec![Step::Send(half), Step::Fail(ErrorKind::Cut)]);
        let whole = Script::of(vec![Step::Send(bytes.clone())]);
        let size = Some(SIZE as u64);
        house.upstream.on_blob(&digest, broken.announced(size));
        house.upstream.on_blob(
            &digest,
            Script {
                knows_ranges,
                ..whole
            },
        );
        let origin = origin("a");
        let clients =
            join_all((0..8).map(|_| house.mirror.blob(&Asker::Mirror, &origin, &digest, &[])))
                .await;
        for client in clients {
            let (read, error) = drain_all(&client.unwrap().value).await;
            assert!(read == bytes && error.is_none(), "{error:?}");
        }
        let from = |at: usize| format!("GET blob {digest} from {at}");
        assert_eq!(house.upstream.calls(), [from(0), from(SIZE / 2)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_brings_nothing_more_is_given_up() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let half = bytes.slice(..SIZE / 2);
    for _ in 0..20 {
        // From its cursor on each further one is empty.
        let broken = Script::of(vec![Step::Send(half.clone()), Step::Fail(ErrorKind::Cut)]);
        let size = Some(SIZE as u64);
        house.upstream.on_blob(&digest, broken.announced(size));
    }
    let blob = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    let (read, error) = drain_all(&blob.value).await;
    assert!(read == half, "what came is given out");
    assert!(matches!(error, Some(FillError::Upstream(_))), "{error:?}");
    assert_eq!(house.upstream.count("GET blob"), 6);
    house.settle().await;
    assert!(!house.has(&digest));
}

#[tokio::test(start_paused = true)]
async fn a_download_that_goes_on_with_another_size_is_an_error() {
    let (house, bytes) = (house(), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let cut = || Step::Fail(ErrorKind::Cut);
    let broken = Script::of(vec![Step::Send(bytes.slice(..SIZE / 2)), cut()]);
    let size = Some(SIZE as u64);
    house.upstream.on_blob(&digest, broken.announced(size));
    for _ in 0..9 {
        let other = Script::of(vec![Step::Send(bytes.slice(..SIZE - 1))]);
        house.upstream.on_blob(&digest, other);
    }
    let blob = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    let (_, error) = drain_all(&blob.value).await;
    assert!(
        matches!(error, Some(FillError::SizeChanged { .. })),
        "{error:?}"
    );
}
