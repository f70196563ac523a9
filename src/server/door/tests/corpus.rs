//! Requests that two readers could read in two ways, on a real socket: what comes back, and what becomes of the next
//! request on the same connection (RFC 9112 sections 3.2, 5, 6, 7 and 11.2).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::server::testkit::Script;
use crate::server::{DoorLimits, Drained, Listeners, ServeError};

const LONG: Duration = Duration::from_secs(20);

/// What is to become of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next request is answered as itself.
    Goes,
    /// It ends, and nothing of what followed was taken for a request.
    Ends,
}
use Then::{Ends, Goes};

/// A listener with a handler that says what it was asked; it stops when the sender is dropped.
fn listening(
    limits: DoorLimits,
) -> (
    SocketAddr,
    tokio::sync::oneshot::Sender<()>,
    JoinHandle<Result<Drained, ServeError>>,
) {
    let (handler, _reports) = Script::echo();
    let mut listeners = Listeners::default();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let address = listeners.add(any, handler, limits).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let served = tokio::spawn(listeners.serve(stopped, std::future::ready(())));
    (address, stop, served)
}

/// All that comes back for `request` with one proper request behind it, which asks for the end.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let next = b"GET /next HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n";
    // A server that ends the connection may do so while we write.
    let _ = stream.write_all(&[request, next].concat()).await;
    let mut answers = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut answers))
        .await
        .unwrap();
    String::from_utf8_lossy(&answers).into_owned()
}

/// The statuses in the order they came.
fn statuses(answers: &str) -> Vec<u16> {
    let starts = answers.split("HTTP/1.1 ").skip(1);
    starts.map(|start| start[..3].parse().unwrap()).collect()
}

