//! Going on after a restart: what was noted is not fetched again, and is trusted no further than its digest.

use std::sync::Arc;

use bytes::Bytes;

use super::tags::manifest;
use crate::mirror::testkit::*;
use crate::mirror::{Blob, FillError, FillPolicy, Measures, MirrorError, Outcome};
use crate::oci::{Accepts, ByteRange, Digest, RangeSpec, Reference};
use crate::store::{Contents, MemoryStore, Progress, Role, Store};

const SIZE: usize = 400_000;
const HALF: usize = SIZE / 2;

/// A process over `store`: it notes each byte that comes.
fn process(store: &Arc<MemoryStore>) -> House {
    let measures = Measures {
        noted_at_least: 1,
        noted_at_most: 1,
        ..Measures::default()
    };
    let policy = FillPolicy {
        measures,
        ..policy()
    };
    House::with(Arc::clone(store) as Arc<dyn Store>, policy)
}

/// A process that was killed when it had the first half of a whole pull by the repository `a`.
async fn killed_half_way(store: &Arc<MemoryStore>, bytes: &Bytes, announced: u64) -> Digest {
    let (house, digest) = (process(store), Digest::sha256_of(bytes));
    // The gate is never opened: nothing of that process happens any more.
    let script = halves(bytes, Step::Gate(gate())).announced(Some(announced));
    house.upstream.on_blob(&digest, script);
    let blob = pull(&house, "a", &digest).await.unwrap();
    let half = ByteRange::new(0, HALF as u64);
    assert!(drain(&blob, half).await.0 == bytes[..HALF]);
    digest
}

async fn pull(house: &House, repository: &str, digest: &Digest) -> Result<Blob, MirrorError> {
    let answer = house
        .mirror
        .blob(&Asker::Mirror, &origin(repository), digest, &[])
        .await;
    answer.map(|answer| answer.value)
}

#[tokio::test]
async fn what_was_noted_before_the_process_ended_is_not_fetched_again() {
    let (store, bytes) = (Arc::default(), noise(SIZE));
    let digest = killed_half_way(&store, &bytes, SIZE as u64).await;
    assert_eq!(store.unfinished().unwrap()[0].bytes, HALF as u64);
    let house = process(&store);
    house.upstream.serves(&bytes);
    let blob = pull(&house, "a", &digest).await.unwrap();
    let (read, error) = drain_all(&blob).await;
    assert!(error.is_none() && read == bytes, "{error:?}");
    assert_eq!(
        house.upstream.calls(),
        [format!("GET blob {digest} from {HALF}")]
    );
    house.settle().await;
    assert!(house.has(&digest));
    assert!(store.unfinished().unwrap().is_empty());
}

/// Too small for a note on the way: all fills are noted when the process ends in order.
#[tokio::test]
async fn a_process_that_ends_in_order_notes_all_that_came() {
    let (store, bytes) = (Arc::new(MemoryStore::default()), noise(SIZE));
    let digest = Digest::sha256_of(&bytes);
    let ending = House::over(Arc::clone(&store) as Arc<dyn Store>);
    let script = halves(&bytes, Step::Gate(gate()));
    ending.upstream.on_blob(&digest, script);
    let blob = pull(&ending, "a", &digest).await.unwrap();
    drain(&blob, ByteRange::new(0, HALF as u64)).await;
    assert!(store.unfinished().unwrap().is_empty());
    ending.mirror.fills_noted().await;
    assert_eq!(store.unfinished().unwrap()[0].bytes, HALF as u64);

    let house = process(&store);
    house.upstream.serves(&bytes);
    let blob = pull(&house, "a", &digest).await.unwrap();
    assert!(drain_all(&blob).await.0 == bytes);
    assert_eq!(
        house
            .upstream
            .count(&format!("GET blob {digest} from {HALF}")),
        1
    );
}

#[tokio::test]
async fn parts_that_are_here_from_before_need_no_upstream() {
    let (store, bytes) = (Arc::default(), noise(SIZE));
    let digest = killed_half_way(&store, &bytes, SIZE as u64).await;
    let house = process(&store);
    let part = [RangeSpec::FromTo(1000, 1999)];
    let answer = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &part)
        .await
        .unwrap();
    let (read, error) = drain(&answer.value, ByteRange::new(1000, 2000)).await;
    assert!(error.is_none() && read == bytes[1000..2000]);
    assert!(house.upstream.calls().is_empty());
}

#[tokio::test]
async fn a_fill_that_was_wanted_whole_is_finished_though_only_a_part_is_wanted_now() {
    let (store, bytes) = (Arc::default(), noise(SIZE));
    let digest = killed_half_way(&store, &bytes, SIZE as u64).await;
    let house = process(&store);
    house.upstream.serves(&bytes);
    let part = [RangeSpec::FromTo(0, 9)];
    drop(
        house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &part)
            .await
            .unwrap(),
    );
    house.settle().await;
    assert!(house.has(&digest));
}

