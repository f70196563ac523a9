//! Many ranges in one request, as partial pulls ask for them: exactly those parts, in the order they were asked for
//! (RFC 9110, sections 14.6 and 15.3.7.2).

use std::net::SocketAddr;

use crate::support::cold::ColdBlob;
use crate::support::http::{Answer, send};

/// As many as anybody asks for at once.
const PARTS: usize = 1024;
const STEP: usize = 16 * 1024;
const SIZE: usize = PARTS * STEP;

/// A part: where it begins, and what was sent for it.
type Part<'a> = (usize, &'a [u8]);

/// The parts of a `multipart/byteranges` body, in the order they came.
fn parts(answer: &Answer) -> Vec<Part<'_>> {
    let kind = answer.head.field("content-type").unwrap_or_default();
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap_or_else(|| panic!("not in parts: {:?}", answer.head));
    let boundary = format!("--{}", boundary.trim_matches('"'));
    let mut parts = Vec::new();
    let mut rest = &answer.body[..];
    loop {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        rest = rest
            .strip_prefix(boundary.as_bytes())
            .unwrap_or_else(|| panic!("no boundary behind part {}", parts.len()));
        if rest.starts_with(b"--") {
            return parts;
        }
        let end = rest
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        let range = head
            .lines()
            .find_map(|line| line.strip_prefix("content-range: bytes "))
            .unwrap_or_else(|| panic!("a part without a range: {head}"));
        let (range, size) = range.split_once('/').unwrap();
        assert_eq!(size, SIZE.to_string());
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let (bytes, behind) = rest[end + 4..].split_at(last + 1 - first);
        parts.push((first, bytes));
        rest = behind;
    }
}

/// One in each step, of every length from 1 byte on.
fn upwards() -> Vec<(usize, usize)> {
    let steps = (0..PARTS).map(|number| number * STEP);
    (0..)
        .zip(steps)
        .map(|(number, first)| (first, first + number))
        .collect()
}

/// In an order of their own, some side by side: neither sorted nor joined.
fn scattered() -> Vec<(usize, usize)> {
    let steps = (0..PARTS).map(|number| number * 397 % PARTS);
    steps
        .map(|number| (number * STEP, (number + 1) * STEP - 1 - number % 2))
        .collect()
}

/// Asks for these parts (first and last byte of each) and gets exactly them.
async fn gets(from: SocketAddr, cold: &ColdBlob, wanted: &[(usize, usize)]) {
    let list: Vec<_> = wanted
        .iter()
        .map(|(first, last)| format!("{first}-{last}"))
        .collect();
    let range = format!("bytes={}", list.join(","));
    let fields = [("Range", range.as_str())];
    let answer = send(from, "GET", &cold.path, &fields, b"")
        .await
        .whole()
        .await;
    assert_eq!(answer.status(), 206, "{:?}", answer.head);
    assert!(answer.complete);
    let expected: Vec<Part> = wanted
        .iter()
        .map(|(first, last)| (*first, &cold.bytes[*first..=*last]))
        .collect();
    let got = parts(&answer);
    assert_eq!(got.len(), expected.len());
    for (number, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert!(
            got == expected,
            "part {number}: at {}, wanted at {}",
            got.0,
            expected.0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_32_34_38_a_thousand_parts_of_a_cold_and_of_a_cached_blob() {
    let cold = ColdBlob::of(SIZE).await;
    gets(cold.mirror.address, &cold, &upwards()).await;
    // What the client asks for at once is asked upstream one by one.
    let ranges: Vec<_> = cold
        .upstream
        .tap
        .requests()
        .into_iter()
        .filter_map(|it| it.range)
        .collect();
    assert!(
        !ranges.is_empty() && ranges.iter().all(|range| !range.contains(',')),
        "{ranges:?}"
    );
    let got = cold.open().await.compare(&cold.bytes).await;
    assert!(got.is_whole(&cold.bytes), "{got:?}");
    let crossed = cold.upstream.tap.blob_bytes();
    assert!(
        crossed <= (SIZE + SIZE / 20) as u64,
        "{crossed} of {SIZE} bytes"
    );

    cold.upstream.tap.forget();
    gets(cold.mirror.address, &cold, &scattered()).await;
    assert_eq!(cold.upstream.tap.blob_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_itself_gives_the_same_parts() {
    let cold = ColdBlob::of(SIZE).await;
    for wanted in [upwards(), scattered()] {
        gets(cold.upstream.tap.address(), &cold, &wanted).await;
    }
}
