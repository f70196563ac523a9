//! How long a door waits, for what, and what happens then.

use std::time::Duration;

use http::Response;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use crate::server::testkit::{Script, Visit};
use crate::server::{Body, DoorLimits, End};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_refused_at_its_deadline() {
    let (handler, _reports) = Script::echo();
    let Visit {
        client,
        served,
        cut: _cut,
        stop: _stop,
    } = Visit::new(&handler);
    let (mut reading, mut writing) = tokio::io::split(client.0);
    let began = Instant::now();
    // Each byte comes well before any time-out that begins anew with every byte.
    let trickle = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
            if tokio::io::AsyncWriteExt::write_all(&mut writing, &[*byte])
                .await
                .is_err()
            {
                return;
            }
            sleep(seconds(2)).await;
        }
        panic!("never refused");
    });
    let mut answer = String::new();
    reading.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.ends_with("refused: HeadTooSlow"), "{answer}");
    assert_eq!(began.elapsed(), seconds(30));
    served.await.unwrap();
    trickle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_without_a_word() {
    let began = Instant::now();
    assert_eq!(Visit::talk(&Script::echo().0, "").await, "");
    assert_eq!(began.elapsed(), seconds(30));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_without_a_word() {
    let (handler, _reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    visit.client.get("/").await;
    visit.client.answer().await;
    let began = Instant::now();
    assert_eq!(visit.client.rest().await, "");
    assert_eq!(began.elapsed(), seconds(75));
}

#[tokio::test(start_paused = true)]
async fn an_empty_line_behind_a_request_begins_no_other() {
    let (handler, _reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    visit
        .client
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n")
        .await;
    visit.client.answer().await;
    // Nor do more of them keep the connection.
    sleep(seconds(50)).await;
    visit.client.send("\r\n").await;
    let began = Instant::now();
    assert_eq!(visit.client.rest().await, "");
    assert_eq!(began.elapsed(), seconds(25));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_connection_that_sent_an_empty_line() {
    let (handler, _reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    visit
        .client
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n")
        .await;
    visit.client.answer().await;
    let began = Instant::now();
    visit.stop.send_replace(true);
    visit.served.await.unwrap();
    assert_eq!(began.elapsed(), seconds(0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_left() {
    let (handler, mut reports) = Script::always(|| Response::new(vec![b'x'; 4096].into()));
    let mut visit = Visit::with(&handler, DoorLimits::default(), 1024);
    let began = Instant::now();
    visit.client.get("/").await;
    let (_, sent) = reports.recv().await.unwrap();
    assert_eq!(began.elapsed(), seconds(60));
    assert!(sent.end == End::Left);
    assert!(sent.bytes < 1024, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_is_served() {
    let (handler, mut reports) = Script::always(|| Response::new(vec![b'x'; 640].into()));
    let mut visit = Visit::with(&handler, DoorLimits::default(), 64);
    visit.client.get("/").await;
    visit.client.head().await;
    let began = Instant::now();
    // One write of the door, ten steps of the client, each within the time it has.
    let mut taken = [0; 64];
    for _ in 0..10 {
        sleep(seconds(50)).await;
        visit.client.0.read_exact(&mut taken).await.unwrap();
    }
    let (_, sent) = reports.recv().await.unwrap();
    assert!(sent.end == End::Whole, "{sent:?}");
    assert_eq!(began.elapsed(), seconds(500));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_too_little_is_left() {
    let limits = |min_send_rate| DoorLimits {
        min_send_rate,
        ..DoorLimits::default()
    };
    // What a connection holds is taken at once, so the first window is a good one.
    for (rate, end, taken_until) in [(7, End::Left, 60), (6, End::Whole, 90)] {
        let (handler, mut reports) = Script::always(|| Response::new(vec![b'x'; 640].into()));
        let mut visit = Visit::with(&handler, limits(rate), 64);
        visit.client.get("/").await;
        visit.client.head().await;
        let began = Instant::now();
        // 64 bytes each time, as many as the connection holds: 6.4 in a second.
        for _ in 0..taken_until / 10 {
            sleep(seconds(10)).await;
            visit.client.bytes(64).await;
        }
        let (_, sent) = reports.recv().await.unwrap();
        assert_eq!(began.elapsed(), seconds(taken_until));
        assert_eq!(sent.end, end);
        assert_eq!(sent.bytes == 640, end == End::Whole, "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_an_idle_connection_at_once() {
    let (handler, _reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    visit.client.get("/").await;
    visit.client.answer().await;
    let began = Instant::now();
    visit.stop.send_replace(true);
    visit.served.await.unwrap();
    assert_eq!(began.elapsed(), seconds(0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_a_request_begun_have_its_answer() {
    let (handler, _reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    visit.client.send("GET / HTTP/1.1\r\nHo").await;
    tokio::task::yield_now().await;
    visit.stop.send_replace(true);
    visit.client.send("st: a\r\n\r\n").await;
    let answer = visit.client.rest().await;
    assert!(answer.contains("connection: close") || answer.contains("Connection: close"));
    assert!(answer.ends_with("GET / a"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_an_answer_half_way() {
    let (handler, mut reports) = Script::always(|| Response::new(Body::from(vec![b'x'; 4096])));
    let mut visit = Visit::with(&handler, DoorLimits::default(), 1024);
    visit.client.get("/").await;
    visit.client.head().await;
    let began = Instant::now();
    visit.cut.send_replace(true);
    visit.served.await.unwrap();
    assert_eq!(began.elapsed(), seconds(0));
    let (_, sent) = reports.recv().await.unwrap();
    assert!(sent.end == End::Left && sent.bytes < 4096, "{sent:?}");
    assert!(reports.try_recv().is_err());
}
