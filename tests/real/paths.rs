//! Requests that no client should send: each gets an answer, none gets any further.
//!
//! What may go wrong in a path is in the OCI distribution spec ("Pulling manifests", the grammar of names and tags) and
//! RFC 3986, section 3.3; what may go wrong in a head in RFC 9112. Bytes go out raw, as a client library would not.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::bound::within;
use crate::support::http::{get, send};
use crate::support::mirror::{Mirror, Plan};
use crate::support::noise;
use crate::support::registry::Access;
use crate::support::upstream::Upstream;
use crate::support::wire::{Head, Incoming};

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back for one raw request, and whether the connection still works after it.
#[derive(Debug)]
struct Outcome {
    status: u16,
    code: Option<String>,
    json: bool,
    after: After,
}

/// What a second, proper request on the same connection met.
#[derive(Debug, PartialEq, Eq)]
enum After {
    /// A proper answer.
    Served,
    /// A closed connection, and nothing else.
    Closed,
    /// Something that is neither.
    Confused(String),
}

/// Sends `request` as it is, reads the answer, and asks for `/v2/` on the same connection.
async fn raw(to: SocketAddr, request: &[u8]) -> Option<Outcome> {
    let exchange = async {
        let mut stream = BufReader::new(TcpStream::connect(to).await.unwrap());
        stream.write_all(request).await.ok()?;
        let head = Head::read(&mut stream).await.ok()??;
        let mut body = Incoming::of_response(&head, "GET");
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 4096]);
        while let Ok(size @ 1..) = body.read(&mut stream, &mut buffer).await {
            bytes.extend_from_slice(&buffer[..size]);
        }
        let body: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        let json = body.is_some()
            && head
                .field("content-type")
                .is_some_and(|kind| kind.starts_with("application/json"));
        let code = body.and_then(|body| body["errors"][0]["code"].as_str().map(str::to_owned));
        Some(Outcome {
            status: head.status()?,
            code,
            json,
            after: after(&mut stream).await,
        })
    };
    within("an answer to a raw request", PATIENCE, exchange).await
}

async fn after(stream: &mut BufReader<TcpStream>) -> After {
    let proper = b"GET /v2/ HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n";
    if stream.write_all(proper).await.is_err() {
        return After::Closed;
    }
    match Head::read(stream).await {
        Ok(Some(head)) if head.status() == Some(200) => After::Served,
        Ok(Some(head)) => After::Confused(head.start),
        // Closed before we wrote (an end or a reset), which is what a server may do after nonsense.
        Ok(None) => After::Closed,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => After::Closed,
        Err(error) => After::Confused(error.to_string()),
    }
}

fn request(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nHost: mirror\r\n\r\n"].concat()
}

/// A mirror, and an upstream that must not hear of any of this.
async fn mirror() -> (Upstream, Mirror) {
    let upstream = Upstream::start(Access::Open).await;
    let mirror = Plan::of(&upstream.tap).start().await;
    upstream.tap.forget();
    (upstream, mirror)
}

