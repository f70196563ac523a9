//! Clients asked for as themselves: what they show goes to the upstream they mean, and nowhere else.

use std::sync::Arc;

use futures_util::future::join_all;

use super::server::{Reply, Request, Server};
use super::*;
use crate::oci::Scheme;
use crate::upstream::{ClientAuthorization, Grant, TokenAnswer, TokenRequest, UpstreamError};

/// What the clients of these tests show.
const SECRET: &str = "t0p-s3cret";

fn client(registry: &HttpRegistry) -> Arc<dyn Registry> {
    let shown = ClientAuthorization::bearer(SECRET).unwrap();
    registry.on_behalf(&shown).unwrap()
}

async fn pull_as(registry: &dyn Registry) -> Result<(), ErrorKind> {
    let (repository, tag) = (repository(), tag());
    let pulled = registry.get_manifest(&repository, &tag, Accepts::MODERN);
    pulled.await.map(drop).map_err(|error| error.kind().clone())
}

fn by_password() -> TokenRequest {
    TokenRequest {
        grant: Grant::Password {
            username: "robot".into(),
            password: "hunter2".into(),
        },
        scopes: vec![SCOPE.into(), "repository:b:pull".into()],
        client_id: Some("docker".into()),
    }
}

/// A registry with a realm of its own, which gives `t` for a minute.
async fn with_realm() -> Server {
    Server::start_at(|url| {
        move |request| match request.path() {
            "/token" => Reply::ok(r#"{"token":"t","expires_in":3}"#),
            _ => Reply::challenge(&format!(
                "Bearer realm=\"{url}/token\",service=\"s\",scope=\"x\""
            )),
        }
    })
    .await
}

/// Whether anything that a client showed is in what came.
fn shown(requests: &[Request]) -> bool {
    format!("{requests:?}").contains(SECRET)
}

#[tokio::test]
async fn a_client_is_asked_for_as_itself_and_its_refusal_is_final() {
    let server = Server::start(|request| match request.authorization() {
        Some("Bearer good") => Reply::ok(BODY),
        _ => Reply::bearer("http://127.0.0.1:1/token"),
    })
    .await;
    let registry = registry(&server);
    let good = ClientAuthorization::bearer("good").unwrap();
    let good = registry.on_behalf(&good).unwrap();
    pull_as(&*good).await.unwrap();
    let refused = pull_as(&*client(&registry)).await;
    assert_eq!(refused, Err(ErrorKind::Unauthorized));
    // Neither a realm nor anything of ours was tried.
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn item_72_a_client_is_refused_without_a_challenge_too() {
    let server = Server::start(|_| Reply::status(401)).await;
    let refused = pull_as(&*client(&registry(&server))).await;
    assert_eq!(refused, Err(ErrorKind::Unauthorized));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn where_we_have_an_account_nobody_is_asked_for_as_themselves() {
    let server = Server::start(|_| Reply::ok(BODY)).await;
    let shown = ClientAuthorization::bearer(SECRET).unwrap();
    assert!(registry_with(&own(&server)).on_behalf(&shown).is_none());
}

#[tokio::test]
async fn item_70_incident_14_what_a_client_shows_follows_no_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(|_| Reply::ok(BODY)).await;
        let target = elsewhere.at("/blob");
        let server = Server::start(move |_| Reply::redirect(status, &target)).await;
        pull_as(&*client(&registry(&server))).await.unwrap();
        assert_eq!(
            server.requests()[0].authorization(),
            Some("Bearer t0p-s3cret")
        );
        let there = elsewhere.requests();
        assert!(there.len() == 1 && !shown(&there), "{status}: {there:?}");
    }
}

#[tokio::test]
async fn item_69_incident_01_a_redirect_target_that_asks_is_told_nothing_of_a_client() {
    let elsewhere = Server::start_at(|url| {
        move |request| match request.path() {
            "/token" => Reply::ok(r#"{"token":"nobodys"}"#),
            _ => Reply::bearer(&format!("{url}/token")),
        }
    })
    .await;
    let target = elsewhere.at("/blob");
    let server = Server::start(move |_| Reply::redirect(307, &target)).await;
    let refused = pull_as(&*client(&registry(&server))).await;
    assert_eq!(refused, Err(ErrorKind::Unauthorized));
    let there = elsewhere.requests();
    assert!(!there.is_empty() && !shown(&there), "{there:?}");
}

/// Asks a registry for a token whose realm is `realm`, with `PORT` the port of a listener; gives what came to that.
async fn steal(realm: &str) -> (Vec<Request>, Result<TokenAnswer, UpstreamError>) {
    let thief = Server::start(|_| Reply::ok(r#"{"token":"t"}"#)).await;
    let realm = realm.replace("PORT", &thief.port.to_string());
    let server = Server::start(move |_| Reply::bearer(&realm)).await;
    let answer = registry(&server).token(&by_password()).await;
    (thief.requests(), answer)
}

#[tokio::test]
async fn item_69_incident_01_a_realm_elsewhere_is_told_nothing_of_a_client() {
    for realm in [
        "http://localhost:PORT/token",
        "http://127.0.0.2:PORT/token",
        "http://[::1]:PORT/token",
        "http://169.254.169.254/latest/meta-data",
        "http://evil.example/token",
        "https://127.0.0.2:PORT/token",
        "http://user:word@127.0.0.1:PORT/token",
        "file:///token",
    ] {
        let (seen, answer) = steal(realm).await;
        let error = answer.unwrap_err();
        assert!(seen.is_empty(), "{realm}: {seen:?}");
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::Refused | ErrorKind::Protocol),
            "{realm}: {error}"
        );
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    // The same host is the upstream's own, so the listener does hear what it should.
    let (seen, answer) = steal("http://127.0.0.1:PORT/token").await;
    answer.unwrap();
    assert_eq!(seen[0].authorization(), Some(BASIC));
}

#[tokio::test]
async fn item_69_a_realm_that_redirects_elsewhere_takes_nothing_there() {
    for request in [
        by_password(),
        TokenRequest {
            grant: Grant::RefreshToken(SECRET.into()),
            ..by_password()
        },
    ] {
        let thief = Server::start(|_| Reply::ok(r#"{"token":"t"}"#)).await;
        let target = thief.at("/token");
        let server = Server::start_at(|url| {
            move |request| match request.path() {
                "/token" => Reply::redirect(307, &target),
                _ => Reply::bearer(&format!("{url}/token")),
            }
        })
        .await;
        let error = registry(&server).token(&request).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Refused);
        assert!(thief.requests().is_empty());
    }
}

#[tokio::test]
async fn a_token_is_asked_for_by_password_in_the_words_of_the_realm() {
    let server = with_realm().await;
    let answer = registry(&server).token(&by_password()).await.unwrap();
    assert_eq!(
        answer.authorization,
        ClientAuthorization::bearer("t").unwrap()
    );
    assert_eq!(answer.expires_in, Duration::from_mins(1), "item 61");
    let asked = server.requests().pop().unwrap();
    assert_eq!(asked.authorization(), Some(BASIC));
    assert_eq!(
        asked.target,
        "/token?service=s&scope=repository%3Alibrary%2Falpine%3Apull&scope=repository%3Ab%3Apull&client_id=docker"
    );
}

#[tokio::test]
async fn item_60_a_token_in_place_of_a_password_is_posted() {
    let server = with_realm().await;
    let request = TokenRequest {
        grant: Grant::RefreshToken(SECRET.into()),
        client_id: None,
        ..by_password()
    };
    registry(&server).token(&request).await.unwrap();
    let asked = server.requests().pop().unwrap();
    assert_eq!((&*asked.method, &*asked.target), ("POST", "/token"));
    assert_eq!(asked.authorization(), None);
    assert_eq!(
        asked.body,
        "grant_type=refresh_token&refresh_token=t0p-s3cret&service=s\
         &scope=repository%3Alibrary%2Falpine%3Apull+repository%3Ab%3Apull&client_id=roadstead"
    );
}

#[tokio::test]
async fn nobody_gets_a_token_as_nobody() {
    let server = with_realm().await;
    let request = TokenRequest {
        grant: Grant::Nobody,
        scopes: Vec::new(),
        client_id: None,
    };
    registry(&server).token(&request).await.unwrap();
    let asked = server.requests().pop().unwrap();
    assert_eq!(
        (&*asked.target, asked.authorization()),
        ("/token?service=s", None)
    );
}

#[tokio::test]
async fn bad_credentials_are_the_realms_to_refuse() {
    for (status, kind) in [(401, ErrorKind::Unauthorized), (403, ErrorKind::Denied)] {
        let server = Server::start_at(|url| {
            move |request| match request.path() {
                "/token" => Reply::status(status),
                _ => Reply::bearer(&format!("{url}/token")),
            }
        })
        .await;
        let error = registry(&server).token(&by_password()).await.unwrap_err();
        assert_eq!(*error.kind(), kind);
    }
}

#[tokio::test]
async fn where_there_is_no_realm_there_is_no_token() {
    for script in [
        Reply::ok("{}"),
        Reply::challenge("Basic realm=\"r\""),
        Reply::status(401),
    ] {
        let server = Server::start(move |_| script.clone()).await;
        let error = registry(&server).token(&by_password()).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NotFound { .. }),
            "{error}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn many_who_want_to_know_the_challenge_are_one_question() {
    let server = with_realm().await;
    let registry = registry(&server);
    let challenges = join_all((0..32).map(|_| registry.challenge())).await;
    for challenge in challenges {
        let challenge = challenge.unwrap().unwrap();
        assert_eq!(*challenge.scheme(), Scheme::Bearer);
        assert_eq!(challenge.service(), Some("s"));
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_open_registry_asks_for_nothing_until_an_object_does() {
    let server = Server::start(|request| match request.path() {
        "/v2/" => Reply::ok("{}"),
        _ => Reply::challenge("Negotiate, Basic realm=\"r\""),
    })
    .await;
    let registry = registry(&server);
    assert_eq!(registry.challenge().await.unwrap(), None);
    pull_as(&*client(&registry)).await.unwrap_err();
    let learnt = registry.challenge().await.unwrap().unwrap();
    assert_eq!(*learnt.scheme(), Scheme::Basic);
    assert_eq!(server.count("/v2/"), 1);
}

#[tokio::test]
async fn an_outage_is_no_challenge_and_is_not_remembered() {
    let server = Server::start(|_| Reply::status(503)).await;
    let registry = registry(&server);
    for _ in 0..2 {
        let error = registry.challenge().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Status(503));
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn on_behalf_of_a_client_the_challenge_says_whether_it_is_known() {
    let server = Server::start(|request| match request.authorization() {
        Some(BASIC) => Reply::ok("{}"),
        _ => Reply::challenge("Basic realm=\"r\""),
    })
    .await;
    let registry = registry(&server);
    let coded = BASIC.strip_prefix("Basic ").unwrap();
    let known = ClientAuthorization::basic(coded).unwrap();
    let known = registry.on_behalf(&known).unwrap();
    assert_eq!(known.challenge().await.unwrap(), None);
    assert!(client(&registry).challenge().await.unwrap().is_some());
}

#[tokio::test]
async fn what_a_client_used_up_is_not_our_budget() {
    let server = Server::start(|request| match request.authorization() {
        Some(_) => Reply::status(429).header("Retry-After", "600"),
        None => Reply::ok(BODY),
    })
    .await;
    let registry = registry(&server);
    let refused = pull_as(&*client(&registry)).await;
    assert!(matches!(refused, Err(ErrorKind::TooManyRequests { .. })));
    assert!(!registry.standing().is_spent);
    pull(&registry).await.unwrap();
}
