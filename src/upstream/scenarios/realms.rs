//! Token realms: who may be one, and what a failing one means.

use super::server::{Reply, Server};
use super::*;
use crate::upstream::UpstreamError;

/// Pulls, with credentials, from a registry whose realm is on another host.
async fn pull_with_realm_at(host: &str, realms: &[&str]) -> (Server, Result<(), UpstreamError>) {
    let elsewhere = Server::start(|_| Reply::ok(r#"{"token":"t"}"#)).await;
    let realm = format!("http://{host}:{}/token", elsewhere.port);
    let server = Server::start(move |request| match request.authorization() {
        Some("Bearer t") => Reply::ok(BODY),
        _ => Reply::bearer(&realm),
    })
    .await;
    let settings = Settings {
        realms: realms.iter().map(ToString::to_string).collect(),
        ..own(&server)
    };
    let registry = registry_with(&settings);
    let result = registry
        .get_manifest(&repository(), &tag(), Accepts::MODERN)
        .await;
    (elsewhere, result.map(drop))
}

/// A registry that sends everyone to its realm, which answers with `token`.
async fn with_realm(token: Reply) -> Server {
    Server::start_at(|url| {
        move |request| match request.path() {
            "/token" => token.clone(),
            _ => Reply::bearer(&format!("{url}/token")),
        }
    })
    .await
}

#[tokio::test]
async fn item_69_a_realm_elsewhere_gets_nothing() {
    for host in ["localhost", "127.0.0.2"] {
        let (elsewhere, result) = pull_with_realm_at(host, &[]).await;
        let error = result.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Refused, "{host}");
        assert!(error.to_string().contains(host), "{error}");
        assert!(elsewhere.requests().is_empty(), "{host}");
    }
}

#[tokio::test]
async fn a_listed_realm_gets_our_credentials() {
    let (elsewhere, result) = pull_with_realm_at("localhost", &["localhost"]).await;
    result.unwrap();
    assert_eq!(elsewhere.requests()[0].authorization(), Some(BASIC));
}

#[tokio::test]
async fn item_69_a_token_request_is_not_redirected_off_its_realm() {
    let thief = Server::start(|_| Reply::ok(r#"{"token":"t"}"#)).await;
    let server = with_realm(Reply::redirect(307, &thief.at("/token"))).await;
    let result = pull(&registry_with(&own(&server))).await;
    assert_eq!(result, Err(ErrorKind::Refused));
    assert!(thief.requests().is_empty());
}

#[tokio::test]
async fn a_token_request_follows_its_realm_within_bounds() {
    let server = with_realm(Reply::redirect(307, "/token")).await;
    let result = pull(&registry_with(&own(&server))).await;
    assert_eq!(result, Err(ErrorKind::Protocol));
    assert_eq!(server.count("/token"), 6);
}

#[tokio::test]
async fn a_realm_that_fails_is_not_taken_for_the_registry() {
    for (status, expected) in [
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Denied),
        (404, ErrorKind::Status(404)),
        (503, ErrorKind::Status(503)),
        (200, ErrorKind::Protocol),
    ] {
        let server = with_realm(Reply::status(status).body("<html>")).await;
        assert_eq!(pull(&registry(&server)).await, Err(expected));
    }
}

#[tokio::test]
async fn a_token_body_has_a_limit() {
    let token = format!(r#"{{"token":"{}"}}"#, "t".repeat(64 * 1024));
    let server = with_realm(Reply::ok(token)).await;
    assert_eq!(pull(&registry(&server)).await, Err(ErrorKind::Protocol));
}

#[tokio::test]
async fn a_challenge_without_a_realm_is_nonsense() {
    let server = Server::start(|_| Reply::challenge("Bearer service=\"r\"")).await;
    assert_eq!(pull(&registry(&server)).await, Err(ErrorKind::Protocol));
}