fn upstream_heard_nothing(upstream: &Upstream) {
    let heard = upstream.tap.requests();
    assert!(heard.is_empty(), "the upstream was asked: {heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_mean_nothing_or_two_things_stop_here() {
    let (upstream, mirror) = mirror().await;
    let long_name = format!("/v2/{}/manifests/latest", "a".repeat(256));
    let long_tag = format!("/v2/library/a/manifests/{}", "t".repeat(129));
    let upper_digest = format!("/v2/library/a/blobs/sha256:{}", "AB".repeat(32));
    let elsewhere = format!("/v2/library/a/blobs/sha256:{ZEROS}?ns=169.254.169.254");
    let name: &[&str] = &["NAME_INVALID"];
    let tag: &[&str] = &["TAG_INVALID"];
    let digest: &[&str] = &["DIGEST_INVALID"];
    let any: &[&str] = &[];
    #[rustfmt::skip]
    let rows: &[(&[u8], &[u16], &[&str])] = &[
        (b"/v2/library%2Fa/manifests/latest",            &[400],      name),
        (b"/v2/library/a%2F..%2Fb/manifests/latest",     &[400],      name),
        (b"/v2/library//a/manifests/latest",             &[400, 404], any),
        (b"//v2/library/a/manifests/latest",             &[400, 404], any),
        (b"/v2//library/a/manifests/latest",             &[400, 404], any),
        (b"/v2/library/./a/manifests/latest",            &[400, 404], any),
        (b"/v2/library/../a/manifests/latest",           &[400, 404], any),
        (b"/v2/../v2/library/a/manifests/latest",        &[400, 404], any),
        (b"/v2/library/%2e%2e/a/manifests/latest",       &[400, 404], any),
        (b"/v2/library/%2E/a/manifests/latest",          &[400, 404], any),
        (b"/v2/library/a\\b/manifests/latest",           &[400, 404], any),
        (b"/v2/library/a%5Cb/manifests/latest",          &[400, 404], any),
        (b"/v2/library/a%00/manifests/latest",           &[400, 404], any),
        (b"/v2/library/a\0b/manifests/latest",           &[400, 404], any),
        (b"/v2/library/a%FFb/manifests/latest",          &[400, 404], any),
        (b"/v2/library/a\xFFb/manifests/latest",         &[400, 404], any),
        (b"/v2/library/a%zz/manifests/latest",           &[400, 404], any),
        (b"/v2/library/a%0d%0aX-Y:%20z/manifests/latest",&[400, 404], any),
        (b"/v2/Library/A/manifests/latest",              &[400],      name),
        (b"/v2/library/a/b_-c/manifests/latest",         &[400],      name),
        (b"/v2/-library/a/manifests/latest",             &[400],      name),
        (long_name.as_bytes(),                           &[400],      name),
        (long_tag.as_bytes(),                            &[400],      tag),
        (b"/v2/library/a/manifests/.latest",             &[400],      tag),
        (b"/v2/library/a/manifests/sha256:abc",          &[400],      digest),
        (b"/v2/library/a/blobs/sha256:abc",              &[400],      digest),
        (b"/v2/library/a/blobs/latest",                  &[400],      digest),
        (upper_digest.as_bytes(),                        &[400],      digest),
        (elsewhere.as_bytes(),                           &[400],      any),
        (b"/v2/library/a/manifests/latest?ns=localhost", &[400],      any),
        (b"/v2/library/a/manifests/latest?ns=ghcr.io",   &[400],      any),
        (b"/v2/ghcr.io/o/r/manifests/latest",            &[400, 404], any),
        (b"/v2/library/a/manifests/",                    &[400, 404], any),
        (b"/v2/library/a/nothing",                       &[404],      any),
        (b"/v2/manifests/latest",                        &[400, 404], any),
        (b"/",                                           &[404],      any),
        (b"/v2x",                                        &[404],      any),
    ];
    for (target, statuses, codes) in rows {
        let shown = String::from_utf8_lossy(target);
        let got = raw(mirror.address, &request(target))
            .await
            .unwrap_or_else(|| panic!("no answer to {shown}"));
        assert!(
            statuses.contains(&got.status),
            "{shown}: {got:?}, wanted {statuses:?}"
        );
        assert!(got.json, "{shown}: not a JSON body: {got:?}");
        let code = got
            .code
            .as_deref()
            .unwrap_or_else(|| panic!("{shown}: no code: {got:?}"));
        assert!(
            codes.is_empty() || codes.contains(&code),
            "{shown}: {code}, wanted {codes:?}"
        );
        assert!(
            matches!(got.after, After::Served | After::Closed),
            "{shown}: then {:?}",
            got.after
        );
    }
    upstream_heard_nothing(&upstream);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_mean_nothing_or_two_things_stop_here() {
    let (upstream, mirror) = mirror().await;
    let path = "/v2/library/a/manifests/latest";
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
        ("a folded field", &format!("GET {path} HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"), &[400]),
        ("no version", &format!("GET {path}\r\nHost: a\r\n\r\n"), &[400, 505]),
        ("no HTTP", "hello there\r\n\r\n", &[400]),
    ];
    for (what, request, statuses) in rows {
        // A server that closes while we still write may take its answer back with a reset: that counts as refused.
        let Some(got) = raw(mirror.address, request.as_bytes()).await else {
            continue;
        };
        assert!(
            statuses.contains(&got.status),
            "{what}: {got:?}, wanted {statuses:?}"
        );
        assert!(
            matches!(got.after, After::Served | After::Closed),
            "{what}: then {:?}",
            got.after
        );
    }
    upstream_heard_nothing(&upstream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_hidden_in_a_body_is_never_answered() {
    let (upstream, mirror) = mirror().await;
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
    upstream_heard_nothing(&upstream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_speaks_tls_is_told_at_once() {
    let (upstream, mirror) = mirror().await;
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
    upstream_heard_nothing(&upstream);
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_is_refused_with_a_reason() {
    let (upstream, mirror) = mirror().await;
    let blob = format!("/v2/library/a/blobs/sha256:{ZEROS}");
    for (method, target) in [
        ("POST", "/v2/library/a/blobs/uploads/"),
        ("PUT", "/v2/library/a/manifests/latest"),
        ("PATCH", "/v2/library/a/blobs/uploads/1"),
        ("DELETE", "/v2/library/a/manifests/latest"),
        ("DELETE", &blob),
    ] {
        let answer = send(mirror.address, method, target, &[], b"")
            .await
            .whole()
            .await;
        assert_eq!(answer.status(), 405, "{method} {target}: {}", answer.text());
        assert_eq!(
            answer.error_code().as_deref(),
            Some("UNSUPPORTED"),
            "{method} {target}"
        );
        assert!(
            answer.head.field("allow").is_some(),
            "{method} {target}: {:?}",
            answer.head
        );
    }
    upstream_heard_nothing(&upstream);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_check_answers_with_and_without_its_slash() {
    let (mut upstream, mirror) = mirror().await;
    upstream.tap.close().await;
    for target in ["/v2/", "/v2"] {
        let answer = get(mirror.address, target).await;
        assert_eq!(answer.status(), 200, "{target}");
        assert_eq!(
            answer.head.field("docker-distribution-api-version"),
            Some("registry/2.0"),
            "{target}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_blob_has_many_addresses_and_crosses_once() {
    let (upstream, mirror) = mirror().await;
    let bytes = noise(2, 100_000);
    let digest = upstream.registry.push_blob("library/a", &bytes).await;
    let encoded = digest.replace(':', "%3A");
    for target in [
        format!("/v2/library/a/blobs/{digest}"),
        format!("/v2/library/a/blobs/{encoded}"),
        format!("/v2/a/blobs/{digest}"),
        format!("/v2/docker.io/library/a/blobs/{digest}"),
        format!("/docker.io/v2/library/a/blobs/{digest}"),
        format!("/v2/library/a/blobs/{digest}?ns=docker.io"),
        format!("/v2/library/a/blobs/{digest}?ns=index.docker.io"),
        format!("/v2/library/a/blobs/{digest}?ns=registry-1.docker.io"),
    ] {
        let answer = get(mirror.address, &target).await;
        assert_eq!(
            (answer.status(), answer.complete),
            (200, true),
            "{target}: {}",
            answer.head.start
        );
        assert!(answer.body == bytes, "{target}: other bytes");
    }
    assert_eq!(upstream.tap.blobs()[&digest].gets, 1);
}
