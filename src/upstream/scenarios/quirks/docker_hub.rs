//! Docker Hub: a realm and a storage on other hosts, and a budget.

use super::*;

/// The registry, its realm, its storage.
async fn hub() -> [Server; 3] {
    let (realm, storage) = (realm("t").await, storage().await);
    let challenge = format!(
        r#"Bearer realm="{}",service="registry.docker.io",scope="{SCOPE}""#,
        realm.at("/token")
    );
    let signed = storage.at("/registry-v2/data?verify=1700000000-s3cret");
    let server = Server::start(move |request| {
        if !bears(request, "t") {
            return Reply::challenge(&challenge);
        }
        match request.path() {
            // There is no catalog, for nobody.
            "/v2/_catalog" => Reply::challenge(&challenge),
            MANIFEST => Reply::ok(BODY)
                .header("Content-Type", INDEX)
                .header(
                    "Docker-Content-Digest",
                    Digest::sha256_of(BODY.as_bytes()).as_str(),
                )
                .header("ratelimit-limit", "100;w=21600")
                .header("ratelimit-remaining", "76;w=21600")
                .header("docker-ratelimit-source", "192.0.2.1"),
            _ => Reply::redirect(307, &signed),
        }
    })
    .await;
    [server, realm, storage]
}

#[tokio::test]
async fn docker_hub_a_pull_takes_one_token_and_leaves_it_with_the_registry() {
    let [server, realm, storage] = hub().await;
    let registry = registry(&server);
    let digest = head(&registry).await.unwrap().digest;
    assert_eq!(digest, Some(Digest::sha256_of(BODY.as_bytes())));
    pull(&registry).await.unwrap();
    assert_eq!(read(blob(&registry, None).await).await.unwrap(), BLOB);
    assert_eq!(blob_size(&registry).await, BLOB.len() as u64);
    assert!(!registry.standing().is_spent);

    let token = "GET /token?service=registry.docker.io&scope=repository%3Alibrary%2Falpine%3Apull";
    assert_eq!(asked(&realm), [token]);
    for request in storage.requests() {
        assert_eq!(request.authorization(), None);
        assert_eq!(request.header("cookie"), None);
    }
}

#[tokio::test]
async fn docker_hub_a_catalog_that_is_off_is_refused_and_no_outage() {
    let [server, _realm, _storage] = hub().await;
    let registry = registry(&server);
    for _ in 0..4 {
        let error = registry.list(&Listing::Catalog, None).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Unauthorized);
    }
}

#[tokio::test]
async fn docker_hub_a_spent_budget_shows_in_the_free_head() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::ok(BODY)
            .header("ratelimit-limit", "100;w=21600")
            .header("ratelimit-remaining", "0;w=21600"),
        _ => Reply::status(429).body(r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#),
    })
    .await;
    let registry = registry(&server);
    head(&registry).await.unwrap();
    assert!(registry.standing().is_spent);
    let refused = ErrorKind::TooManyRequests { retry_after: None };
    assert_eq!(pull(&registry).await, Err(refused));
    head(&registry).await.unwrap();
    assert_eq!(server.requests().len(), 3);
}
