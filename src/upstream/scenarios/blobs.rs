//! Whole blobs: sizes, and bodies that break off, run over, or are in code.

use bytes::Bytes;
use futures_util::TryStreamExt;
use prometheus::proto::MetricType;

use super::server::{Reply, Request, Server};
use super::*;
use crate::oci::RangeSpec;
use crate::upstream::{BlobBody, Phase, UpstreamError};

pub(super) const BLOB: &[u8] = b"0123456789";

/// A registry that knows ranges.
pub(super) fn ranged(request: &Request) -> Reply {
    let Some(range) = request.header("range") else {
        return Reply::ok(BLOB);
    };
    let (first, last) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let size = BLOB.len();
    let (first, last): (usize, usize) = match (first.parse(), last.parse()) {
        (Ok(first), last) => (
            first,
            last.map_or(size - 1, |last: usize| last.min(size - 1)),
        ),
        (Err(_), last) => (size - last.unwrap().min(size), size - 1),
    };
    Reply::status(206)
        .header(
            "Content-Range",
            &format!("bytes {first}-{last}/{}", BLOB.len()),
        )
        .body(&BLOB[first..=last])
}

async fn get(server: &Server) -> Result<BlobBody, UpstreamError> {
    registry(server)
        .get_blob(&repository(), &digest(), None)
        .await
}

async fn size(server: &Server) -> Result<u64, UpstreamError> {
    let head = registry(server).head_blob(&repository(), &digest()).await?;
    Ok(head.size)
}

pub(super) async fn read(body: BlobBody) -> Result<Vec<u8>, UpstreamError> {
    let pieces: Vec<Bytes> = body.stream.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn a_whole_blob_is_asked_for_without_a_range() {
    let server = Server::start(ranged).await;
    let body = get(&server).await.unwrap();
    assert_eq!((body.offset, body.end, body.size), (0, Some(10), Some(10)));
    assert_eq!(read(body).await.unwrap(), BLOB);
    assert_eq!(server.requests()[0].header("range"), None);
    assert_eq!(server.requests()[0].target, blob_path());
}

#[tokio::test]
async fn a_size_that_is_not_told_is_left_open() {
    for reply in [
        Reply::status(200).until_close(BLOB),
        Reply::status(200).chunked(BLOB),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        let body = get(&server).await.unwrap();
        assert_eq!((body.offset, body.end, body.size), (0, None, None));
        assert_eq!(read(body).await.unwrap(), BLOB);
    }
}

#[tokio::test]
async fn an_empty_blob_ends_where_it_begins() {
    let server = Server::start(|_| Reply::ok("")).await;
    let body = get(&server).await.unwrap();
    assert_eq!((body.offset, body.end, body.size), (0, Some(0), Some(0)));
    assert_eq!(read(body).await.unwrap(), b"");
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_not_taken() {
    let server = Server::start(|_| {
        Reply::status(206)
            .header("Content-Range", "bytes 0-9/10")
            .body(BLOB)
    })
    .await;
    let error = get(&server).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Protocol);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_in_code_is_not_taken() {
    for (coding, taken) in [
        ("gzip", false),
        ("identity, gzip", false),
        ("x-unheard-of", false),
        ("identity", true),
        ("Identity", true),
        ("", true),
    ] {
        let server =
            Server::start(move |_| Reply::ok(BLOB).header("Content-Encoding", coding)).await;
        let kind = get(&server).await.map_err(|error| error.kind().clone());
        assert_eq!(kind.is_ok(), taken, "{coding}");
        assert!(taken || kind.unwrap_err() == ErrorKind::Protocol);
    }
}

#[tokio::test]
async fn what_a_registry_says_of_a_whole_blob_is_its_last_word() {
    for status in [400, 405, 416, 501] {
        let server = Server::start(move |_| Reply::status(status)).await;
        let error = get(&server).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Status(status));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_cut_body_is_no_complete_body() {
    let server = Server::start(|_| Reply::status(200).cut(10, &BLOB[..6])).await;
    let mut body = get(&server).await.unwrap();
    assert_eq!(body.size, Some(10));
    let mut seen = Vec::new();
    let error = loop {
        match body.stream.try_next().await {
            Ok(piece) => seen.extend_from_slice(&piece.expect("an error, not an end")),
            Err(error) => break error,
        }
    };
    assert_eq!(seen, &BLOB[..6]);
    assert_eq!(*error.kind(), ErrorKind::Cut);
    assert!(body.stream.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_body_that_stalls_runs_into_the_idle_bound() {
    let server = Server::start(|_| Reply::status(200).stall(10, &BLOB[..6])).await;
    let mut settings = settings(&server);
    settings.timeouts.idle = SOON;
    let registry = registry_with(&settings);
    let body = registry
        .get_blob(&repository(), &digest(), None)
        .await
        .unwrap();
    let error = read(body).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Timeout(Phase::Idle));
}

#[tokio::test]
async fn the_size_comes_from_head() {
    let server = Server::start(|_| Reply::ok(BLOB)).await;
    assert_eq!(size(&server).await.unwrap(), 10);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].method, "HEAD");
}

#[tokio::test]
async fn item_42_where_head_is_refused_the_first_byte_tells_the_size() {
    for status in [401, 403, 405] {
        let server = Server::start(move |request| match &*request.method {
            "HEAD" => Reply::status(status),
            _ if request.path() == "/v2/" => Reply::status(200),
            _ => ranged(request),
        })
        .await;
        assert_eq!(size(&server).await.unwrap(), 10, "{status}");
        let requests = server.requests();
        assert_eq!(requests.last().unwrap().header("range"), Some("bytes=0-0"));
    }
}

#[tokio::test]
async fn a_registry_that_refuses_head_is_not_asked_by_head_again() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::status(403),
        _ => ranged(request),
    })
    .await;
    let registry = registry(&server);
    for _ in 0..3 {
        let head = registry.head_blob(&repository(), &digest()).await.unwrap();
        assert_eq!(head.size, 10);
    }
    let methods: Vec<_> = server.requests().into_iter().map(|r| r.method).collect();
    assert_eq!(methods, ["HEAD", "GET", "GET", "GET"]);
}

