//! `nvcr.io`: a realm without a service, and tokens under any type.

use super::*;

#[tokio::test]
async fn nvcr_a_realm_without_a_service_is_asked_without_one() {
    for media_type in ["text/plain; charset=utf-8", "text/html"] {
        let server = Server::start_at(|url| {
            let challenge = format!(r#"Bearer realm="{url}/proxy_auth",scope="{SCOPE}""#);
            move |request| match request.path() {
                "/proxy_auth" if request.target.contains("service") => Reply::status(400),
                "/proxy_auth" => Reply::ok(r#"{"token":"t"}"#).header("Content-Type", media_type),
                _ if bears(request, "t") => Reply::ok(BODY),
                _ => Reply::challenge(&challenge),
            }
        })
        .await;
        pull(&registry_with(&as_user(&server, "$oauthtoken")))
            .await
            .unwrap();
        let token = &server.requests()[1];
        // `$oauthtoken:secret`
        assert_eq!(
            token.authorization(),
            Some("Basic JG9hdXRodG9rZW46c2VjcmV0")
        );
    }
}

#[tokio::test]
async fn item_71_nvcr_the_realm_for_expired_tokens_is_never_asked() {
    let server = Server::start_at(|url| {
        let expired = r#"Bearer realm="http://authn.nvidia.example/token",error="invalid_token""#;
        move |request| match (request.path(), request.authorization()) {
            ("/proxy_auth", _) => Reply::ok(r#"{"token":"t"}"#),
            (MANIFEST, None) => Reply::bearer(&format!("{url}/proxy_auth")),
            (MANIFEST, Some(_)) => Reply::ok(BODY),
            // By the time of the next question the token has expired.
            (_, Some(_)) => Reply::challenge(expired),
            (_, None) => Reply::ok(BLOB),
        }
    })
    .await;
    let registry = registry(&server);
    pull(&registry).await.unwrap();
    assert_eq!(read(blob(&registry, None).await).await.unwrap(), BLOB);
    assert_eq!(server.count("/proxy_auth"), 1);
}
