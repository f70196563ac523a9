//! Each kind of body, whole and broken.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::mirror::FillError;
use crate::server::testkit::{
    Reports, Script, Visit, content, content_response, fill_error, follower,
};
use crate::server::{Body, Sent};

/// More than one buffer, and not a multiple of it.
fn many_bytes() -> Vec<u8> {
    (0..200_001_u32).map(|at| (at % 251) as u8).collect()
}

/// A handler that follows one fill, with `length` bytes promised, and the fill's end of it.
fn following(length: u64) -> (Arc<Script>, Reports, mpsc::Sender<Result<Bytes, FillError>>) {
    let (chunks, taken) = mpsc::channel(1);
    let once = Mutex::new(Some(follower(taken)));
    let (handler, reports) = Script::always(move || {
        let response = Response::builder().header("content-length", length);
        let body = Body::Follow(once.lock().take().unwrap());
        response.body(body).unwrap()
    });
    (handler, reports, chunks)
}

#[tokio::test]
async fn content_is_sent_whole_warm_or_cold() {
    for cold in [false, true] {
        let bytes = many_bytes();
        let (from, to) = (10, bytes.len() - 10);
        let expected = bytes[from..to].to_vec();
        let (handler, mut reports) =
            Script::always(move || content_response(content(&bytes, cold), from as u64, to as u64));
        let mut visit = Visit::new(&handler);
        for _ in 0..2 {
            visit.client.get("/").await;
            visit.client.head().await;
            let mut got = vec![0; expected.len()];
            visit.client.0.read_exact(&mut got).await.unwrap();
            assert!(got == expected);
            let (_, sent) = reports.recv().await.unwrap();
            assert!(sent.complete);
            assert_eq!(sent.bytes, expected.len() as u64);
        }
    }
}

#[tokio::test]
async fn content_that_ends_early_is_a_body_cut_short() {
    for cold in [false, true] {
        let (handler, mut reports) =
            Script::always(move || content_response(content(b"only this", cold), 0, 100));
        let mut visit = Visit::new(&handler);
        visit.client.get("/").await;
        let answer = visit.client.rest().await;
        assert!(answer.contains("ength: 100\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nonly this"), "{answer}");
        let sent = Sent {
            status: StatusCode::OK,
            bytes: 9,
            complete: false,
        };
        assert_eq!(reports.recv().await.unwrap().1, sent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_is_sent_as_it_comes() {
    let (handler, mut reports, chunks) = following(10);
    let mut visit = Visit::new(&handler);
    visit.client.get("/").await;
    // Before there is any byte of the body, the client has the head.
    visit.client.head().await;
    for piece in ["first", "later"] {
        chunks.send(Ok(Bytes::from(piece))).await.unwrap();
        let mut got = [0; 5];
        visit.client.0.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, piece.as_bytes());
    }
    assert!(reports.try_recv().is_err(), "the fill has not ended yet");
    drop(chunks);
    assert!(reports.recv().await.unwrap().1.complete);
}

#[tokio::test(start_paused = true)]
async fn a_broken_fill_is_a_body_cut_short() {
    for end in [
        Some(Err(fill_error())),
        Some(Ok(Bytes::from("too much"))),
        None,
    ] {
        let (handler, mut reports, chunks) = following(10);
        let mut visit = Visit::new(&handler);
        visit.client.get("/").await;
        visit.client.head().await;
        chunks.send(Ok(Bytes::from("first"))).await.unwrap();
        if let Some(end) = end {
            chunks.send(end).await.unwrap();
        }
        drop(chunks);
        assert_eq!(visit.client.rest().await, "first");
        let (_, sent) = reports.recv().await.unwrap();
        assert!(!sent.complete);
        assert_eq!(sent.bytes, 5);
        visit.served.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_without_a_length_is_not_sent() {
    let (handler, mut reports) =
        Script::always(|| Response::new(Body::Follow(follower(mpsc::channel(1).1))));
    let mut visit = Visit::new(&handler);
    visit.client.get("/").await;
    assert_eq!(visit.client.rest().await, "");
    assert!(!reports.recv().await.unwrap().1.complete);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_is_noticed() {
    let (handler, mut reports, chunks) = following(10);
    let mut visit = Visit::new(&handler);
    visit.client.get("/").await;
    visit.client.head().await;
    drop(visit.client);
    chunks.send(Ok(Bytes::from("first"))).await.unwrap();
    let (_, sent) = reports.recv().await.unwrap();
    assert!(!sent.complete);
    // The follower is let go of, so that the fill knows.
    chunks.closed().await;
}
