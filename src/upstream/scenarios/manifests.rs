//! What is sent, and what is read from good answers.

use super::server::{Reply, Server};
use super::*;
use crate::oci::MediaType;
use crate::upstream::Listing;

const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

#[tokio::test]
async fn a_request_says_who_we_are_and_what_we_take() {
    let server = Server::start(|_| Reply::ok(BODY)).await;
    pull(&registry(&server)).await.unwrap();

    let requests = server.requests();
    assert_eq!(requests.len(), 1, "anonymous costs one request");
    let request = &requests[0];
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, MANIFEST);
    assert_eq!(request.authorization(), None);
    assert_eq!(request.header("cookie"), None);
    assert_eq!(request.header("range"), None);
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    let agent = concat!("roadstead/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
    let accept = request.header("accept").unwrap();
    assert_eq!(accept, Accepts::MODERN.header());
}

#[tokio::test]
async fn a_manifest_comes_with_what_was_declared() {
    let declared = Digest::sha256_of(BODY.as_bytes());
    let header = declared.to_string();
    let server = Server::start(move |_| {
        Reply::ok(BODY)
            .header(
                "Content-Type",
                "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            )
            .header("Docker-Content-Digest", &header)
    })
    .await;
    let registry = registry(&server);

    let head = registry
        .head_manifest(&repository(), &tag(), Accepts::MODERN)
        .await
        .unwrap();
    assert_eq!(head.digest.as_ref(), Some(&declared));
    assert_eq!(head.media_type.as_ref().map(MediaType::as_str), Some(TYPE));
    assert_eq!(head.size, Some(BODY.len() as u64));

    let body = registry
        .get_manifest(&repository(), &tag(), Accepts::MODERN)
        .await
        .unwrap();
    assert_eq!(body.digest, Some(declared));
    assert_eq!(body.media_type, head.media_type);
    assert_eq!(body.bytes, BODY);
    let methods: Vec<_> = server.requests().into_iter().map(|r| r.method).collect();
    assert_eq!(methods, ["HEAD", "GET"]);
}

#[tokio::test]
async fn a_length_that_cannot_be_the_manifests_is_left_open() {
    for reply in [
        || Reply::ok(""),
        || Reply::ok("compressed").header("Content-Encoding", "gzip"),
    ] {
        let server = Server::start(move |_| reply().header("Content-Type", TYPE)).await;
        let head = registry(&server)
            .head_manifest(&repository(), &tag(), Accepts::MODERN)
            .await
            .unwrap();
        assert_eq!(head.size, None);
    }
}

#[tokio::test]
async fn what_is_not_declared_is_left_open() {
    let server =
        Server::start(|_| Reply::ok(BODY).header("Docker-Content-Digest", "nonsense")).await;
    let body = registry(&server)
        .get_manifest(&repository(), &tag(), Accepts::MODERN)
        .await
        .unwrap();
    assert_eq!((body.digest, body.media_type), (None, None));
}

#[tokio::test]
async fn a_registry_without_head_is_asked_by_get() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::status(405),
        _ => Reply::ok(BODY).header("Content-Type", TYPE),
    })
    .await;
    let head = registry(&server)
        .head_manifest(&repository(), &tag(), Accepts::MODERN)
        .await
        .unwrap();
    assert_eq!(head.size, Some(BODY.len() as u64));
    assert_eq!(head.media_type.as_ref().map(MediaType::as_str), Some(TYPE));
}

#[tokio::test]
async fn a_manifest_without_end_is_not_read_to_its_end() {
    const LIMIT: usize = 16 * 1024 * 1024;
    let server = Server::start(|request| match request.path() {
        MANIFEST => Reply::ok(vec![b' '; LIMIT]),
        path if path.ends_with("/announced") => Reply::status(200).stall(LIMIT as u64 + 1, ""),
        _ => Reply::status(200).until_close(vec![b' '; LIMIT + 1]),
    })
    .await;
    let registry = registry(&server);
    assert_eq!(pull(&registry).await.unwrap().len(), LIMIT);
    for tag in ["announced", "surprise"] {
        let reference: Reference = tag.parse().unwrap();
        let result = registry
            .get_manifest(&repository(), &reference, Accepts::MODERN)
            .await;
        assert_eq!(*result.unwrap_err().kind(), ErrorKind::Protocol, "{tag}");
    }
}

#[tokio::test]
async fn listings_are_paged_by_the_upstreams_own_query() {
    let server = Server::start(|request| match request.path() {
        "/v2/_catalog" => Reply::ok(r#"{"repositories":[]}"#),
        _ => Reply::ok(r#"{"tags":["1"]}"#).header(
            "Link",
            r#"</v2/library/alpine/tags/list?last=1&n=1>; rel="next""#,
        ),
    })
    .await;
    let registry = registry(&server);

    let tags = Listing::Tags(repository());
    let page = registry
        .list(&tags, Some("n=1&orderby=time%20desc"))
        .await
        .unwrap();
    assert_eq!(page.bytes, r#"{"tags":["1"]}"#);
    assert_eq!(page.next.as_deref(), Some("last=1&n=1"));
    let page = registry.list(&Listing::Catalog, None).await.unwrap();
    assert_eq!(page.next, None);

    let targets: Vec<_> = server.requests().into_iter().map(|r| r.target).collect();
    let first = "/v2/library/alpine/tags/list?n=1&orderby=time%20desc";
    assert_eq!(targets, [first, "/v2/_catalog"]);
}
