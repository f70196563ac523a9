//! Requests as clients, and those who are none, send them.

use http::{Response, StatusCode};

use crate::server::testkit::{Script, Visit, field};
use crate::server::{Body, End, Sent};

async fn echoed(request: impl AsRef<[u8]>) -> String {
    Visit::talk(&Script::echo().0, request).await
}

fn is_refused(answer: &str, status: u16, why: &str) {
    let start = format!("HTTP/1.1 {status} ");
    assert!(answer.starts_with(&start), "{answer}");
    assert_eq!(field(answer, "connection"), Some("close"), "{answer}");
    assert!(answer.ends_with(&format!("refused: {why}")), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_many_requests() {
    let (handler, mut reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    for path in ["/one", "/two", "/three"] {
        visit.client.get(path).await;
        let (head, body) = visit.client.answer().await;
        assert_eq!(body, format!("GET {path} a"));
        assert_eq!(field(&head, "connection"), Some("keep-alive"));
        assert!(field(&head, "date").unwrap().ends_with(" GMT"));
        let sent = Sent {
            status: StatusCode::OK,
            bytes: body.len() as u64,
            end: End::Whole,
        };
        assert_eq!(reports.recv().await, Some((path.to_owned(), sent)));
    }
    drop(visit.client);
    visit.served.await.unwrap();
    assert!(reports.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn requests_sent_ahead_are_answered_in_order() {
    let (handler, _reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    let ahead = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HT";
    visit.client.send(ahead).await;
    assert_eq!(visit.client.answer().await.1, "GET /1 a");
    assert_eq!(visit.client.answer().await.1, "GET /2 a");
    visit.client.send("TP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(visit.client.answer().await.1, "GET /3 a");
}

#[tokio::test(start_paused = true)]
async fn garbage_behind_a_request_is_refused_after_its_answer() {
    let answers = echoed("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\0\u{1}garbage\r\n\r\n").await;
    let (first, second) = answers.split_once("GET /1 a").unwrap();
    assert!(first.starts_with("HTTP/1.1 200 "));
    is_refused(second, 400, "Malformed");
}

#[tokio::test(start_paused = true)]
async fn a_head_has_the_length_and_no_body() {
    let (handler, mut reports) = Script::always(|| {
        let response = Response::builder().header("content-length", "1234");
        response.body(Body::Empty).unwrap()
    });
    let mut visit = Visit::new(&handler);
    for _ in 0..2 {
        visit
            .client
            .send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        let head = visit.client.head().await;
        assert_eq!(field(&head, "content-length"), Some("1234"));
        assert_eq!(field(&head, "connection"), Some("keep-alive"));
        let sent = reports.recv().await.unwrap().1;
        assert!(sent.end == End::Whole && sent.bytes == 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http_is_refused() {
    for garbage in [
        &b"garbage\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/3.7\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        is_refused(&echoed(garbage).await, 400, "Malformed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_is_refused_at_once() {
    let began = tokio::time::Instant::now();
    let (handler, _reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    // The first bytes of a ClientHello; the client keeps the connection open and waits.
    visit
        .client
        .send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        .await;
    let (head, _) = visit.client.answer().await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(began.elapsed().is_zero());
    let whole = echoed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    is_refused(&whole, 400, "Tls");
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_authority_is_refused() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
    ] {
        is_refused(&echoed(request).await, 400, "Malformed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_length_is_refused() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\ncontent-length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: -3",
        "Transfer-Encoding: gzip",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\nabc");
        is_refused(&echoed(request).await, 400, "Malformed");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_is_refused() {
    let target = "a".repeat(9 * 1024);
    let answer = echoed(format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    is_refused(&answer, 414, "TargetTooLong");
    let fields = format!("A: {}\r\n", "a".repeat(1000)).repeat(66);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    is_refused(&echoed(&head[..60_000]).await, 408, "HeadTooSlow");
    is_refused(&echoed(&head[..65_537]).await, 431, "HeadTooLarge");
}

#[tokio::test(start_paused = true)]
async fn a_head_may_ask_for_many_ranges_and_for_too_many_in_a_way_of_its_own() {
    let asking = |bytes: usize| {
        let ranges = "1234567890-1234567899,".repeat(bytes / 22);
        let fields = "Host: a\r\nConnection: close\r\nUser-Agent: someone";
        format!("GET /x HTTP/1.1\r\n{fields}\r\nRange: bytes={ranges}\r\n\r\n")
    };
    let answer = echoed(asking(60_000)).await;
    assert!(answer.ends_with("GET /x a"), "{answer}");
    is_refused(&echoed(asking(120_000)).await, 400, "TooManyRanges");
}

#[tokio::test(start_paused = true)]
async fn an_odd_target_reaches_the_handler_as_text() {
    for (target, seen) in [
        (&b"/v2/a%2Fb/%c3%28?x=%00"[..], "/v2/a%2Fb/%c3%28?x=%00"),
        (b"/v2/../x//y/./z", "/v2/../x//y/./z"),
        (b"/v2/\0x", "/v2/%00x"),
        (b"http://a/v2/?ns=b", "/v2/?ns=b"),
    ] {
        let request = [
            b"GET ",
            target,
            b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ];
        let answer = echoed(request.concat()).await;
        assert!(answer.ends_with(&format!("GET {seen} a")), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_client_keeps_its_connection_only_if_it_asks() {
    let answer = echoed("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(field(&answer, "connection"), Some("close"));
    assert_eq!(answer.matches("GET / -").count(), 1);
    let once = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let answers = echoed(once.repeat(2)).await;
    assert_eq!(field(&answers, "connection"), Some("keep-alive"));
    assert_eq!(answers.matches("GET / -").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_short_request_body_is_thrown_away() {
    let (handler, _reports) = Script::echo();
    let mut visit = Visit::new(&handler);
    for framed in [
        "Content-Length: 5\r\n\r\nabcde",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
        "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    ] {
        let request = format!("POST /x HTTP/1.1\r\nHost: a\r\n{framed}");
        visit.client.send(request).await;
        let (head, body) = visit.client.answer().await;
        assert_eq!(body, "POST /x a");
        assert_eq!(field(&head, "connection"), Some("keep-alive"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_body_not_worth_reading_ends_the_connection() {
    let long = "a".repeat(100 * 1024);
    for (framed, body) in [
        ("Content-Length: 102400", long.as_str()),
        ("Content-Length: 5\r\nExpect: 100-continue", ""),
        ("Content-Length: 5", "abc"),
        ("Transfer-Encoding: chunked", "nonsense\r\n"),
    ] {
        let (handler, _reports) = Script::echo();
        let mut visit = Visit::new(&handler);
        let head = format!("POST /x HTTP/1.1\r\nHost: a\r\n{framed}\r\n\r\n");
        visit.client.send(head).await;
        visit.client.send(body).await;
        let answer = visit.client.rest().await;
        assert!(answer.ends_with("POST /x a"), "{answer}");
        assert_eq!(field(&answer, "connection"), Some("close"), "{framed}");
    }
}
