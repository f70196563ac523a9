//! Artifact Registry, and `registry.k8s.io` in front of it.

use super::*;

#[tokio::test]
async fn item_75_artifact_registry_sends_to_a_place_relative_to_itself() {
    let place = "/artifacts-downloads/namespaces/p/repositories/r/downloads/s3cret";
    let server = Server::start(
        move |request| match (request.path(), request.authorization()) {
            (path, _) if path == place => ranged(request),
            (_, Some(BASIC)) => Reply::redirect(302, place),
            _ => Reply::challenge("Basic realm=\"r\""),
        },
    )
    .await;
    let body = blob(&registry_with(&own(&server)), RangeSpec::FromTo(2, 5)).await;
    assert_eq!(read(body).await.unwrap(), &BLOB[2..=5]);
    assert_eq!(server.count(place), 1);
}

#[tokio::test]
async fn item_74_registry_k8s_io_sends_everything_to_others_who_have_their_own_realms() {
    let storage = storage().await;
    let signed = storage.at("/bucket/blob?X-Amz-Signature=s3cret");
    let regional = Server::start_at(|url| {
        let challenge = format!(
            r#"Bearer realm="{url}/v2/token",service="regional",scope="repository:k8s/images/alpine:pull""#
        );
        move |request| match request.path() {
            "/v2/token" => Reply::ok(r#"{"token":"anyone"}"#),
            _ if !bears(request, "anyone") => Reply::challenge(&challenge),
            path if path.contains("/manifests/") => Reply::ok(BODY).header("Content-Type", INDEX),
            _ => Reply::redirect(302, &signed),
        }
    })
    .await;
    let away = regional.at("");
    let server = Server::start(move |request| match (request.path(), &*request.method) {
        ("/v2/", _) => Reply::ok(""),
        ("/v2/_catalog", _) => Reply::status(404).body("404 page not found"),
        (path, "GET" | "HEAD") => {
            let path = path.replace("/v2/library/", "/v2/k8s/images/");
            Reply::redirect(307, &format!("{away}{path}"))
        }
        _ => Reply::status(405),
    })
    .await;

    let registry = registry_with(&own(&server));
    let media_type = head(&registry).await.unwrap().media_type;
    assert_eq!(media_type, Some(MediaType::OCI_INDEX));
    pull(&registry).await.unwrap();
    let body = blob(&registry, RangeSpec::From(3)).await;
    assert_eq!(read(body).await.unwrap(), &BLOB[3..]);
    assert_eq!(blob_size(&registry).await, BLOB.len() as u64);
    let missing = ErrorKind::NotFound { code: None };
    let catalog = registry.list(&Listing::Catalog, None).await;
    assert_eq!(*catalog.unwrap_err().kind(), missing);

    assert_eq!(
        regional.count("/v2/token"),
        1,
        "a token of another's is kept too"
    );
    for request in regional.requests().iter().chain(&storage.requests()) {
        assert!(request.authorization().is_none() || bears(request, "anyone"));
    }
    for request in storage.requests() {
        assert_eq!(request.authorization(), None);
    }
}
