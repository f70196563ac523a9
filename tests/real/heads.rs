//! Heads that no client should send (RFC 9112, sections 2.2, 3, 5 and 6): refused, and the upstream hears nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::bound::within;
use crate::support::noise;
use crate::support::raw::raw;
use crate::support::upstream::Upstream;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_mean_nothing_or_two_things_stop_here() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let path = "/v2/";
    let long = format!(
        "GET /v2/{}/manifests/latest HTTP/1.1\r\nHost: mirror\r\n\r\n",
        "a/".repeat(100_000)
    );
    let fields = "X-Filler: 0123456789012345678901234567890123456789\r\n".repeat(20_000);
    let large = format!("GET {path} HTTP/1.1\r\nHost: mirror\r\n{fields}\r\n");
    #[rustfmt::skip]
    let rows: &[(&str, &str, &[u16])] = &[
        ("a target beyond any limit", &long, &[400, 414]),
        ("fields beyond any limit", &large, &[400, 431]),
        ("two hosts", &format!("GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), &[400]),
        ("two lengths", &format!("GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), &[400]),
        ("an odd length", &format!("GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx"), &[400]),
        ("a folded field", &format!("GET {path} HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"), &[200, 400]),
        ("no version", &format!("GET {path}\r\nHost: a\r\n\r\n"), &[400, 505]),
        ("no HTTP", "hello there\r\n\r\n", &[400]),
    ];
    for (what, request, statuses) in rows {
        let Some(got) = raw(mirror.address, request.as_bytes()).await else {
            // A server that closes while we still write may take its answer back with a reset.
            assert!(request.len() > 64 * 1024, "{what}: no answer");
            continue;
        };
        assert!(
            statuses.contains(&got.status),
            "{what}: {got:?}, wanted {statuses:?}"
        );
        assert!(got.after.is_sane(), "{what}: then {:?}", got.after);
    }
    upstream.heard_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_hidden_in_a_body_is_never_answered() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let hidden = "GET /v2/library/hidden/manifests/latest HTTP/1.1\r\nHost: a\r\n\r\n";
    // Length and chunks at once: whoever believes the one sees a request where the other sees a body.
    let request = format!(
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        5 + hidden.len()
    );
    let mut stream = TcpStream::connect(mirror.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = Vec::new();
    // A reset is an end as well.
    let _ = within(
        "the end of the connection",
        PATIENCE,
        stream.read_to_end(&mut answers),
    )
    .await;
    let answers = String::from_utf8_lossy(&answers);
    assert!(answers.matches("HTTP/1.1 ").count() <= 1, "{answers}");
    upstream.heard_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_speaks_tls_is_told_at_once() {
    let (upstream, mirror) = Upstream::mirrored().await;
    // The first bytes of a TLS handshake; skopeo and podman begin so and wait until somebody objects.
    let hello = [
        &[
            0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03,
        ][..],
        &noise(1, 300),
    ]
    .concat();
    let mut stream = TcpStream::connect(mirror.address).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(
        "an end to a TLS handshake",
        Duration::from_secs(5),
        stream.read_to_end(&mut answer),
    )
    .await;
    upstream.heard_nothing();
}
