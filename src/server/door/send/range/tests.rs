//! Ranges of files over real sockets.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Plain;
use proptest::prelude::*;
use rustix::fs::ftruncate;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::server::DoorLimits;
use crate::server::door::wire::Wire;
use crate::server::testkit::{connection, content_on_disk};
use crate::store::Content;

/// The bytes counted, and the result.
type Sending = JoinHandle<(u64, Result<(), Broken>)>;

/// Bounds what must not take long; nothing is ordered by it.
const LONG: Duration = Duration::from_secs(20);

const MIB: usize = 1024 * 1024;

/// A file, and how many of its bytes were copied.
#[derive(Clone)]
struct Watched {
    content: Content,
    /// Its pages are said to be in memory.
    near: bool,
    copied: Arc<AtomicU64>,
    // Gone with the last clone; until then the file has its name.
    _folder: Arc<TempDir>,
}

impl Watched {
    fn new(bytes: &[u8], near: bool) -> Self {
        let (folder, content) = content_on_disk(bytes);
        Self {
            content,
            near,
            copied: Arc::default(),
            _folder: Arc::new(folder),
        }
    }

    fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }
}

impl Pages for Watched {
    fn try_read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.near {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = self.content.source().try_read_at(offset, buffer)?;
        if buffer.len() > 1 {
            self.copied.fetch_add(read as u64, Ordering::Relaxed);
        }
        Ok(read)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.source().read_at(offset, buffer)?;
        self.copied.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        self.content.source().descriptor()
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The whole of a file.
fn all(pages: &Watched) -> ByteRange {
    ByteRange::new(0, pages.content.size())
}

/// Sends `range`.
fn sending(mut stream: Stream, pages: Watched, range: ByteRange, limits: DoorLimits) -> Sending {
    tokio::spawn(async move {
        let (mut ahead, mut written) = (BytesMut::new(), 0);
        let mut wire = Wire::new(&mut stream, &mut ahead, range.len(), &limits, &mut written);
        let mut sent = send_range(&pages, range, &mut Turn::default(), &mut wire).await;
        if sent.is_ok() {
            sent = wire.flush().await.map_err(Broken::Client);
        }
        (written, sent)
    })
}

/// What a client gets that reads all, and what [`sending`] gives.
async fn received(pages: &Watched, range: ByteRange) -> (Vec<u8>, u64, Result<(), Broken>) {
    let (mut client, stream) = connection(None).await;
    let sending = sending(stream, pages.clone(), range, DoorLimits::default());
    let mut got = Vec::new();
    let reading = timeout(LONG, client.read_to_end(&mut got)).await;
    reading.expect("the connection ends").unwrap();
    let (written, sent) = sending.await.unwrap();
    (got, written, sent)
}

#[tokio::test]
async fn what_is_in_memory_is_hardly_copied_and_what_is_not_never_blocks_the_thread() {
    let bytes = noise(8 * MIB);
    for near in [true, false] {
        let pages = Watched::new(&bytes, near);
        let (got, written, sent) = received(&pages, all(&pages)).await;
        sent.unwrap();
        assert!(got == bytes);
        assert_eq!(written, bytes.len() as u64);
        if near {
            assert!(pages.copied() < written / 4, "{}", pages.copied());
        } else {
            assert_eq!(pages.copied(), written);
        }
    }
}

#[tokio::test]
async fn a_file_cut_short_is_an_error_and_never_a_hang() {
    let bytes = noise(2 * MIB);
    for left in [0, 100, MIB, 2 * MIB - 1] {
        let pages = Watched::new(&bytes, true);
        let range = all(&pages);
        ftruncate(pages.file().unwrap(), left as u64).unwrap();
        let (got, written, sent) = received(&pages, range).await;
        assert!(matches!(sent, Err(Broken::Content(_))), "{left}: {sent:?}");
        // What was counted may wait for a flush that an error does not bring.
        assert!(written <= left as u64);
        assert!(got == bytes[..got.len()] && got.len() as u64 <= written);
    }
}

#[tokio::test]
async fn a_file_cut_short_under_way_is_an_error() {
    let bytes = noise(8 * MIB);
    let pages = Watched::new(&bytes, true);
    let (mut client, stream) = connection(Some(16 * 1024)).await;
    let sending = sending(stream, pages.clone(), all(&pages), DoorLimits::default());
    client.read_exact(&mut [0; 1000]).await.unwrap();
    ftruncate(pages.file().unwrap(), MIB as u64).unwrap();
    let mut got = Vec::new();
    let reading = timeout(LONG, client.read_to_end(&mut got)).await;
    reading.expect("the connection ends").unwrap();
    let (written, sent) = sending.await.unwrap();
    assert!(matches!(sent, Err(Broken::Content(_))), "{sent:?}");
    assert!(written < bytes.len() as u64);
}

#[tokio::test]
async fn a_file_unlinked_under_way_is_sent_whole() {
    let bytes = noise(4 * MIB);
    let (folder, content) = content_on_disk(&bytes);
    let (mut client, mut stream) = connection(Some(16 * 1024)).await;
    let sending = tokio::spawn(async move {
        let (limits, range) = (DoorLimits::default(), ByteRange::new(0, content.size()));
        let (mut ahead, mut written) = (BytesMut::new(), 0);
        let mut wire = Wire::new(&mut stream, &mut ahead, range.len(), &limits, &mut written);
        send_range(content.source(), range, &mut Turn::default(), &mut wire).await?;
        wire.flush().await.map_err(Broken::Client)
    });
    let mut got = vec![0; 1000];
    client.read_exact(&mut got).await.unwrap();
    folder.close().unwrap();
    client.read_to_end(&mut got).await.unwrap();
    sending.await.unwrap().unwrap();
    assert!(got == bytes);
}

#[tokio::test]
async fn a_client_that_resets_ends_it() {
    let pages = Watched::new(&noise(8 * MIB), true);
    let (mut client, stream) = connection(Some(16 * 1024)).await;
    let sending = sending(stream, pages.clone(), all(&pages), DoorLimits::default());
    client.read_exact(&mut [0; 1000]).await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    let (written, sent) = timeout(LONG, sending).await.unwrap().unwrap();
    assert!(matches!(sent, Err(Broken::Client(_))), "{sent:?}");
    assert!(written < pages.content.size());
}

#[tokio::test]
async fn a_client_that_ends_its_own_side_gets_all() {
    let bytes = noise(4 * MIB);
    let pages = Watched::new(&bytes, true);
    let (mut client, stream) = connection(None).await;
    client.shutdown().await.unwrap();
    let sending = sending(stream, pages.clone(), all(&pages), DoorLimits::default());
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    sending.await.unwrap().1.unwrap();
    assert!(got == bytes);
}

#[tokio::test]
async fn no_byte_beyond_the_promise_leaves() {
    let bytes = noise(MIB);
    let pages = Watched::new(&bytes, true);
    let (mut client, mut stream) = connection(None).await;
    let promised = bytes.len() as u64 / 2;
    let limits = DoorLimits::default();
    let (mut ahead, mut written) = (BytesMut::new(), 0);
    let mut wire = Wire::new(&mut stream, &mut ahead, promised, &limits, &mut written);
    let sent = send_range(&pages, all(&pages), &mut Turn::default(), &mut wire).await;
    assert!(matches!(sent, Err(Broken::Client(_))), "{sent:?}");
    drop(stream);
    assert!(written <= promised);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert!(got.len() as u64 <= promised && got == bytes[..got.len()]);
}

/// Sends a large file over a socket that holds little; the client's end, and what becomes of it.
fn sending_near(limits: DoorLimits) -> (UnixStream, Sending) {
    let pages = Watched::new(&noise(8 * MIB), true);
    let (client, stream) = UnixStream::pair().unwrap();
    let stream = Box::new(Plain::from(stream));
    let range = all(&pages);
    (client, sending(stream, pages, range, limits))
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let (_client, sending) = sending_near(DoorLimits::default());
    let began = tokio::time::Instant::now();
    let Err(Broken::Client(error)) = sending.await.unwrap().1 else {
        panic!("sent")
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let stall = DoorLimits::default().write_stall;
    assert!((stall..stall * 2).contains(&began.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_too_little_is_given_up() {
    // It takes 6.5 kB/s.
    for (min_send_rate, suffices) in [(20_000, false), (1_000, true)] {
        let limits = DoorLimits {
            min_send_rate,
            ..DoorLimits::default()
        };
        let (mut client, sending) = sending_near(limits);
        let mut taken = vec![0; 64 * 1024];
        let mut rounds = 0;
        while client.read_exact(&mut taken).await.is_ok() {
            rounds += 1;
            sleep(Duration::from_secs(10)).await;
        }
        let (_, sent) = sending.await.unwrap();
        if suffices {
            sent.unwrap();
            assert_eq!(rounds, 8 * MIB / taken.len());
        } else {
            let Err(Broken::Client(error)) = sent else {
                panic!("{sent:?}")
            };
            assert!(error.to_string().contains("too few bytes"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_body_gives_way_once_a_turn_however_many_ranges_it_has() {
    let mut turn = Turn::default();
    for _ in 0..3 {
        for _ in 1..TURN / STRETCH {
            assert!(turn.used(STRETCH).now_or_never().is_some());
        }
        assert!(turn.used(STRETCH).now_or_never().is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_client_gets_just_the_bytes_of_the_range(
        size in 1..3 * MIB,
        cut in (0.0..1.0, 0.0..1.0),
        buffers in prop::option::of(2_000_u32..300_000),
        piece in 1_000_usize..200_000,
        near: bool,
    ) {
        let (a, b) = (at(size, cut.0), at(size, cut.1));
        let range = ByteRange::new(a.min(b) as u64, a.max(b) as u64 + 1);
        let bytes = noise(size);
        let expected = &bytes[a.min(b)..=a.max(b)];
        let pages = Watched::new(&bytes, near);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (got, written) = runtime.block_on(async {
            let (mut client, stream) = connection(buffers).await;
            let sending = sending(stream, pages, range, DoorLimits::default());
            let (mut got, mut taken) = (Vec::new(), vec![0; piece]);
            loop {
                match client.read(&mut taken).await.unwrap() {
                    0 => break,
                    read => got.extend_from_slice(&taken[..read]),
                }
            }
            let (written, sent) = sending.await.unwrap();
            sent.unwrap();
            (got, written)
        });
        prop_assert_eq!(written, range.len());
        prop_assert!(got == expected);
    }
}

/// The place that is this share of `size`.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "any place will do"
)]
fn at(size: usize, share: f64) -> usize {
    ((size as f64 * share) as usize).min(size - 1)
}
