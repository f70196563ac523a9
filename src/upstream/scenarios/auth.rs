//! Challenges, tokens, and who gets to see credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::server::{Reply, Request, Server};
use super::*;
use crate::upstream::Listing;

/// A registry with a token realm of its own. `accepts` says which token is good now.
async fn bearer(accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    let issued = AtomicUsize::new(0);
    Server::start_at(|url| {
        let challenge = format!(
            r#"Bearer realm="{url}/token",service="registry.test",scope="repository:other:pull""#
        );
        move |request| {
            if request.path() == "/token" {
                let nth = 1 + issued.fetch_add(1, Ordering::SeqCst);
                return Reply::ok(format!(r#"{{"token":"t{nth}","expires_in":300}}"#));
            }
            let token = request
                .authorization()
                .and_then(|value| value.strip_prefix("Bearer "));
            match token {
                Some(token) if accepts(token) => Reply::ok(BODY),
                _ => Reply::challenge(&challenge),
            }
        }
    })
    .await
}

fn tokens(server: &Server) -> Vec<Request> {
    let mut requests = server.requests();
    requests.retain(|request| request.path() == "/token");
    requests
}

#[tokio::test]
async fn basic_credentials_are_sent_when_asked_for_and_unasked_afterwards() {
    let server = Server::start(|request| match request.authorization() {
        Some(BASIC) => Reply::ok(BODY),
        _ => Reply::challenge("Basic realm=\"registry\""),
    })
    .await;
    let registry = registry_with(&own(&server));
    pull(&registry).await.unwrap();
    assert_eq!(server.requests().len(), 2);
    pull(&registry).await.unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn wrong_or_missing_credentials_are_unauthorized() {
    let server = Server::start(|_| Reply::challenge("Basic realm=\"registry\"")).await;
    assert_eq!(pull(&registry(&server)).await, Err(ErrorKind::Unauthorized));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        pull(&registry_with(&own(&server))).await,
        Err(ErrorKind::Unauthorized)
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn an_anonymous_token_is_asked_for_with_service_and_our_scope() {
    let server = bearer(|token| token == "t1").await;
    let registry = registry(&server);
    pull(&registry).await.unwrap();
    pull(&registry).await.unwrap();

    let tokens = tokens(&server);
    assert_eq!(tokens.len(), 1, "a token is kept");
    let scope = SCOPE.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(
        tokens[0].target,
        format!("/token?service=registry.test&scope={scope}")
    );
    assert_eq!(tokens[0].authorization(), None);
    assert_eq!(server.count(MANIFEST), 3, "challenged once");
}

#[tokio::test]
async fn the_realm_gets_our_credentials_and_the_registry_the_token() {
    let server = bearer(|token| token == "t1").await;
    pull(&registry_with(&own(&server))).await.unwrap();
    assert_eq!(tokens(&server)[0].authorization(), Some(BASIC));
    let requests = server.requests();
    assert_eq!(requests.first().unwrap().authorization(), None);
    assert_eq!(requests.last().unwrap().authorization(), Some("Bearer t1"));
}

#[tokio::test]
async fn each_scope_has_its_token() {
    let server = bearer(|_| true).await;
    let registry = registry(&server);
    pull(&registry).await.unwrap();
    registry.list(&Listing::Catalog, None).await.unwrap();
    let tokens = tokens(&server);
    assert_eq!(tokens.len(), 2);
    assert!(
        tokens[1].target.ends_with("scope=registry%3Acatalog%3A*"),
        "{}",
        tokens[1].target
    );
}

#[tokio::test]
async fn many_requests_need_one_token() {
    let server = bearer(|token| token == "t1").await;
    let registry = registry(&server);
    let pulls = join_all((0..32).map(|_| pull(&registry))).await;
    assert!(pulls.iter().all(Result::is_ok));
    assert_eq!(tokens(&server).len(), 1);
}

#[tokio::test]
async fn many_requests_with_an_expired_token_need_one_more() {
    let expired = Arc::new(AtomicUsize::new(0));
    let past = Arc::clone(&expired);
    let server = bearer(move |token| token != format!("t{}", past.load(Ordering::SeqCst))).await;
    let registry = registry(&server);
    pull(&registry).await.unwrap();
    expired.store(1, Ordering::SeqCst);
    let pulls = join_all((0..32).map(|_| pull(&registry))).await;
    assert!(pulls.iter().all(Result::is_ok));
    assert_eq!(tokens(&server).len(), 2);
}

#[tokio::test]
async fn item_71_after_an_expired_token_we_ask_again_as_if_there_had_been_none() {
    let moved = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&moved);
    let server = Server::start_at(|url| {
        move |request| {
            let moved = now.load(Ordering::SeqCst) == 1;
            match (request.path(), request.authorization()) {
                ("/token", _) => Reply::ok(r#"{"token":"t"}"#),
                // The realm for those who come with an expired token lets nobody in.
                ("/renew", _) => Reply::status(403),
                (_, Some(_)) if moved => Reply::bearer(&format!("{url}/renew")),
                (_, None) if !moved => Reply::bearer(&format!("{url}/token")),
                _ => Reply::ok(BODY),
            }
        }
    })
    .await;
    let registry = registry(&server);
    pull(&registry).await.unwrap();
    moved.store(1, Ordering::SeqCst);
    pull(&registry).await.unwrap();
    assert_eq!(server.count("/token"), 1);
    assert_eq!(server.count("/renew"), 0);
}

#[tokio::test]
async fn a_token_that_opens_nothing_is_not_kept() {
    let server = bearer(|_| false).await;
    let registry = registry(&server);
    assert_eq!(pull(&registry).await, Err(ErrorKind::Unauthorized));
    assert_eq!(server.requests().len(), 3);
    assert_eq!(pull(&registry).await, Err(ErrorKind::Unauthorized));
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn item_72_a_bare_401_is_explained_by_the_base_endpoint() {
    let server = Server::start(|request| match (request.path(), request.authorization()) {
        (_, Some(BASIC)) => Reply::ok(BODY),
        ("/v2/", _) => Reply::challenge("Basic realm=\"r\""),
        _ => Reply::status(401),
    })
    .await;
    pull(&registry_with(&own(&server))).await.unwrap();
    let paths: Vec<_> = server
        .requests()
        .iter()
        .map(|r| r.path().to_owned())
        .collect();
    assert_eq!(paths, [MANIFEST, "/v2/", MANIFEST]);
}

#[tokio::test]
async fn a_challenge_without_401_means_nothing() {
    let server =
        Server::start(|_| Reply::ok(BODY).header("WWW-Authenticate", "Basic realm=\"r\"")).await;
    pull(&registry_with(&own(&server))).await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn bearer_comes_before_basic() {
    let server = Server::start_at(|url| {
        let bearer = format!(r#"Bearer realm="{url}/token""#);
        move |request| match (request.path(), request.authorization()) {
            ("/token", _) => Reply::ok(r#"{"access_token":"t"}"#),
            (_, Some("Bearer t")) => Reply::ok(BODY),
            _ => Reply::challenge("Basic realm=\"r\"").header("WWW-Authenticate", &bearer),
        }
    })
    .await;
    pull(&registry_with(&own(&server))).await.unwrap();
    let target = &tokens(&server)[0].target;
    let bare = target.starts_with("/token?scope=");
    assert!(bare, "an absent service is left out: {target}");
}

#[tokio::test]
async fn no_secret_is_ever_printed() {
    let server = bearer(|token| token == "t1").await;
    let settings = own(&server);
    let registry = registry_with(&settings);
    pull(&registry).await.unwrap();
    let printed = format!("{settings:?} {registry:?}");
    for secret in ["hunter2", "robot", BASIC, "Bearer t1", "cm9ib3Q6"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}
