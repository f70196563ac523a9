//! ECR, private and public.

use super::*;

#[tokio::test]
async fn ecr_takes_basic_and_gives_a_manifest_without_a_digest() {
    let storage = storage().await;
    let signed = storage.at("/prod-region-starport-layer-bucket/ab?X-Amz-Expires=3600");
    let server = Server::start(move |request| match request.authorization() {
        // `AWS:secret`
        Some("Basic QVdTOnNlY3JldA==") => match request.path() {
            MANIFEST => Reply::ok(BODY).header("Content-Type", INDEX),
            path if path.ends_with("/tags/list") => match request.target.split_once("n=") {
                Some((_, "5000")) => Reply::status(400),
                _ => Reply::ok(r#"{"tags":[]}"#),
            },
            _ => Reply::redirect(307, &signed),
        },
        _ => Reply::challenge("Basic realm=\"https://ecr.example/\",service=\"ecr.amazonaws.com\""),
    })
    .await;
    let registry = registry_with(&as_user(&server, "AWS"));
    let body = manifest(&registry, Accepts::MODERN).await.unwrap();
    assert_eq!(
        (body.digest, body.media_type),
        (None, Some(MediaType::OCI_INDEX))
    );
    assert_eq!(read(blob(&registry, None).await).await.unwrap(), BLOB);
    // Too large a page is an error there, and is told as one.
    let tags = Listing::Tags(repository());
    let error = registry.list(&tags, Some("n=5000")).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Status(400));
    registry.list(&tags, Some("n=1000")).await.unwrap();
}

#[tokio::test]
async fn item_42_ecr_public_refuses_head_of_a_blob_whoever_asks() {
    let storage = storage().await;
    let signed = storage.at("/layer?Signature=s3cret");
    let server = Server::start_at(|url| {
        let challenge =
            format!(r#"Bearer realm="{url}/token/",service="public.ecr.aws",scope="aws""#);
        move |request| match (request.path(), &*request.method) {
            ("/token/", _) => Reply::ok(r#"{"token":"t"}"#),
            (_, "HEAD") => Reply::challenge(&challenge),
            _ if bears(request, "t") => Reply::redirect(307, &signed),
            _ => Reply::challenge(&challenge),
        }
    })
    .await;
    let registry = registry(&server);
    assert_eq!(blob_size(&registry).await, BLOB.len() as u64);
    let so_far = server.requests().len();
    assert_eq!(blob_size(&registry).await, BLOB.len() as u64);
    // It grants one request in a second: what is known by then costs one.
    assert_eq!(server.requests().len(), so_far + 1);
}

#[tokio::test]
async fn ecr_public_a_rate_exceeded_is_waited_out() {
    let text = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}"#;
    let server = Server::start(move |_| Reply::status(429).body(text)).await;
    let registry = registry(&server);
    head(&registry).await.unwrap_err();
    for _ in 0..3 {
        let blob = registry.get_blob(&repository(), &digest(), None).await;
        let error = blob.unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::TooManyRequests {
                retry_after: Some(_)
            }
        ));
    }
    assert_eq!(server.requests().len(), 1);
}
