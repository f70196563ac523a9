//! Harbor, Artifactory, Nexus, and the distribution registry: what people run themselves.

use super::*;

#[tokio::test]
async fn harbor_has_codes_of_its_own_and_blobs_without_a_length() {
    let server = Server::start(|request| match request.path() {
        MANIFEST => Reply::status(404)
            .body(r#"{"errors":[{"code":"NOT_FOUND","message":"artifact not found"}]}"#),
        _ => Reply::status(200).chunked(BLOB),
    })
    .await;
    let registry = registry(&server);
    let code = Some("NOT_FOUND".to_owned());
    assert_eq!(pull(&registry).await, Err(ErrorKind::NotFound { code }));
    let body = blob(&registry, None).await;
    assert_eq!((body.end, body.size), (None, None));
    assert_eq!(read(body).await.unwrap(), BLOB);
}

#[tokio::test]
async fn artifactory_tells_the_digest_under_a_name_of_its_own() {
    let digest = Digest::sha256_of(BODY.as_bytes());
    let hash = digest.encoded().to_owned();
    let server = Server::start(move |request| {
        let head = Reply::ok(BODY)
            .header("Content-Type", "application/octet-stream")
            .header("ETag", "356a192b7913b04c54574d18c28d46e6395428ab")
            .header("X-Checksum-Sha256", &hash);
        match (&*request.method, request.path()) {
            ("HEAD", MANIFEST) => head.header("Content-Length", ""),
            ("HEAD", _) => Reply::ok("").header("Content-Length", ""),
            (_, MANIFEST) => head,
            _ => ranged(request),
        }
    })
    .await;
    let registry = registry(&server);
    let told = head(&registry).await.unwrap();
    assert_eq!((told.digest.as_ref(), told.size), (Some(&digest), None));
    assert_eq!(told.media_type, Some(MediaType::OCTET_STREAM));
    let body = manifest(&registry, Accepts::MODERN).await.unwrap();
    assert_eq!(body.digest, Some(digest));
    assert_eq!(blob_size(&registry).await, BLOB.len() as u64);
}

#[tokio::test]
async fn nexus_has_no_digests_and_lists_with_holes() {
    let tags = r#"{"name":"library/alpine","tags":null}"#;
    let server = Server::start(
        move |request| match (request.authorization(), request.path()) {
            (Some(BASIC), MANIFEST) => Reply::ok(BODY).header("Content-Type", INDEX),
            (Some(BASIC), _) => Reply::ok(tags),
            _ => Reply::challenge("Basic realm=\"Sonatype Nexus Repository Manager\""),
        },
    )
    .await;
    let registry = registry_with(&own(&server));
    let body = manifest(&registry, Accepts::MODERN).await.unwrap();
    assert_eq!(
        (body.digest, body.media_type),
        (None, Some(MediaType::OCI_INDEX))
    );
    let page = registry
        .list(&Listing::Tags(repository()), None)
        .await
        .unwrap();
    assert_eq!(page.bytes, tags);
}

#[tokio::test]
async fn nexus_a_realm_with_two_ports_is_nonsense_and_says_so() {
    let realm = "http://127.0.0.1:8082:8082/v2/token";
    let server = Server::start(move |_| Reply::bearer(realm)).await;
    let registry = registry(&server);
    let error = registry
        .get_manifest(&repository(), &tag(), Accepts::MODERN)
        .await;
    let error = error.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Protocol);
    assert!(
        error.to_string().contains("the token realm is no URL"),
        "{error}"
    );
    assert!(!registry.standing().is_down);
}

#[tokio::test]
async fn distribution_as_a_mirror_sends_the_whole_on_a_miss_and_parts_afterwards() {
    let storage = storage().await;
    let signed = storage.at("/docker/registry/v2/blobs/data?X-Amz-Signature=s3cret");
    let server = Server::start(move |request| {
        let is_index = request.header("accept").unwrap().contains(INDEX);
        match (request.path(), request.header("range")) {
            (MANIFEST, _) if is_index => Reply::ok(BODY).header("Content-Type", INDEX),
            // Who does not name the type finds nothing.
            (MANIFEST, _) => Reply::status(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
            (_, Some("bytes=4-")) => Reply::ok(BLOB),
            _ => Reply::redirect(307, &signed),
        }
    })
    .await;
    let registry = registry(&server);
    manifest(&registry, Accepts::MODERN).await.unwrap();
    let old = Accepts::of_lines([MediaType::DOCKER_MANIFEST.as_str()]);
    let code = Some("MANIFEST_UNKNOWN".to_owned());
    let missing = manifest(&registry, old).await.unwrap_err();
    assert_eq!(missing, ErrorKind::NotFound { code });

    let whole = blob(&registry, RangeSpec::From(4)).await;
    assert_eq!((whole.offset, whole.size), (0, Some(10)));
    assert_eq!(read(whole).await.unwrap(), BLOB);
    let part = blob(&registry, RangeSpec::From(5)).await;
    assert_eq!((part.offset, part.size), (5, Some(10)));
}
