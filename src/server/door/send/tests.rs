//! Bodies on a wire, from sources that are slow, cold or broken.
#![allow(clippy::unwrap_used)]

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::*;
use crate::oci::{ByteRange, Digest};
use crate::server::DoorLimits;
use crate::server::door::wire::Wire;
use crate::server::testkit::{connection, parts};

/// Bounds what must not take long; nothing is ordered by it.
const LONG: Duration = Duration::from_secs(20);

/// Pages that only the disk has.
#[derive(Clone)]
struct Cold(Arc<[u8]>);

impl Pages for Cold {
    fn try_read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap().min(self.0.len());
        let read = buffer.len().min(self.0.len() - from);
        buffer[..read].copy_from_slice(&self.0[from..from + read]);
        Ok(read)
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// What the test sends.
struct Told(mpsc::Receiver<Result<Bytes, FillError>>);

impl Runs for Told {
    async fn next_run(&mut self, _: u64) -> Result<Option<Run>, FillError> {
        let bytes = self.0.recv().await.transpose()?;
        Ok(bytes.map(Run::Bytes))
    }
}

/// The fill's end, the client's, and what became of it.
type Following<C> = (
    mpsc::Sender<Result<Bytes, FillError>>,
    C,
    tokio::task::JoinHandle<(BytesMut, Result<(), Broken>)>,
);

/// Follows on `stream` for `length` bytes; also gives what the client sent ahead.
fn followed_on<C>(client: C, mut stream: Stream, length: u64, limits: DoorLimits) -> Following<C> {
    let (chunks, told) = mpsc::channel(1);
    let followed = tokio::spawn(async move {
        let (mut ahead, mut written) = (BytesMut::new(), 0);
        let mut wire = Wire::new(&mut stream, &mut ahead, length, &limits, &mut written);
        let mut told = Told(told);
        let mut sent = follow(&mut told, length, &mut Turn::default(), &mut wire).await;
        if sent.is_ok() {
            sent = ended(&mut told).await;
        }
        (ahead, sent)
    });
    (chunks, client, followed)
}

fn following(length: u64) -> Following<DuplexStream> {
    let (client, stream) = duplex(64);
    followed_on(client, Box::new(stream), length, DoorLimits::default())
}

/// Follows over a real connection.
async fn following_far(length: u64) -> Following<TcpStream> {
    let (client, stream) = connection(None).await;
    followed_on(client, stream, length, DoorLimits::default())
}

/// What a client gets of `length` bytes that `sending` sends, their number as counted, and the result.
async fn wired(
    length: u64,
    sending: impl AsyncFnOnce(&mut Wire<'_>) -> Result<(), Broken>,
) -> (Vec<u8>, u64, Result<(), Broken>) {
    let (mut client, stream) = duplex(1 << 20);
    let (mut stream, mut ahead, mut written): (Stream, _, _) =
        (Box::new(stream), BytesMut::new(), 0);
    let limits = DoorLimits::default();
    let mut wire = Wire::new(&mut stream, &mut ahead, length, &limits, &mut written);
    let sent = sending(&mut wire).await;
    drop(stream);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    (got, written, sent)
}

async fn cold(bytes: &[u8], range: ByteRange) -> (Vec<u8>, u64, Result<(), Broken>) {
    let pages = Cold(bytes.into());
    wired(range.len(), async |wire| {
        send_range(&pages, range, &mut Turn::default(), wire).await
    })
    .await
}

#[tokio::test]
async fn cold_content_is_sent_whole() {
    // More than one buffer, and not a multiple of it.
    let bytes: Vec<u8> = (0..=250).cycle().take(200_001).collect();
    let (got, written, sent) = cold(
        &bytes,
        ByteRange {
            start: 10,
            end: 200_000,
        },
    )
    .await;
    sent.unwrap();
    assert!(got == bytes[10..200_000]);
    assert_eq!(written, 199_990);
}

#[tokio::test]
async fn cold_content_that_ends_early_is_an_error() {
    let (got, written, sent) = cold(b"only this", ByteRange { start: 5, end: 100 }).await;
    assert!(matches!(sent, Err(Broken::Content(_))));
    assert_eq!((got.as_slice(), written), (&b"this"[..], 4));
}

#[tokio::test(start_paused = true)]
async fn a_fill_is_sent_as_it_comes() {
    let (chunks, mut client, followed) = following(10);
    for piece in ["first", "later"] {
        chunks.send(Ok(Bytes::from(piece))).await.unwrap();
        let mut got = [0; 5];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, piece.as_bytes());
    }
    assert!(!followed.is_finished(), "the fill has not ended yet");
    drop(chunks);
    followed.await.unwrap().1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_fails_is_an_error() {
    let (chunks, mut client, followed) = following(10);
    chunks.send(Ok(Bytes::from("first"))).await.unwrap();
    chunks.send(Err(FillError::Abandoned)).await.unwrap();
    assert!(matches!(followed.await.unwrap().1, Err(Broken::Fill(_))));
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"first");
}

#[tokio::test(start_paused = true)]
async fn a_fill_of_another_length_is_an_error_and_no_byte_too_many() {
    for last in [None, Some("too much")] {
        let (chunks, mut client, followed) = following(10);
        chunks.send(Ok(Bytes::from("first"))).await.unwrap();
        if let Some(last) = last {
            chunks.send(Ok(Bytes::from(last))).await.unwrap();
        }
        drop(chunks);
        assert!(matches!(followed.await.unwrap().1, Err(Broken::Response)));
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"first");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_ends_the_following() {
    let (chunks, client, followed) = following(10);
    drop(client);
    chunks.send(Ok(Bytes::from("first"))).await.unwrap();
    assert!(matches!(followed.await.unwrap().1, Err(Broken::Client(_))));
    // The follower is let go of, so that the fill knows.
    chunks.closed().await;
}

#[tokio::test]
async fn a_client_that_resets_is_noticed_before_the_next_byte() {
    let (chunks, mut client, followed) = following_far(10).await;
    chunks.send(Ok(Bytes::from("first"))).await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    let (_, sent) = timeout(LONG, followed).await.unwrap().unwrap();
    assert!(matches!(sent, Err(Broken::Client(_))), "{sent:?}");
    assert!(chunks.is_closed());
}

#[tokio::test]
async fn a_client_that_ends_its_own_side_gets_its_answer() {
    let (chunks, mut client, followed) = following_far(10).await;
    chunks.send(Ok(Bytes::from("first"))).await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();
    client.shutdown().await.unwrap();
    for piece in ["l", "a", "t", "e"] {
        chunks.send(Ok(Bytes::from(piece))).await.unwrap();
        let mut got = vec![0; piece.len()];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, piece.as_bytes());
    }
    assert!(!followed.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_ahead_is_kept() {
    let (chunks, mut client, followed) = following(10);
    client.write_all(b"GET /next").await.unwrap();
    for piece in ["first", "later"] {
        chunks.send(Ok(Bytes::from(piece))).await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
    }
    drop(chunks);
    let (ahead, sent) = followed.await.unwrap();
    sent.unwrap();
    assert_eq!(ahead, "GET /next");
}

#[tokio::test(start_paused = true)]
async fn the_time_a_fill_takes_is_not_the_clients() {
    let limits = DoorLimits {
        min_send_rate: 1000,
        ..DoorLimits::default()
    };
    let (client, stream) = duplex(64);
    let (chunks, mut client, followed) = followed_on(client, Box::new(stream), 10, limits);
    for _ in 0..10 {
        sleep(Duration::from_mins(5)).await;
        chunks.send(Ok(Bytes::from("x"))).await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
    }
    drop(chunks);
    followed.await.unwrap().1.unwrap();
}

/// A frame for two parts of `bytes`, the later one first.
fn two_parts(bytes: &[u8]) -> Multipart {
    let (digest, size) = (Digest::sha256_of(bytes), bytes.len() as u64);
    let ranges = vec![ByteRange::new(5, 10), ByteRange::new(0, 5)];
    Multipart::new(&digest, size, ranges).unwrap()
}

fn are_the_two_parts(frame: &Multipart, body: &[u8]) {
    let expected = [("bytes 5-9/11", "later"), ("bytes 0-4/11", "first")];
    let expected = expected.map(|(range, bytes)| (range.to_owned(), bytes.as_bytes().to_vec()));
    assert_eq!(parts(&frame.content_type(), body), expected);
}

#[tokio::test]
async fn parts_of_cold_content_are_sent_in_their_frame() {
    let (bytes, frame) = (b"firstlater.", two_parts(b"firstlater."));
    let pages = Cold(Arc::from(&bytes[..]));
    let sending =
        async |wire: &mut Wire<'_>| send_parts(&frame, &pages, &mut Turn::default(), wire).await;
    let (got, written, sent) = wired(frame.length(), sending).await;
    sent.unwrap();
    assert_eq!(written, frame.length());
    are_the_two_parts(&frame, &got);
    let truncated = Cold(Arc::from(&bytes[..7]));
    let sending = async |wire: &mut Wire<'_>| {
        send_parts(&frame, &truncated, &mut Turn::default(), wire).await
    };
    let (_, written, sent) = wired(frame.length(), sending).await;
    assert!(matches!(sent, Err(Broken::Content(_))));
    assert!(written < frame.length());
}

#[tokio::test]
async fn parts_of_a_fill_are_sent_in_their_frame_and_end_with_it() {
    let frame = two_parts(b"firstlater.");
    for (pieces, whole) in [
        (&["la", "ter", "first"][..], true),
        (&["later"], false),
        (&["laterfirst"], false),
        (&["later", "first", "x"], false),
    ] {
        let (chunks, told) = mpsc::channel(4);
        for piece in pieces {
            chunks.send(Ok(Bytes::from(*piece))).await.unwrap();
        }
        drop(chunks);
        let sending = async |wire: &mut Wire<'_>| {
            follow_parts(&frame, &mut Told(told), &mut Turn::default(), wire).await
        };
        let (got, written, sent) = wired(frame.length(), sending).await;
        if whole {
            sent.unwrap();
            assert_eq!(written, frame.length());
            are_the_two_parts(&frame, &got);
        } else {
            assert!(matches!(sent, Err(Broken::Response)), "{pieces:?}");
            assert!(written < frame.length(), "{pieces:?}");
        }
    }
}