#[tokio::test]
async fn what_another_repository_left_needs_upstreams_word() {
    let (store, bytes) = (Arc::default(), noise(SIZE));
    let digest = killed_half_way(&store, &bytes, SIZE as u64).await;
    let house = process(&store);
    house.upstream.serves(&bytes);
    // Upstream does not know it in this repository: no byte goes out, and nothing is lost.
    let part = [RangeSpec::FromTo(0, 9)];
    for parts in [&[][..], &part] {
        let refused = house
            .mirror
            .blob(&Asker::Mirror, &origin("b"), &digest, parts)
            .await;
        assert_eq!(refused.err().unwrap().outcome(), Outcome::Negative);
    }
    let head = format!("HEAD blob {digest}");
    assert_eq!(house.upstream.calls(), [head.clone(), head.clone()]);
    assert_eq!(store.unfinished().unwrap()[0].bytes, HALF as u64);

    house.upstream.has_blob(&origin("c"), &digest, SIZE as u64);
    let blob = pull(&house, "c", &digest).await.unwrap();
    assert!(drain_all(&blob).await.0 == bytes);
    let rest = format!("GET blob {digest} from {HALF}");
    assert_eq!(house.upstream.calls()[2..], [head, rest]);
}

#[tokio::test]
async fn bytes_that_rotted_since_end_in_a_mismatch_and_are_gone() {
    let (store, bytes) = (Arc::default(), noise(SIZE));
    let digest = killed_half_way(&store, &bytes, SIZE as u64).await;
    store.rot_unfinished(&digest, 77);
    let house = process(&store);
    house.upstream.serves(&bytes);
    let blob = pull(&house, "a", &digest).await.unwrap();
    let (read, error) = drain_all(&blob).await;
    assert!(matches!(error, Some(FillError::Mismatch(_))), "{error:?}");
    assert!(read.len() <= SIZE - 64 * 1024, "{} bytes", read.len());
    house.settle().await;
    assert!(!house.has(&digest) && store.unfinished().unwrap().is_empty());

    let later = process(&store);
    later.upstream.serves(&bytes);
    let blob = pull(&later, "a", &digest).await.unwrap();
    assert!(drain_all(&blob).await.0 == bytes);
    let all = format!("GET blob {digest} from 0");
    assert_eq!(later.upstream.calls(), [all]);
}

#[tokio::test(start_paused = true)]
async fn a_noted_size_that_is_not_upstreams_ends_the_fill_and_goes() {
    let (store, bytes) = (Arc::default(), noise(SIZE));
    let digest = killed_half_way(&store, &bytes, SIZE as u64 + 1).await;
    let house = process(&store);
    house.upstream.serves(&bytes);
    let error = pull(&house, "a", &digest).await.err().unwrap();
    assert!(
        matches!(error, MirrorError::Fill(FillError::SizeChanged { .. })),
        "{error:?}"
    );
    assert!(store.unfinished().unwrap().is_empty());
    let blob = pull(&house, "a", &digest).await.unwrap();
    assert!(drain_all(&blob).await.0 == bytes);
}

#[tokio::test]
async fn a_fill_of_which_all_is_here_is_proved_before_it_is_given_whole() {
    for rotten in [false, true] {
        let (store, bytes) = (Arc::new(MemoryStore::default()), noise(SIZE));
        let digest = Digest::sha256_of(&bytes);
        let script = Script::of(vec![Step::Send(bytes.clone()), Step::Gate(gate())]);
        // It is noted as a fill of one byte more, which never comes; then upstream's true size is found.
        let before = process(&store);
        let size = SIZE as u64 + 1;
        before
            .upstream
            .on_blob(&digest, script.announced(Some(size)));
        let blob = pull(&before, "a", &digest).await.unwrap();
        drain(&blob, ByteRange::new(0, SIZE as u64 - 70_000)).await;
        before.mirror.fills_noted().await;
        let progress = store.unfinished().unwrap().remove(0).progress;
        let begun = store.begin(&digest).unwrap();
        let size = SIZE as u64;
        let all = Progress { size, ..progress };
        begun.partial.checkpoint(&all, false).unwrap();
        if rotten {
            store.rot_unfinished(&digest, SIZE - 1);
        }
        let house = process(&store);
        let answer = pull(&house, "a", &digest).await;
        match answer {
            Ok(blob) => assert!(!rotten && drain_all(&blob).await.0 == bytes),
            Err(error) => assert!(
                rotten && matches!(error, MirrorError::Fill(FillError::Mismatch(_))),
                "{error:?}"
            ),
        }
        assert!(house.upstream.calls().is_empty());
    }
}

/// All of a manifest was noted and not committed: what is here is proved by its digest, the right to it is not.
#[tokio::test]
async fn a_manifest_that_another_repository_left_needs_upstreams_word() {
    let (store, bytes) = (Arc::new(MemoryStore::default()), manifest(b"secret"));
    let digest = Digest::sha256_of(bytes.as_bytes());
    let size = bytes.len() as u64;
    let progress = Progress {
        link: crate::mirror::link(&origin("private"), &digest, Role::Manifest),
        size,
        present: [ByteRange::new(0, size)].into_iter().collect(),
        wanted: true,
    };
    let begun = store.begin(&digest).unwrap();
    begun.partial.write_at(0, bytes.as_bytes()).unwrap();
    begun.partial.checkpoint(&progress, false).unwrap();
    drop(begun);
    let house = process(&store);
    let reference = Reference::Digest(digest.clone());
    let theirs = house
        .mirror
        .manifest(
            &Asker::Mirror,
            &origin("theirs"),
            &reference,
            Accepts::MODERN,
        )
        .await;
    assert!(theirs.is_err(), "given out without a question");
    house.upstream.tag("1", bytes.as_bytes());
    let granted = house
        .mirror
        .manifest(
            &Asker::Mirror,
            &origin("granted"),
            &reference,
            Accepts::MODERN,
        )
        .await;
    assert_eq!(granted.unwrap().value.bytes, bytes);
}
