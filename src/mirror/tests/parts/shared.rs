//! Parts of a fill that others read from: who waits for whom, and how many fetches it takes.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::advance;

use super::*;
use crate::upstream::ErrorKind;

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

/// A pull that has brought 100 of 400 KiB, and stands.
async fn pull_under_way(house: &House, bytes: &Bytes) -> (Digest, Blob, Arc<Semaphore>) {
    let (digest, gate) = (Digest::sha256_of(bytes), gate());
    let script = Script::of(vec![
        Step::Send(bytes.slice(..100 * 1024)),
        Step::Gate(Arc::clone(&gate)),
        Step::Send(bytes.slice(100 * 1024..)),
    ]);
    house.upstream.on_blob(&digest, script);
    house.upstream.serves(bytes);
    let whole = begin(house, &digest, &[]).await;
    drain(&whole, kib(0, 100)).await;
    (digest, whole, gate)
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_fetch_that_stands_still_looks_again() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let (digest, whole, gate) = pull_under_way(&house, &bytes).await;
    // At the pace shown so far it comes at once. Nothing comes any more, and nothing tells so.
    assert!(read(&house, &digest, kib(300, 301)).await == cut(&bytes, kib(300, 301)));
    assert_eq!(asked(&house, &digest), ["from 0", "part 307200-308223"]);
    gate.add_permits(1);
    assert!(drain_all(&whole).await.0 == bytes);
}

#[tokio::test(start_paused = true)]
async fn what_a_fetch_brings_within_three_seconds_is_waited_for() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let (digest, whole, gate) = pull_under_way(&house, &bytes).await;
    // 20 KiB/s: 60 KiB come within 3 s.
    advance(Duration::from_secs(5)).await;
    {
        let near = read(&house, &digest, kib(159, 160));
        tokio::pin!(near);
        assert!(near.as_mut().now_or_never().is_none());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked(&house, &digest), ["from 0"]);
        let far = read(&house, &digest, kib(161, 162)).await;
        assert!(far == cut(&bytes, kib(161, 162)));
        assert_eq!(asked(&house, &digest), ["from 0", "part 164864-165887"]);
        gate.add_permits(1);
        assert!(near.await == cut(&bytes, kib(159, 160)));
    }
    assert!(drain_all(&whole).await.0 == bytes);
    assert_eq!(house.upstream.count("GET blob"), 2);
}

#[tokio::test(start_paused = true)]
async fn at_most_four_fetches_bring_one_blob_at_once() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = Digest::sha256_of(&bytes);
    let gates: Vec<_> = (0..8).map(|_| gate()).collect();
    for gate in &gates {
        house.upstream.on_blob(
            &digest,
            Script::of(vec![
                Step::Gate(Arc::clone(gate)),
                Step::Send(bytes.clone()),
            ]),
        );
    }
    let ranges: Vec<_> = (0..8).map(|nth| kib(nth * 50, nth * 50 + 1)).collect();
    let mut readers: Vec<_> = ranges
        .iter()
        .map(|it| Box::pin(read(&house, &digest, *it)))
        .collect();
    for under_way in [4, 5, 6, 7, 8] {
        // Nothing comes, however often they are woken.
        for reader in &mut readers {
            for _ in 0..20 {
                assert!(reader.as_mut().now_or_never().is_none());
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(house.upstream.count("GET blob"), under_way);
        if under_way == 8 {
            break;
        }
        // One comes to its end; its reader has what it came for.
        gates[under_way - 4].add_permits(1);
        let read = readers.remove(0).await;
        assert!(read == cut(&bytes, ranges[under_way - 4]));
    }
    for gate in &gates {
        gate.add_permits(1);
    }
    for (read, range) in join_all(readers).await.iter().zip(&ranges[4..]) {
        assert!(read == cut(&bytes, *range));
    }
}

#[tokio::test]
async fn an_upstream_that_ignores_ranges_serves_all_readers_from_one_stream() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    let script = halves(&bytes, Step::Gate(Arc::clone(&gate)));
    house.upstream.on_blob(
        &digest,
        Script {
            knows_ranges: false,
            ..script
        },
    );
    let ranges: Vec<_> = (0..10)
        .map(|nth| kib(399 - nth * 40, 400 - nth * 40))
        .collect();
    let first = begin(&house, &digest, &[part(ranges[0])]).await;
    let readers = ranges.iter().map(|range| read(&house, &digest, *range));
    let opened = async {
        gate.add_permits(1);
        drain_all(&begin(&house, &digest, &[]).await).await
    };
    let (reads, (whole, error)) = futures_util::join!(join_all(readers), opened);
    for (read, range) in reads.iter().zip(&ranges) {
        assert!(read == cut(&bytes, *range), "{range:?}");
    }
    assert!(error.is_none() && whole == bytes);
    assert!(drain(&first, ranges[0]).await.0 == cut(&bytes, ranges[0]));
    assert_eq!(asked(&house, &digest), ["part 408576-409599"]);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_is_asked_for_from_where_it_stopped() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = Digest::sha256_of(&bytes);
    // It tells the size, and sends a piece; then it is cut off.
    for end in [100, 250] {
        let script = Script::of(vec![
            Step::Send(bytes.slice(..end * 1024)),
            Step::Fail(ErrorKind::Cut),
        ]);
        house
            .upstream
            .on_blob(&digest, script.announced(Some(bytes.len() as u64)));
    }
    house.upstream.serves(&bytes);
    let range = kib(40, 390);
    assert!(read(&house, &digest, range).await == cut(&bytes, range));
    let part = |from: u64| format!("part {}-{}", from * KIB, 390 * KIB - 1);
    assert_eq!(asked(&house, &digest), [part(40), part(100), part(250)]);
}

