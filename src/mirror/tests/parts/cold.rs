//! Parts of what is not here, each for itself.

use super::*;
use crate::mirror::{Asker, MirrorError, Outcome};

#[tokio::test]
async fn a_cold_part_is_a_fetch_of_its_own_in_whole_units() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = house.upstream.serves(&bytes);
    for (range, outcome) in [
        (ByteRange::new(100_000, 100_010), "miss"),
        // It is here with the units around the first one.
        (ByteRange::new(99_500, 100_300), "hit"),
    ] {
        let answer = house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &[part(range)])
            .await
            .unwrap();
        assert!(answer.outcome.word() == outcome, "{:?}", answer.outcome);
        assert_eq!(answer.value.size(), bytes.len() as u64);
        assert!(drain(&answer.value, range).await.0 == cut(&bytes, range));
    }
    assert_eq!(asked(&house, &digest), ["part 99328-100351"]);
    house.settle().await;
    assert!(!house.has(&digest));
    assert_eq!(house.store.unfinished().unwrap()[0].bytes, 1024);
}

#[tokio::test]
async fn a_suffix_is_asked_for_as_one_and_tells_the_size() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = house.upstream.serves(&bytes);
    let size = bytes.len() as u64;
    let blob = begin(&house, &digest, &[RangeSpec::Suffix(100)]).await;
    assert_eq!(blob.size(), size);
    let (read, error) = drain(&blob, ByteRange::new(size - 100, size)).await;
    assert!(error.is_none() && read == bytes[bytes.len() - 100..]);
    // Longer than the blob: all of it.
    let all = begin(&house, &digest, &[RangeSpec::Suffix(size * 2)]).await;
    assert!(drain_all(&all).await.0 == bytes);
    assert_eq!(asked(&house, &digest)[0], "part -100");
    house.settle().await;
    assert!(house.has(&digest));
}

#[tokio::test]
async fn a_suffix_of_no_bytes_asks_for_one_to_learn_the_size() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = house.upstream.serves(&bytes);
    let blob = begin(&house, &digest, &[RangeSpec::Suffix(0)]).await;
    assert_eq!(blob.size(), bytes.len() as u64);
    assert_eq!(asked(&house, &digest), ["part -1"]);
}

#[tokio::test]
async fn an_open_end_is_brought_window_by_window_as_it_is_read() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = house.upstream.serves(&bytes);
    let blob = begin(&house, &digest, &[RangeSpec::From(100 * KIB + 1)]).await;
    let (read, _) = drain(&blob, ByteRange::new(100 * KIB + 1, 107 * KIB)).await;
    assert!(read == cut(&bytes, ByteRange::new(100 * KIB + 1, 107 * KIB)));
    assert_eq!(
        asked(&house, &digest),
        ["part 102400-110591"],
        "the reader may leave"
    );
    // It does not: each window is as long as the run before it.
    let (read, error) = drain(&blob, ByteRange::new(100 * KIB + 1, 400 * KIB)).await;
    assert!(error.is_none() && read == cut(&bytes, ByteRange::new(100 * KIB + 1, 400 * KIB)));
    let windows = [
        (108, 116),
        (116, 132),
        (132, 164),
        (164, 228),
        (228, 292),
        (292, 356),
    ];
    let mut expected: Vec<_> = windows
        .iter()
        .map(|(from, to)| format!("part {}-{}", from * KIB, to * KIB - 1))
        .collect();
    expected.push(format!("from {}", 356 * KIB));
    assert_eq!(asked(&house, &digest)[1..], expected);
}

#[tokio::test]
async fn a_part_outside_of_the_blob_learns_the_size_and_nothing_else() {
    let (house, bytes) = (small(), noise(10_000));
    let digest = house.upstream.serves(&bytes);
    let blob = begin(&house, &digest, &[RangeSpec::FromTo(20_000, 20_009)]).await;
    assert_eq!(blob.size(), 10_000);
    assert_eq!(asked(&house, &digest), ["part 19456-20479"]);
    drop(blob);
    house.settle().await;
    assert!(house.store.unfinished().unwrap().is_empty());
}

#[tokio::test]
async fn parts_are_given_in_the_order_of_asking_and_those_that_touch_are_one_fetch() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = house.upstream.serves(&bytes);
    let ranges = [
        kib(300, 301),
        kib(301, 304),
        kib(10, 11),
        kib(200, 201),
        kib(10, 11),
    ];
    let parts: Vec<_> = ranges.iter().copied().map(part).collect();
    let blob = begin(&house, &digest, &parts).await;
    let Blob::Fill(joined, _) = &blob else {
        panic!("nothing was here")
    };
    let mut follower = joined.follow(ranges.to_vec());
    let (mut all, mut expected) = (Vec::new(), Vec::new());
    while let Some(bytes) = follower.next(1000).await.unwrap() {
        all.extend_from_slice(&bytes);
    }
    for range in ranges {
        expected.extend_from_slice(cut(&bytes, range));
    }
    assert!(all == expected);
    let mut asked = asked(&house, &digest);
    // The first one was asked for before the size was known.
    assert_eq!(asked.remove(0), "part 307200-308223");
    asked.sort();
    let expected =
        [kib(200, 201), kib(301, 304), kib(10, 11)].map(|it| format!("part {}", part(it)));
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_full_pull_after_parts_fetches_the_holes_only() {
    let (house, bytes) = (small(), noise(400 * 1024));
    let digest = house.upstream.serves(&bytes);
    for range in [kib(40, 80), kib(395, 400), kib(100, 101), kib(79, 90)] {
        assert!(
            read(&house, &digest, range).await == cut(&bytes, range),
            "{range:?}"
        );
    }
    let blob = begin(&house, &digest, &[]).await;
    let (read, error) = drain_all(&blob).await;
    assert!(error.is_none() && read == bytes, "{error:?}");
    assert_eq!(
        bytes_asked(&house, &digest, bytes.len() as u64),
        bytes.len() as u64
    );
    house.settle().await;
    assert!(house.has(&digest));
}

#[tokio::test]
async fn a_part_that_upstream_does_not_have_is_its_answer() {
    let (house, digest) = (small(), Digest::sha256_of(b"elsewhere"));
    let answer = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[RangeSpec::From(3)])
        .await;
    let error: MirrorError = answer.err().unwrap();
    assert_eq!(error.outcome(), Outcome::Negative, "{error}");
    house.settle().await;
    assert!(house.store.unfinished().unwrap().is_empty());
}
