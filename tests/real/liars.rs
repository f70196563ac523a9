//! Upstreams that lie at the wire, or keep only half of what HTTP asks for: right bytes, or a clean error before the
//! first of them.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::http::send;
use crate::support::mirror::Plan;
use crate::support::scripted::{Asked, Reply, Scripted};
use crate::support::{digest, noise};

const SIZE: usize = 1_000_000;
const HALF: usize = SIZE / 2;

/// What a client got.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    /// All that it asked for, and right.
    Right,
    /// An error of the server's, and nothing else.
    Error,
}

/// One client of a mirror whose upstream answers as `script` says. `from` is where its range begins.
async fn ask(
    what: &str,
    from: Option<usize>,
    script: impl Fn(&Asked, &[u8]) -> Reply + Send + Sync + 'static,
) -> Got {
    let bytes = Arc::new(noise(SIZE as u64, SIZE));
    let told = Arc::clone(&bytes);
    let upstream = Scripted::start(move |asked| script(asked, &told)).await;
    let mirror = Plan::of_url(upstream.url()).patient_for("5s").start().await;
    let path = format!("/v2/library/lie/blobs/{}", digest(&bytes));
    let range = from.map(|from| format!("bytes={from}-"));
    let fields: Vec<_> = range
        .iter()
        .map(|range| ("Range", range.as_str()))
        .collect();
    let download = send(mirror.address, "GET", &path, &fields, b"").await;
    let expected = match download.head.status() {
        Some(200) => &bytes[..],
        Some(206) => &bytes[from.unwrap_or_else(|| panic!("{what}: 206 unasked"))..],
        Some(500..) => return Got::Error,
        _ => panic!("{what}: {:?}", download.head),
    };
    let got = download.compare(expected).await;
    assert!(
        got.is_whole(expected),
        "{what}: {got:?} of {}",
        expected.len()
    );
    Got::Right
}

/// The first answer is cut half-way; then `then` speaks.
fn cut_once(
    then: impl Fn(&Asked, &[u8]) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Asked, &[u8]) -> Reply + Send + Sync + 'static {
    move |asked, bytes| match asked.earlier {
        0 => Reply::honest(asked, bytes).cut_after(HALF),
        _ => then(asked, bytes),
    }
}

/// Honest as long as nobody asks for a range, which is answered with this status.
fn no_ranges(status: u16) -> impl Fn(&Asked, &[u8]) -> Reply + Send + Sync + Copy + 'static {
    move |asked, bytes| match (asked.range, status) {
        (None, _) => Reply::honest(asked, bytes),
        (Some(_), 200) => Reply::new(200, bytes),
        (Some(_), status) => Reply::new(status, b"no ranges here"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_39_an_upstream_without_ranges_is_read_from_the_beginning() {
    for status in [200, 400, 416, 501] {
        let resumed = format!("a range is answered with {status}, after a cut");
        assert_eq!(
            ask(&resumed, None, cut_once(no_ranges(status))).await,
            Got::Right,
            "{resumed}"
        );
        let cold = format!("a range is answered with {status}, at once");
        assert_eq!(
            ask(&cold, Some(HALF), no_ranges(status)).await,
            Got::Right,
            "{cold}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_length_is_right_or_an_error() {
    let chunked = |asked: &Asked, bytes: &[u8]| Reply::honest(asked, bytes).chunked();
    ask("chunked", None, chunked).await;
    ask("chunked, a range", Some(HALF), chunked).await;
    ask("chunked, after a cut", None, cut_once(chunked)).await;
    ask("chunked and cut", None, move |asked, bytes| {
        match asked.earlier {
            0 => chunked(asked, bytes).cut_after(HALF),
            _ => chunked(asked, bytes),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_15_item_13_a_body_that_is_encoded_although_nobody_asked_is_an_error() {
    let got = ask("gzip", None, |_, bytes| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        Reply::new(200, &gzip.finish().unwrap()).field("Content-Encoding", "gzip")
    })
    .await;
    assert_eq!(got, Got::Error);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_size_at_the_second_request_is_a_lie_and_not_the_end() {
    let longer = |asked: &Asked, bytes: &[u8]| match asked.earlier {
        1 => Reply::honest(asked, &[bytes, b"and more"].concat()),
        _ => Reply::honest(asked, bytes),
    };
    assert_eq!(ask("longer", None, cut_once(longer)).await, Got::Right);
    let shorter = |asked: &Asked, bytes: &[u8]| match asked.earlier {
        1 => Reply::honest(asked, &bytes[..HALF + 1000]),
        _ => Reply::honest(asked, bytes),
    };
    assert_eq!(ask("shorter", None, cut_once(shorter)).await, Got::Right);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_address_that_has_expired_is_asked_for_anew() {
    let begun = AtomicBool::new(false);
    let expired = AtomicBool::new(false);
    let script = move |asked: &Asked, bytes: &[u8]| {
        if let Some(signature) = asked.path.strip_prefix("/signed/") {
            let first = signature == "0";
            return match (first, begun.swap(true, Ordering::SeqCst)) {
                (true, false) => Reply::honest(asked, bytes).cut_after(HALF),
                (true, true) => {
                    expired.store(true, Ordering::SeqCst);
                    Reply::new(403, b"expired")
                }
                (false, _) => Reply::honest(asked, bytes),
            };
        }
        // The same address once more after the cut, as a cache in front of the registry would give it.
        let fresh = expired.load(Ordering::SeqCst);
        let signature = if fresh { asked.earlier } else { 0 };
        Reply::new(307, b"").field(
            "Location",
            format!("http://{}/signed/{signature}", asked.host),
        )
    };
    assert_eq!(ask("expired", None, script).await, Got::Right);
}