#[tokio::test]
async fn an_upstream_that_sends_less_than_asked_is_asked_for_the_rest() {
    for whole in [false, true] {
        let (house, bytes) = (small(), noise(400 * 1024));
        for _ in 0..3 {
            let script = Script::of(vec![Step::Send(bytes.clone())]);
            let falls_short = Some(50 * KIB);
            let digest = Digest::sha256_of(&bytes);
            house.upstream.on_blob(
                &digest,
                Script {
                    falls_short,
                    ..script
                },
            );
        }
        let digest = house.upstream.serves(&bytes);
        let range = kib(40, 390);
        if whole {
            assert!(read(&house, &digest, kib(0, 1)).await == cut(&bytes, kib(0, 1)));
            let blob = begin(&house, &digest, &[]).await;
            assert!(drain_all(&blob).await.0 == bytes);
            assert_eq!(
                asked(&house, &digest),
                ["part 0-1023", "from 1024", "from 52224", "from 103424"]
            );
        } else {
            assert!(read(&house, &digest, range).await == cut(&bytes, range));
            let part = |from: u64| format!("part {}-{}", from * KIB, 390 * KIB - 1);
            assert_eq!(
                asked(&house, &digest),
                [part(40), part(90), part(140), part(190)]
            );
        }
    }
}

/// Each of them looks for itself when something has come, and not for all the others too: that took seconds a piece.
#[tokio::test]
async fn readers_that_wait_cost_little_however_many_they_are() {
    let (house, bytes) = (small(), noise(4000 * 1024));
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    for _ in 0..8 {
        let (before, after) = (bytes.slice(..1), bytes.slice(1..));
        let steps = [
            Step::Send(before),
            Step::Gate(Arc::clone(&gate)),
            Step::Send(after),
        ];
        house.upstream.on_blob(&digest, Script::of(steps.into()));
    }
    let first = begin(&house, &digest, &[part(kib(0, 1))]).await;
    let Blob::Fill(joined, _) = &first else {
        panic!("it is content already");
    };
    let mut followers: Vec<_> = (0..2000)
        .map(|nth| joined.follow(vec![kib(nth * 2, nth * 2 + 1)]))
        .collect();
    let began = Instant::now();
    for _ in 0..4 {
        for follower in &mut followers {
            let _ = follower.next(1024).now_or_never();
        }
        tokio::task::yield_now().await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

/// Who waits for the first byte stands in the line for fetches, too.
#[tokio::test(start_paused = true)]
async fn who_wants_all_has_a_turn_among_readers_of_parts() {
    let (house, bytes) = (small(), noise(4000 * 1024));
    let digest = Digest::sha256_of(&bytes);
    let gate = gate();
    for _ in 0..200 {
        let steps = [Step::Gate(Arc::clone(&gate)), Step::Send(bytes.clone())];
        house.upstream.on_blob(&digest, Script::of(steps.into()));
    }
    // Each of them always wants another part.
    let areas: Vec<Vec<_>> = (1..=6)
        .map(|area| {
            (0..20)
                .map(|nth| kib(area * 600 + nth * 20, area * 600 + nth * 20 + 1))
                .collect()
        })
        .collect();
    let mut readers: Vec<_> = areas
        .iter()
        .map(|ranges| {
            let specs: Vec<_> = ranges.iter().map(|it| part(*it)).collect();
            let (house, digest) = (&house, &digest);
            Box::pin(async move {
                let Blob::Fill(joined, _) = begin(house, digest, &specs).await else {
                    panic!("it is content already");
                };
                let mut follower = joined.follow(ranges.clone());
                while follower.next(1024).await.unwrap().is_some() {}
            })
        })
        .collect();
    let mut all = Box::pin(begin(&house, &digest, &[]));
    let from_0 = |asked: Vec<String>| {
        asked
            .iter()
            .any(|it| it.starts_with("part 0-") || it == "from 0")
    };
    for _ in 0..12 {
        for _ in 0..20 {
            readers.retain_mut(|it| it.as_mut().now_or_never().is_none());
            let _ = all.as_mut().now_or_never();
            tokio::task::yield_now().await;
        }
        if from_0(asked(&house, &digest)) {
            return;
        }
        gate.add_permits(1);
    }
    panic!("{:?}", asked(&house, &digest));
}
