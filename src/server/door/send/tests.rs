//! Bodies on a wire, from sources that are slow, cold or broken.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::*;

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
}

/// What the test sends.
struct Told(mpsc::Receiver<Result<Bytes, FillError>>);

impl Chunks for Told {
    async fn next(&mut self, _: usize) -> Result<Option<Bytes>, FillError> {
        self.0.recv().await.transpose()
    }
}

/// Follows on a wire for `length` bytes; gives the fill's end, the client's, and what became of it.
type Following = (
    mpsc::Sender<Result<Bytes, FillError>>,
    DuplexStream,
    tokio::task::JoinHandle<Result<(), Broken>>,
);

fn following(length: u64) -> Following {
    let (chunks, told) = mpsc::channel(1);
    let (client, stream) = duplex(64);
    let followed = tokio::spawn(async move {
        let (mut stream, mut written): (Stream, _) = (Box::new(stream), 0);
        let mut wire = Wire::new(&mut stream, length, Duration::from_mins(1), &mut written);
        follow(Told(told), &mut wire).await
    });
    (chunks, client, followed)
}

async fn cold(bytes: &[u8], range: ByteRange) -> (Vec<u8>, u64, Result<(), Broken>) {
    let (mut client, stream) = duplex(1 << 20);
    let (mut stream, mut written): (Stream, _) = (Box::new(stream), 0);
    let mut wire = Wire::new(
        &mut stream,
        range.len(),
        Duration::from_mins(1),
        &mut written,
    );
    let sent = send_range(&Cold(bytes.into()), range, &mut wire).await;
    drop(stream);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    (got, written, sent)
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
    followed.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_fails_is_an_error() {
    let (chunks, mut client, followed) = following(10);
    chunks.send(Ok(Bytes::from("first"))).await.unwrap();
    chunks.send(Err(FillError::Abandoned)).await.unwrap();
    assert!(matches!(followed.await.unwrap(), Err(Broken::Fill(_))));
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
        assert!(matches!(followed.await.unwrap(), Err(Broken::Response)));
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
    assert!(matches!(followed.await.unwrap(), Err(Broken::Client(_))));
    // The follower is let go of, so that the fill knows.
    chunks.closed().await;
}
