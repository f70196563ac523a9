//! What every answer says, whatever it is about.

use http::{HeaderMap, Method, Request, StatusCode};

use super::surface::Surface;
use crate::mirror::Who;
use crate::server::{End, Fault, Handler, Sent, ServerMetrics};
use crate::upstream::{ErrorKind, Phase};

/// What HEAD and GET must agree in.
fn shared(headers: &HeaderMap) -> Vec<Option<&str>> {
    let names = [
        "content-length",
        "content-type",
        "docker-content-digest",
        "etag",
        "accept-ranges",
        "cache-control",
        "vary",
        "docker-distribution-api-version",
    ];
    names
        .map(|name| headers.get(name).map(|value| value.to_str().unwrap()))
        .to_vec()
}

#[tokio::test]
async fn item_11_head_and_get_agree_cold_and_warm() {
    for first in ["HEAD", "GET"] {
        let surface = Surface::new();
        let (manifest, blob) = surface.stock();
        for target in [
            "/v2/a/manifests/1".to_owned(),
            format!("/v2/a/manifests/{manifest}"),
            format!("/v2/a/blobs/{blob}"),
        ] {
            let cold = surface.ask(first, &target, &[]).await;
            let head = surface.ask("HEAD", &target, &[]).await;
            let get = surface.ask("GET", &target, &[]).await;
            assert_eq!(
                (cold.0, head.0, get.0),
                (StatusCode::OK, StatusCode::OK, StatusCode::OK)
            );
            assert_eq!(shared(&cold.1), shared(&get.1), "{target}, {first} first");
            assert_eq!(shared(&head.1), shared(&get.1), "{target}, {first} first");
            assert!(head.2.is_empty() && !get.2.is_empty());
            assert_eq!(get.1["content-length"], get.2.len().to_string());
        }
    }
}

#[tokio::test]
async fn item_01_15_every_answer_is_marked() {
    let surface = Surface::new();
    for target in [
        "/v2/",
        "/v2",
        "/",
        "/v2/UPPER/manifests/1",
        "/v2/a/manifests/none",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let (_, headers, body) = surface.ask(method, target, &[]).await;
            assert_eq!(
                headers["docker-distribution-api-version"], "registry/2.0",
                "{target}"
            );
            let told = headers["cache-status"].to_str().unwrap();
            assert!(told.starts_with("roadstead; "), "{method} {target}: {told}");
            assert_eq!(body.is_empty(), method == "HEAD", "{method} {target}");
        }
    }
}

#[tokio::test]
async fn writes_are_refused_in_the_protocols_words() {
    let surface = Surface::new();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        for target in ["/v2/a/blobs/uploads/", "/v2/a/manifests/1"] {
            let (status, headers, body) = surface.ask(method.as_str(), target, &[]).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(headers["allow"], "GET, HEAD");
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["errors"][0]["code"], "UNSUPPORTED");
        }
    }
    assert_eq!(surface.house.upstream.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn the_namespace_is_echoed_as_it_was_written() {
    let surface = Surface::new();
    surface.stock();
    let target = "/v2/library/a/manifests/1?ns=index.docker.io";
    let (status, headers, _) = surface.ask("GET", target, &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["oci-namespace"], "index.docker.io");
}

#[tokio::test]
async fn item_15_an_outage_is_never_a_404() {
    for (kind, status) in [
        (ErrorKind::Connect, StatusCode::BAD_GATEWAY),
        (ErrorKind::Status(500), StatusCode::BAD_GATEWAY),
        (
            ErrorKind::Timeout(Phase::Header),
            StatusCode::GATEWAY_TIMEOUT,
        ),
        (ErrorKind::Denied, StatusCode::FORBIDDEN),
        (ErrorKind::Unauthorized, StatusCode::UNAUTHORIZED),
    ] {
        let surface = Surface::new();
        let (manifest, blob) = surface.stock();
        surface.house.upstream.breaks(kind);
        for target in [
            "/v2/a/manifests/1".to_owned(),
            format!("/v2/a/manifests/{manifest}"),
            format!("/v2/a/blobs/{blob}"),
            "/v2/a/tags/list".to_owned(),
            "/v2/_catalog".to_owned(),
            format!("/v2/a/referrers/{manifest}"),
        ] {
            assert_eq!(surface.ask("GET", &target, &[]).await.0, status, "{target}");
            assert_eq!(
                surface.ask("HEAD", &target, &[]).await.0,
                status,
                "{target}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_is_told_with_its_cause() {
    let surface = Surface::new();
    let registry = prometheus::Registry::new();
    let metrics = ServerMetrics::new(&registry).unwrap();
    let (_, blob) = surface.stock();
    let target = format!("/v2/a/blobs/{blob}");
    let request = Request::builder().uri(&target).body(()).unwrap();
    let (response, ticket) = surface.api.handle(request).await;
    let fault = Fault {
        who: Who::Store,
        reason: "no space left".to_owned(),
    };
    let sent = Sent {
        status: response.status(),
        bytes: 7,
        end: End::Broken(fault),
    };
    ticket.tell(&metrics, sent);
    let counted = prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap();
    let line = "roadstead_requests_total{kind=\"blob\",outcome=\"error\",upstream=\"docker.io\"} 1";
    assert!(counted.contains(line), "{counted}");
}

#[tokio::test]
async fn what_was_fetched_with_an_account_is_not_for_shared_caches() {
    for (private, prefix) in [(false, ""), (true, "private, ")] {
        let surface = if private {
            Surface::with_private(["docker.io"])
        } else {
            Surface::new()
        };
        let (manifest, blob) = surface.stock();
        for (target, told) in [
            ("/v2/a/manifests/1".to_owned(), "no-cache"),
            (
                format!("/v2/a/manifests/{manifest}"),
                "max-age=31536000, immutable",
            ),
            (format!("/v2/a/blobs/{blob}"), "max-age=31536000, immutable"),
        ] {
            let (_, headers, _) = surface.ask("GET", &target, &[]).await;
            assert_eq!(
                headers["cache-control"],
                format!("{prefix}{told}"),
                "{target}"
            );
        }
    }
}
