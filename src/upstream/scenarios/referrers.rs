//! Lists of referrers, and the ways to say that there are none.

use super::server::{Reply, Server};
use super::*;
use crate::upstream::{ListBody, Listing, UpstreamError};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LIST: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

async fn referrers(server: &Server, query: Option<&str>) -> Result<ListBody, UpstreamError> {
    let listing = Listing::Referrers(repository(), digest());
    registry(server).list(&listing, query).await
}

async fn kind_of(reply: Reply) -> ErrorKind {
    let server = Server::start(move |_| reply.clone()).await;
    referrers(&server, None).await.unwrap_err().kind().clone()
}

#[tokio::test]
async fn item_55_a_list_is_an_index_and_says_whether_it_is_filtered() {
    let server = Server::start(|request| {
        let reply = Reply::ok(LIST).header("Content-Type", &format!("{INDEX}; charset=utf-8"));
        if request.target.contains("artifactType=") {
            reply.header("OCI-Filters-Applied", "artifactType")
        } else {
            reply.header("Link", r#"</v2/a/referrers/b?nextToken=x%3D>; rel="next""#)
        }
    })
    .await;
    let first = referrers(&server, None).await.unwrap();
    assert_eq!((&*first.bytes, first.is_filtered), (LIST.as_bytes(), false));
    assert_eq!(first.next.as_deref(), Some("nextToken=x%3D"));
    let typed = "artifactType=application%2Fvnd.example";
    let filtered = referrers(&server, Some(typed)).await.unwrap();
    assert_eq!((filtered.next, filtered.is_filtered), (None, true));

    let path = format!("/v2/library/alpine/referrers/{}", digest());
    let requests = server.requests();
    assert_eq!(requests[0].target, path);
    assert_eq!(requests[0].header("accept"), Some(INDEX));
    assert_eq!(requests[1].target, format!("{path}?{typed}"));
}

#[tokio::test]
async fn item_54_an_upstream_without_a_list_is_told_as_one() {
    let named = r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#;
    let invalid = r#"{"errors":[{"code":"MANIFEST_INVALID"}]}"#;
    for reply in [
        Reply::status(404).body("404 page not found"),
        Reply::status(404)
            .body("<html>")
            .header("Content-Type", "text/html"),
        Reply::status(404).body(named),
        Reply::status(400).body(invalid),
        Reply::status(405),
        Reply::status(406),
        Reply::status(501),
        Reply::ok(LIST),
        Reply::ok("{}").header("Content-Type", "application/json"),
    ] {
        assert_eq!(kind_of(reply).await, ErrorKind::NotFound { code: None });
    }
}

#[tokio::test]
async fn an_outage_is_not_told_as_a_lack() {
    let portal = Reply::ok("<html>").header("Content-Type", "text/html");
    assert_eq!(kind_of(portal).await, ErrorKind::Protocol);
    assert_eq!(kind_of(Reply::status(503)).await, ErrorKind::Status(503));
    assert_eq!(kind_of(Reply::status(403)).await, ErrorKind::Denied);
}

#[tokio::test]
async fn a_list_without_end_is_not_read_to_its_end() {
    let server = Server::start(|request| match request.path() {
        "/v2/_catalog" => Reply::status(200).until_close(vec![b' '; 8 * 1024 * 1024 + 1]),
        _ => Reply::status(200)
            .header("Content-Type", INDEX)
            .stall(8 * 1024 * 1024 + 1, ""),
    })
    .await;
    let error = referrers(&server, None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Protocol);
    let error = registry(&server).list(&Listing::Catalog, None).await;
    assert_eq!(*error.unwrap_err().kind(), ErrorKind::Protocol);
}