#[tokio::test]
async fn item_81_incident_10_no_request_is_read_in_two_ways() {
    const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    let in_body = |head: &str, body: &str| format!("{head}\r\n{body}");
    let sized = |body: &str| format!("Content-Length: {}\r\n", body.len());
    let post = "POST /x HTTP/1.1\r\nHost: a\r\n";
    let get = "GET /x HTTP/1.1\r\nHost: a\r\n";
    #[rustfmt::skip]
    let corpus: Vec<(&str, String, u16, Then)> = vec![
        ("a proper request", format!("{get}\r\n"), 200, Goes),
        ("a body behind what is a hit", in_body(&format!("{get}{}", sized(HIDDEN)), HIDDEN), 200, Goes),
        ("a chunked body behind what is a hit", in_body(&format!("{get}Transfer-Encoding: chunked\r\n"), &format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len())), 200, Goes),
        ("a chunked body with trailers", in_body(&format!("{post}Transfer-Encoding: chunked\r\n"), "3\r\nabc\r\n0\r\nX: y\r\n\r\n"), 200, Goes),
        ("HTTP/1.0 that asks to be kept", "GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n".into(), 200, Goes),
        ("HTTP/1.0", "GET /x HTTP/1.0\r\nHost: a\r\n\r\n".into(), 200, Ends),
        ("absolute form", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n".into(), 200, Goes),
        ("an upgrade that is not wanted", format!("{get}Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"), 200, Goes),
        ("length and chunks", in_body(&format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), &format!("0\r\n\r\n{HIDDEN}")), 400, Ends),
        ("chunks and length", in_body(&format!("{post}Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", 5 + HIDDEN.len()), &format!("0\r\n\r\n{HIDDEN}")), 400, Ends),
        ("two lengths", in_body(&format!("{post}Content-Length: 3\r\nContent-Length: 0\r\n"), &format!("abc{HIDDEN}")), 400, Ends),
        ("two lengths in one", in_body(&format!("{post}Content-Length: 3, 4\r\n"), HIDDEN), 400, Ends),
        ("a length with a sign", in_body(&format!("{post}Content-Length: +3\r\n"), HIDDEN), 400, Ends),
        ("a length below nothing", in_body(&format!("{post}Content-Length: -3\r\n"), HIDDEN), 400, Ends),
        ("a length in hexadecimal", in_body(&format!("{post}Content-Length: 0x3\r\n"), HIDDEN), 400, Ends),
        ("a length beyond all numbers", in_body(&format!("{post}Content-Length: 99999999999999999999999\r\n"), HIDDEN), 400, Ends),
        ("a coding that is none", in_body(&format!("{post}Transfer-Encoding: xchunked\r\n"), HIDDEN), 400, Ends),
        ("a coding behind chunks", in_body(&format!("{post}Transfer-Encoding: chunked, identity\r\n"), HIDDEN), 400, Ends),
        ("a coding behind a control character", in_body(&format!("{post}Transfer-Encoding:\x0bchunked\r\n"), HIDDEN), 400, Ends),
        ("a coding in HTTP/1.0", format!("POST /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"), 400, Ends),
        ("chunks that are garbage", in_body(&format!("{post}Transfer-Encoding: chunked\r\n"), &format!("zz\r\n{HIDDEN}")), 200, Ends),
        ("a chunk larger than all numbers", in_body(&format!("{post}Transfer-Encoding: chunked\r\n"), &format!("fffffffffffffffffffff\r\n{HIDDEN}")), 200, Ends),
        ("a folded field", format!("{get}X: y\r\n folded: z\r\n\r\n"), 400, Ends),
        ("a folded length", format!("{post}X: y\r\n\tContent-Length: 5\r\n\r\n{HIDDEN}"), 400, Ends),
        ("a space before the colon", format!("{post}Content-Length : 5\r\n\r\n{HIDDEN}"), 400, Ends),
        ("a field without a name", format!("{get}: x\r\n\r\n"), 400, Ends),
        ("a field without a colon", format!("{get}nonsense\r\n\r\n"), 400, Ends),
        ("a NUL in a field", format!("{get}X: a\0b\r\n\r\n"), 400, Ends),
        ("a NUL in a name", format!("{get}X\0: ab\r\n\r\n"), 400, Ends),
        ("a return alone in a field", format!("{get}X: a\rContent-Length: 5\r\n\r\n"), 400, Ends),
        ("two hosts", "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400, Ends),
        ("no host", "GET /x HTTP/1.1\r\n\r\n".into(), 400, Ends),
        ("absolute form of another host", "GET http://evil/x HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400, Ends),
        ("a tunnel", "CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n".into(), 400, Ends),
        ("no version", "GET /x\r\nHost: a\r\n\r\n".into(), 400, Ends),
        ("a version that is not", "GET /x HTTP/1.2.3\r\nHost: a\r\n\r\n".into(), 400, Ends),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 400, Ends),
    ];
    let (address, stop, served) = listening(DoorLimits {
        header_deadline: Duration::from_millis(500),
        ..DoorLimits::default()
    });
    let mut wrong = Vec::new();
    for (what, request, status, then) in corpus {
        let answers = exchange(address, request.as_bytes()).await;
        let mut expected = vec![status];
        expected.extend((then == Goes).then_some(200));
        let is_next = answers.ends_with("GET /next n");
        if statuses(&answers) != expected
            || is_next != (then == Goes)
            || answers.contains("/hidden")
        {
            wrong.push(format!("{what}: wanted {expected:?}, {then:?}: {answers}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    drop(stop);
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn item_81_lines_that_end_in_a_bare_newline_mean_what_they_say() {
    let (address, _stop, _served) = listening(DoorLimits::default());
    let answers = exchange(address, b"GET /x HTTP/1.1\nHost: a\n\n").await;
    assert_eq!(statuses(&answers), [200, 200], "{answers}");
    assert!(
        answers.contains("GET /x a") && answers.ends_with("GET /next n"),
        "{answers}"
    );
}

#[tokio::test]
async fn item_83_a_head_of_32_kibibytes_is_accepted() {
    let (address, _stop, _served) = listening(DoorLimits::default());
    let token = "t".repeat(32 * 1024);
    let request = format!("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let answers = exchange(address, request.as_bytes()).await;
    assert_eq!(statuses(&answers), [200, 200], "{answers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn item_82_a_thousand_slow_heads_hold_nobody_up_and_are_closed_in_time() {
    const SLOW: usize = 1000;
    let deadline = Duration::from_secs(3);
    let (address, _stop, _served) = listening(DoorLimits {
        header_deadline: deadline,
        connections_per_client: SLOW + 8,
        ..DoorLimits::default()
    });
    let mut slow = Vec::with_capacity(SLOW);
    for at in 0..SLOW {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A third each: nothing at all, the beginning of a line, lines without an end.
        let begun = ["", "GET / HT", "GET / HTTP/1.1\r\nX: y\r\n"][at % 3];
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // All of them are there, and each request of others is answered long before any of them is given up.
    for _ in 0..50 {
        let answers = timeout(deadline / 2, exchange(address, b"")).await;
        assert!(answers.unwrap().ends_with("GET /next n"));
    }
    let closing = slow.into_iter().map(|mut stream| async move {
        let mut answer = Vec::new();
        let _ = timeout(LONG, stream.read_to_end(&mut answer))
            .await
            .expect("closed in time");
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
            "{answer}"
        );
    });
    futures_util::future::join_all(closing).await;
}

#[tokio::test]
async fn one_client_cannot_take_all_connections() {
    let (address, _stop, _served) = listening(DoorLimits {
        connections_per_client: 2,
        ..DoorLimits::default()
    });
    let held = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let too_many = exchange(address, b"").await;
    assert_eq!(statuses(&too_many), [429], "{too_many}");
    drop(held);
}
