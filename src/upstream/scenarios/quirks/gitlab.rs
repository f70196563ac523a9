//! GitLab: a realm on the host of the application, and limits by the minute.

use super::*;

#[tokio::test]
async fn gitlab_gets_its_token_from_the_application() {
    let (realm, storage) = (realm("t").await, storage().await);
    let challenge = format!(
        r#"Bearer realm="{}",service="container_registry",scope="{SCOPE}",error="invalid_token""#,
        realm.at("/jwt/auth")
    );
    let signed = storage.at("/gitlab-com-registry/data?Expires=1200");
    let server = Server::start(move |request| match request.path() {
        _ if !bears(request, "t") => Reply::challenge(&challenge),
        MANIFEST => Reply::ok(BODY),
        _ => Reply::redirect(307, &signed),
    })
    .await;
    let registry = registry_with(&own(&server));
    pull(&registry).await.unwrap();
    assert_eq!(read(blob(&registry, None).await).await.unwrap(), BLOB);
    let tokens = realm.requests();
    assert_eq!(tokens.len(), 1);
    assert!(
        tokens[0]
            .target
            .starts_with("/jwt/auth?service=container_registry&")
    );
    assert_eq!(tokens[0].authorization(), Some(BASIC));
}

#[tokio::test]
async fn gitlab_a_limit_by_the_minute_is_spent_for_a_minute() {
    let server = Server::start(|_| {
        Reply::ok(BODY)
            .header("RateLimit-Limit", "2000")
            .header("RateLimit-Remaining", "3")
            .header("RateLimit-Reset", "1700000000")
    })
    .await;
    let registry = registry(&server);
    pull(&registry).await.unwrap();
    assert!(registry.standing().is_spent);
    later(Duration::from_mins(1)).await;
    assert!(!registry.standing().is_spent);
}
