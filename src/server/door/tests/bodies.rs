//! Bodies through the whole door.

use http::StatusCode;
use tokio::io::AsyncReadExt;

use crate::mirror::Who;
use crate::server::End;
use crate::server::testkit::{Script, Visit, content_response};

#[tokio::test(start_paused = true)]
async fn content_is_sent_whole_and_the_connection_kept() {
    // More than one buffer, and not a multiple of it.
    let bytes: Vec<u8> = (0..=250).cycle().take(200_001).collect();
    let expected = bytes[10..200_000].to_vec();
    let (handler, mut reports) = Script::always(move || content_response(&bytes, 10, 200_000));
    let mut visit = Visit::new(&handler);
    for _ in 0..2 {
        visit.client.get("/").await;
        visit.client.head().await;
        let mut got = vec![0; expected.len()];
        visit.client.0.read_exact(&mut got).await.unwrap();
        assert!(got == expected);
        let (_, sent) = reports.recv().await.unwrap();
        assert!(sent.end == End::Whole);
        assert_eq!(sent.bytes, expected.len() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_body_is_cut_short() {
    let (handler, mut reports) = Script::always(|| content_response(b"only this", 0, 100));
    let mut visit = Visit::new(&handler);
    visit.client.get("/").await;
    let answer = visit.client.rest().await;
    assert!(answer.contains("ength: 100\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nonly this"), "{answer}");
    let sent = reports.recv().await.unwrap().1;
    assert_eq!((sent.status, sent.bytes), (StatusCode::OK, 9));
    let End::Broken(fault) = sent.end else {
        panic!("{sent:?}")
    };
    assert_eq!(fault.who, Who::Store);
    assert!(fault.reason.contains("could not be read"), "{fault:?}");
    visit.served.await.unwrap();
}
