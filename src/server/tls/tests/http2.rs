//! The same in HTTP/2: what a request means, how bodies go out, how it ends.

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use http::Request;

use super::*;
use crate::server::testkit::content_response;

const H2: &[&[u8]] = &[b"h2", b"http/1.1"];

/// A listener, and a client on a connection in HTTP/2.
async fn visit(
    handler: &Arc<Script>,
    limits: DoorLimits,
) -> (Running, SendRequest<Bytes>, tokio::task::JoinHandle<()>) {
    let authority = Authority::new();
    let terms = TlsTerms::new("a", source(authority.certificates(None)).0).unwrap();
    let running = Running::start(handler, &terms, limits);
    let stream = running.connect(&authority.client(None, H2)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(HTTP2));
    // Room for many streams at once, and little for each.
    let mut builder = Builder::new();
    builder.initial_connection_window_size(64 << 20);
    let (client, connection) = soon(builder.handshake(stream)).await.unwrap();
    let driven = tokio::spawn(async move {
        let _ = connection.await;
    });
    (running, client, driven)
}

fn request(method: &str, path: &str) -> Request<()> {
    let request = Request::builder().method(method);
    let uri = format!("https://localhost{path}");
    request.uri(uri).body(()).unwrap()
}

async fn ask(client: &SendRequest<Bytes>, request: Request<()>) -> Response<RecvStream> {
    let mut client = soon(client.clone().ready()).await.unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    soon(response).await.unwrap()
}

async fn body(response: Response<RecvStream>) -> Result<Vec<u8>, h2::Error> {
    let mut stream = response.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = soon(stream.data()).await {
        let piece = piece?;
        bytes.extend_from_slice(&piece);
        stream.flow_control().release_capacity(piece.len()).unwrap();
    }
    Ok(bytes)
}

#[tokio::test]
async fn requests_mean_the_same_in_http2() {
    let (handler, mut reports) = Script::echo();
    let (_running, client, _driven) = visit(&handler, DoorLimits::default()).await;
    let response = ask(&client, request("GET", "/v2/a?b=c")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-length"], "23");
    assert!(response.headers().contains_key("date"));
    assert_eq!(body(response).await.unwrap(), b"GET /v2/a?b=c localhost");
    let (_, sent) = soon(reports.recv()).await.unwrap();
    assert_eq!((sent.bytes, sent.end), (23, crate::server::End::Whole));

    let response = ask(&client, request("HEAD", "/x")).await;
    assert_eq!(response.headers()["content-length"], "17");
    assert!(body(response).await.unwrap().is_empty());

    let mut odd = request("GET", "/x");
    odd.headers_mut()
        .insert("host", "elsewhere".parse().unwrap());
    let response = ask(&client, odd).await;
    assert_eq!(response.status(), Refusal::Malformed.status());
}

#[tokio::test]
async fn content_and_its_ranges_are_sent_in_http2() {
    let bytes: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    let whole = bytes.clone();
    let (handler, _reports) = Script::new(move |request| {
        let (start, end) = match request.uri().path() {
            "/part" => (1000, 70_000),
            _ => (0, whole.len() as u64),
        };
        std::future::ready(content_response(&whole, start, end))
    });
    let (_running, client, _driven) = visit(&handler, DoorLimits::default()).await;
    let (whole, part) = tokio::join!(
        async { body(ask(&client, request("GET", "/")).await).await },
        async { body(ask(&client, request("GET", "/part")).await).await },
    );
    assert!(whole.unwrap() == bytes);
    assert!(part.unwrap() == bytes[1000..70_000]);
}

#[tokio::test]
async fn a_stream_that_takes_nothing_stands_in_nobodys_way() {
    let (handler, _reports) = Script::always(|| Response::new(vec![7; 1 << 20].into()));
    let limits = DoorLimits {
        write_stall: Duration::from_secs(2),
        ..DoorLimits::default()
    };
    let (_running, client, _driven) = visit(&handler, limits).await;
    // Asked for and not read: the window of its stream is full.
    let held = ask(&client, request("GET", "/held")).await;
    let quick = ask(&client, request("GET", "/quick")).await;
    assert_eq!(body(quick).await.unwrap().len(), 1 << 20);
    // In the end the one that gives back nothing of what it got is given up, as a stream cut short.
    let mut held = held.into_body();
    let error = loop {
        match soon(held.data()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("an end that looks like one"),
        }
    };
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    let again = ask(&client, request("HEAD", "/again")).await;
    assert_eq!(again.headers()["content-length"], "1048576");
}

#[tokio::test]
async fn a_stop_lets_streams_end_and_takes_no_more() {
    let (come, pass) = (
        Arc::new(tokio::sync::Semaphore::new(0)),
        Arc::new(tokio::sync::Semaphore::new(0)),
    );
    let (coming, passing) = (Arc::clone(&come), Arc::clone(&pass));
    let (handler, _reports) = Script::new(move |_| {
        let passing = Arc::clone(&passing);
        coming.add_permits(1);
        async move {
            passing.acquire().await.unwrap().forget();
            Response::new(Body::from(b"passed".to_vec()))
        }
    });
    let (running, client, driven) = visit(&handler, DoorLimits::default()).await;
    let answer = tokio::spawn({
        let client = client.clone();
        async move { body(ask(&client, request("GET", "/")).await).await }
    });
    soon(come.acquire()).await.unwrap().forget();
    let Running { stop, served, .. } = running;
    stop.send(()).unwrap();
    pass.add_permits(1);
    assert_eq!(soon(answer).await.unwrap().unwrap(), b"passed");
    drop(client);
    soon(served).await.unwrap();
    soon(driven).await.unwrap();
}