#[tokio::test]
async fn a_blob_that_is_denied_both_ways_says_nothing_about_head() {
    let server = Server::start(|_| Reply::status(403)).await;
    let registry = registry(&server);
    for _ in 0..2 {
        let result = registry.head_blob(&repository(), &digest()).await;
        assert_eq!(*result.unwrap_err().kind(), ErrorKind::Denied);
    }
    let methods: Vec<_> = server.requests().into_iter().map(|r| r.method).collect();
    assert_eq!(methods, ["HEAD", "GET", "HEAD", "GET"]);
}

#[tokio::test]
async fn an_empty_blob_has_no_first_byte_and_yet_a_size() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::status(405),
        _ => Reply::status(416).header("Content-Range", "bytes */0"),
    })
    .await;
    assert_eq!(size(&server).await.unwrap(), 0);
}

#[tokio::test]
async fn item_41_an_upstream_that_sends_the_whole_for_its_first_byte_is_cut_short() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::status(405),
        // Reading this body to its end would run into the idle bound.
        _ => Reply::status(200).stall(1 << 40, BLOB),
    })
    .await;
    assert_eq!(size(&server).await.unwrap(), 1 << 40);
}

#[tokio::test]
async fn a_size_that_nobody_tells_is_an_error() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::status(403),
        _ => Reply::status(206)
            .header("Content-Range", "bytes 0-0/*")
            .body("0"),
    })
    .await;
    assert_eq!(
        *size(&server).await.unwrap_err().kind(),
        ErrorKind::Protocol
    );
}

#[tokio::test]
async fn requests_and_received_bytes_are_counted() {
    let server = Server::start(ranged).await;
    let prometheus = prometheus::Registry::new();
    let registry =
        HttpRegistry::new(&settings(&server), &Metrics::new(&prometheus).unwrap()).unwrap();
    read(
        registry
            .get_blob(&repository(), &digest(), None)
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    read(
        registry
            .get_blob(&repository(), &digest(), Some(RangeSpec::From(7)))
            .await
            .unwrap(),
    )
    .await
    .unwrap();

    let mut counted = Vec::new();
    let families = prometheus.gather();
    for family in families.iter().filter(|it| !it.name().contains("state")) {
        for metric in family.get_metric() {
            let labels: Vec<_> = metric
                .get_label()
                .iter()
                .map(prometheus::proto::LabelPair::value)
                .collect();
            let value = match family.get_field_type() {
                MetricType::HISTOGRAM => metric.get_histogram().get_sample_count().to_string(),
                _ => metric.get_counter().get_value().to_string(),
            };
            // Some are there from the start.
            if value != "0" {
                counted.push(format!("{} {} {value}", family.name(), labels.join(",")));
            }
        }
    }
    counted.sort();
    assert_eq!(
        counted,
        [
            "roadstead_upstream_head_seconds blob,test 2",
            "roadstead_upstream_received_bytes_total blob,test 13",
            "roadstead_upstream_requests_total blob,200,test 1",
            "roadstead_upstream_requests_total blob,206,test 1",
        ]
    );
}
