//! Answers that are no success, and no answers at all.

use std::time::Duration;

use tokio::net::TcpListener;
use url::Url;

use super::server::{Reply, Server};
use super::*;
use crate::upstream::Phase;

async fn kind_of(reply: Reply) -> ErrorKind {
    let server = Server::start(move |_| reply.clone()).await;
    pull(&registry(&server)).await.unwrap_err()
}

#[tokio::test]
async fn statuses_become_kinds() {
    let unknown = Reply::status(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#);
    let code = Some("MANIFEST_UNKNOWN".to_owned());
    assert_eq!(kind_of(unknown).await, ErrorKind::NotFound { code });
    let plain = Reply::status(404).body("404 page not found");
    assert_eq!(kind_of(plain).await, ErrorKind::NotFound { code: None });
    assert_eq!(kind_of(Reply::status(403)).await, ErrorKind::Denied);
    for status in [400, 410, 500, 502, 503] {
        assert_eq!(
            kind_of(Reply::status(status)).await,
            ErrorKind::Status(status)
        );
    }
}

#[tokio::test]
async fn a_404_whose_body_breaks_off_is_a_404() {
    let broken = Reply::status(404).cut(100, r#"{"errors"#);
    assert_eq!(kind_of(broken).await, ErrorKind::NotFound { code: None });
}

#[tokio::test]
async fn item_79_a_429_carries_the_pause_it_asks_for() {
    let kind = kind_of(Reply::status(429).header("Retry-After", "17")).await;
    let retry_after = Some(Duration::from_secs(17));
    assert_eq!(kind, ErrorKind::TooManyRequests { retry_after });
    let bare = kind_of(Reply::status(429)).await;
    assert_eq!(bare, ErrorKind::TooManyRequests { retry_after: None });
}

#[tokio::test]
async fn nonsense_is_told_from_an_answer() {
    let portal = Reply::ok("<html>").header("Content-Type", "text/html; charset=utf-8");
    assert_eq!(kind_of(portal).await, ErrorKind::Protocol);
    assert_eq!(kind_of(Reply::status(204)).await, ErrorKind::Protocol);
    assert_eq!(kind_of(Reply::status(307)).await, ErrorKind::Protocol);
    assert_eq!(kind_of(Reply::status(304)).await, ErrorKind::Protocol);
    let no_length = Reply::ok(BODY).header("Content-Length", "x");
    assert_eq!(kind_of(no_length).await, ErrorKind::Protocol);
}

#[tokio::test]
async fn silence_runs_into_the_header_bound() {
    let server = Server::start(|_| Reply::silence()).await;
    let mut settings = settings(&server);
    settings.timeouts.header = SOON;
    let kind = pull(&registry_with(&settings)).await.unwrap_err();
    assert_eq!(kind, ErrorKind::Timeout(Phase::Header));
    assert_eq!(
        server.requests().len(),
        1,
        "a time-out is not tried again here"
    );
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_tried_on_another() {
    let server = Server::start(|_| Reply::hangup()).await;
    assert_eq!(pull(&registry(&server)).await, Err(ErrorKind::Cut));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_closed_port_is_a_failed_connection() {
    let (_closed, url) = closed_port();
    let registry = registry_with(&Settings::new("test", Url::parse(&url).unwrap()));
    let error = registry
        .get_manifest(&repository(), &tag(), Accepts::MODERN)
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Connect);
    assert!(
        error.to_string().starts_with("test: GET 127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_cannot_be_is_not_resolved() {
    let label = "a".repeat(64);
    let url = Url::parse(&format!("http://{label}.invalid")).unwrap();
    let kind = pull(&registry_with(&Settings::new("test", url))).await;
    assert_eq!(kind, Err(ErrorKind::Resolve));
}

#[tokio::test]
async fn a_handshake_with_no_tls_fails_as_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    });
    let url = Url::parse(&format!("https://127.0.0.1:{port}")).unwrap();
    let kind = pull(&registry_with(&Settings::new("test", url))).await;
    assert_eq!(kind, Err(ErrorKind::Tls));
    drop(peer.await.unwrap());
}

#[tokio::test]
async fn a_handshake_that_does_not_come_runs_into_the_connect_bound() {
    let server = Server::start(|_| Reply::silence()).await;
    let url = Url::parse(&format!("https://127.0.0.1:{}", server.port)).unwrap();
    let mut settings = Settings::new("test", url);
    settings.timeouts.connect = SOON;
    let kind = pull(&registry_with(&settings)).await;
    assert_eq!(kind, Err(ErrorKind::Timeout(Phase::Connect)));
}
