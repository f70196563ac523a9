//! GHCR, Quay, Red Hat: open registries of others.

use super::*;

#[tokio::test]
async fn ghcr_a_package_that_is_private_or_missing_is_refused_by_the_realm() {
    let realm =
        Server::start(|_| Reply::status(401).body(r#"{"errors":[{"code":"DENIED"}]}"#)).await;
    let challenge = format!(r#"Bearer realm="{}",service="ghcr.io""#, realm.at("/token"));
    let server = Server::start(move |_| Reply::challenge(&challenge)).await;
    let registry = registry(&server);
    for _ in 0..5 {
        assert_eq!(pull(&registry).await, Err(ErrorKind::Unauthorized));
    }
    assert!(!registry.standing().is_down);
}

#[tokio::test]
async fn ghcr_a_url_signed_for_get_tells_the_size_by_its_first_byte() {
    let storage = Server::start(|request| match &*request.method {
        "HEAD" => Reply::status(403),
        _ => ranged(request),
    })
    .await;
    let signed = storage.at("/blob?se=300&sig=s3cret");
    let server = Server::start(move |_| Reply::redirect(307, &signed)).await;
    assert_eq!(blob_size(&registry(&server)).await, BLOB.len() as u64);
    let lines: Vec<_> = asked(&storage);
    assert_eq!(
        lines,
        [
            "HEAD /blob?se=300&sig=s3cret",
            "GET /blob?se=300&sig=s3cret"
        ]
    );
    assert_eq!(storage.requests()[1].header("range"), Some("bytes=0-0"));
}

#[tokio::test]
async fn item_76_quay_a_blob_is_redirected_for_get_and_told_for_head() {
    let storage = storage().await;
    let signed = storage.at("/sha256/ab?X-Amz-Expires=600");
    let server = Server::start_at(|url| {
        let challenge =
            format!(r#"Bearer realm="{url}/v2/auth",service="quay.io",scope="{SCOPE}""#);
        move |request| match (request.path(), &*request.method) {
            ("/v2/auth", _) => Reply::ok(r#"{"token":"t"}"#),
            _ if !bears(request, "t") => Reply::challenge(&challenge),
            (_, "HEAD") => Reply::ok(BLOB)
                .header("Accept-Ranges", "bytes")
                .header("WWW-Authenticate", &challenge),
            _ => Reply::redirect(302, &signed).header("WWW-Authenticate", &challenge),
        }
    })
    .await;
    let registry = registry(&server);
    assert_eq!(blob_size(&registry).await, BLOB.len() as u64);
    assert!(storage.requests().is_empty());
    let body = blob(&registry, RangeSpec::From(4)).await;
    assert_eq!(read(body).await.unwrap(), &BLOB[4..]);
    assert_eq!(storage.requests()[0].method, "GET");
    assert_eq!(server.count("/v2/auth"), 1);
}

#[tokio::test]
async fn item_19_quay_converts_for_those_who_do_not_take_what_is_there() {
    let server = Server::start(|request| {
        let accept = request.header("accept").unwrap();
        let known = [
            INDEX,
            "application/vnd.docker.distribution.manifest.v2+json",
        ];
        let media_type = known.into_iter().find(|it| accept.contains(it));
        let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        Reply::ok(BODY).header("Content-Type", media_type.unwrap_or(old))
    })
    .await;
    let registry = registry(&server);
    for (accept, expected) in [
        (None, MediaType::OCI_INDEX),
        (Some(MediaType::DOCKER_MANIFEST), MediaType::DOCKER_MANIFEST),
        (
            Some(MediaType::DOCKER_SCHEMA1_SIGNED),
            MediaType::DOCKER_SCHEMA1_SIGNED,
        ),
    ] {
        let line = accept.as_ref().map(MediaType::as_str);
        let accepts = line.map_or(Accepts::MODERN, |line| Accepts::of_lines([line]));
        let body = manifest(&registry, accepts).await.unwrap();
        assert_eq!(body.media_type, Some(expected));
    }
}

#[tokio::test]
async fn item_53_quay_pages_and_codes_of_its_own_are_passed_on() {
    let server = Server::start(|request| match request.path() {
        "/v2/_catalog" => Reply::ok(r#"{"repositories":[]}"#).header(
            "Link",
            r#"</v2/_catalog?n=100&next_page=gAAAA%3D>; rel="next""#,
        ),
        _ => Reply::status(404).body(r#"{"errors":[{"code":"TAG_EXPIRED"}]}"#),
    })
    .await;
    let registry = registry(&server);
    let page = registry
        .list(&Listing::Catalog, Some("n=1000"))
        .await
        .unwrap();
    assert_eq!(page.next.as_deref(), Some("n=100&next_page=gAAAA%3D"));
    let code = Some("TAG_EXPIRED".to_owned());
    assert_eq!(pull(&registry).await, Err(ErrorKind::NotFound { code }));
}

#[tokio::test]
async fn red_hat_a_manifest_has_no_digest_and_a_type_that_says_nothing() {
    let server = Server::start(|request| match request.path() {
        MANIFEST => Reply::ok(BODY).header("Content-Type", "text/plain; charset=utf-8"),
        path if path.contains("/manifests/") => {
            Reply::status(404).body(r#"{"errors":[{"code":"UNKNOWN","message":"Not Found"}]}"#)
        }
        // It would send configurations in gzip to those who take that.
        _ if request.header("accept-encoding") == Some("identity") => Reply::ok(BLOB),
        _ => Reply::ok("gzip").header("Content-Encoding", "gzip"),
    })
    .await;
    let registry = registry(&server);
    let body = manifest(&registry, Accepts::MODERN).await.unwrap();
    let plain: MediaType = "text/plain".parse().unwrap();
    assert_eq!((body.digest, body.media_type), (None, Some(plain)));
    assert_eq!(read(blob(&registry, None).await).await.unwrap(), BLOB);
    let other: Reference = "4".parse().unwrap();
    let missing = registry
        .get_manifest(&repository(), &other, Accepts::MODERN)
        .await;
    let code = Some("UNKNOWN".to_owned());
    assert_eq!(*missing.unwrap_err().kind(), ErrorKind::NotFound { code });
}
