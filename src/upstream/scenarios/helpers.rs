//! An account that a helper knows, which changes while we pull.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tempfile::TempDir;

use super::server::{Reply, Server};
use super::*;

const TTL: Duration = Duration::from_mins(30);

/// A helper that answers with what is in a file, and counts how often it is asked.
struct Helper(TempDir);

impl Helper {
    fn new() -> Self {
        let helper = Self(TempDir::new().unwrap());
        let folder = helper.0.path().display();
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = get ] || exit 2\ncat >> {folder}/asked; echo >> {folder}/asked\n\
             echo hunter2 >&2\ncat {folder}/answer\n"
        );
        let program = helper.0.path().join("login");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        helper
    }

    fn says(&self, username: &str, secret: &str) {
        let answer = format!(r#"{{"Username":"{username}","Secret":"{secret}"}}"#);
        fs::write(self.0.path().join("answer"), answer).unwrap();
    }

    fn fails(&self) {
        fs::remove_file(self.0.path().join("answer")).unwrap();
    }

    /// For whom it was asked, each time.
    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.0.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }

    fn registry(&self, server: &Server) -> HttpRegistry {
        registry_with(&Settings {
            credentials: Credentials::Helper {
                program: self.0.path().join("login"),
                ttl: TTL,
            },
            ..settings(server)
        })
    }
}

fn basic(username: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{secret}")))
}

/// A registry that takes the password in a file of the helper's, which is how the test changes it.
async fn taking(right: std::path::PathBuf) -> Server {
    Server::start(move |request| {
        let right = basic("AWS", &fs::read_to_string(&right).unwrap());
        match request.authorization() {
            Some(shown) if shown == right => match request.path() {
                MANIFEST => Reply::ok(BODY),
                _ => Reply::ok("blob").stall(8, "blob"),
            },
            _ => Reply::challenge("Basic realm=\"r\""),
        }
    })
    .await
}

#[tokio::test]
async fn a_helper_is_asked_once_for_many_pulls_and_again_when_its_time_is_over() {
    let helper = Helper::new();
    let right = helper.0.path().join("right");
    helper.says("AWS", "one");
    fs::write(&right, "one").unwrap();
    let server = taking(right.clone()).await;
    let registry = helper.registry(&server);
    for pulled in join_all((0..8).map(|_| pull(&registry))).await {
        pulled.unwrap();
    }
    assert_eq!(helper.asked(), [format!("127.0.0.1:{}", server.port)]);

    helper.says("AWS", "two");
    later(TTL).await;
    fs::write(&right, "two").unwrap();
    pull(&registry).await.unwrap();
    assert_eq!(helper.asked().len(), 2);
}

#[tokio::test]
async fn item_73_credentials_are_renewed_with_pulls_in_flight() {
    let helper = Helper::new();
    let right = helper.0.path().join("right");
    helper.says("AWS", "one");
    fs::write(&right, "one").unwrap();
    let server = taking(right.clone()).await;
    let registry = helper.registry(&server);
    let mut blob = registry
        .get_blob(&repository(), &digest(), None)
        .await
        .unwrap();
    assert_eq!(blob.stream.next().await.unwrap().unwrap(), "blob");

    // The old password ends before its time: the next 401 brings the new one.
    helper.says("AWS", "two");
    fs::write(&right, "two").unwrap();
    later(TTL / 2).await;
    for pulled in join_all((0..8).map(|_| pull(&registry))).await {
        pulled.unwrap();
    }
    assert_eq!(helper.asked().len(), 2);
    // The pull in flight goes on: nothing was ended for it.
    let waits = tokio::time::timeout(SOON, blob.stream.next()).await;
    assert!(waits.is_err(), "{waits:?}");
}

#[tokio::test]
async fn a_wrong_account_does_not_ask_its_helper_again_and_again() {
    let helper = Helper::new();
    helper.says("AWS", "wrong");
    let server = Server::start(|_| Reply::challenge("Basic realm=\"r\"")).await;
    let registry = helper.registry(&server);
    for _ in 0..3 {
        assert_eq!(pull(&registry).await, Err(ErrorKind::Unauthorized));
    }
    assert_eq!(helper.asked().len(), 1);
}

#[tokio::test]
async fn what_was_known_before_is_used_while_a_helper_fails() {
    let helper = Helper::new();
    let right = helper.0.path().join("right");
    helper.says("AWS", "one");
    fs::write(&right, "one").unwrap();
    let server = taking(right).await;
    let registry = helper.registry(&server);
    pull(&registry).await.unwrap();
    helper.fails();
    later(TTL).await;
    pull(&registry).await.unwrap();
    assert_eq!(helper.asked().len(), 2);
    // Not for ever.
    later(TTL).await;
    let refused = pull(&registry).await;
    assert_eq!(refused, Err(ErrorKind::Credentials));
}

#[tokio::test]
async fn a_helper_that_fails_is_an_outage_and_its_words_stay_here() {
    let helper = Helper::new();
    let server = Server::start(|_| Reply::challenge("Basic realm=\"r\"")).await;
    let registry = helper.registry(&server);
    let (repository, tag) = (repository(), tag());
    let pulled = registry.get_manifest(&repository, &tag, Accepts::MODERN);
    let error = pulled.await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Credentials);
    assert!(
        error.is_outage() && !error.to_string().contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn an_identity_token_is_exchanged_at_the_realm() {
    let helper = Helper::new();
    helper.says("<token>", "identity");
    let server = Server::start_at(|url| {
        move |request| match (request.path(), request.authorization()) {
            ("/token", None) if request.body.contains("refresh_token=identity") => {
                Reply::ok(r#"{"access_token":"t"}"#)
            }
            ("/token", _) => Reply::status(400),
            (_, Some("Bearer t")) => Reply::ok(BODY),
            _ => Reply::bearer(&format!("{url}/token")),
        }
    })
    .await;
    pull(&helper.registry(&server)).await.unwrap();
    let fixed = Settings {
        credentials: Credentials::IdentityToken("identity".into()),
        ..settings(&server)
    };
    pull(&registry_with(&fixed)).await.unwrap();
    assert_eq!(helper.asked().len(), 1);
}
