//! An account that a helper knows, which changes while we pull.

use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::server::{Reply, Server};
use super::*;

const TTL: Duration = Duration::from_mins(30);

/// A program in a folder of its own that answers with what is in a file, and notes what it is asked.
struct Login(TempDir);

impl Login {
    fn new() -> Self {
        let login = Self(TempDir::new().unwrap());
        login.shell(
            r#"cat > login <<'END'
#!/bin/sh
cd "$(dirname "$0")"
[ "$1" = get ] || exit 2
cat >> asked; echo >> asked
echo hunter2 >&2
cat answer
END
chmod +x login; touch asked"#,
        );
        login
    }

    /// What a line for the shell prints, in the folder.
    fn shell(&self, line: &str) -> String {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-ec", line]).current_dir(self.0.path());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn says(&self, username: &str, secret: &str) {
        let answer = format!(r#"{{"Username":"{username}","Secret":"{secret}"}}"#);
        self.shell(&format!("echo '{answer}' > answer"));
    }

    fn fails(&self) {
        self.shell("rm answer");
    }

    /// For whom it was asked, each time.
    fn asked(&self) -> Vec<String> {
        let asked = self.shell("cat asked");
        asked.lines().map(str::to_owned).collect()
    }

    fn registry(&self, server: &Server) -> HttpRegistry {
        registry_with(&Settings {
            credentials: Credentials::Program {
                program: self.0.path().join("login"),
                ttl: TTL,
            },
            ..settings(server)
        })
    }
}

/// The password that a registry takes; the test changes it.
fn password(right: &str) -> Arc<Mutex<String>> {
    Arc::new(Mutex::new(right.to_owned()))
}

fn basic(username: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{secret}")))
}

/// A registry that takes a password.
async fn taking(right: &Arc<Mutex<String>>) -> Server {
    let right = Arc::clone(right);
    Server::start(move |request| {
        let right = basic("AWS", &right.lock());
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
async fn a_program_is_asked_once_for_many_pulls_and_again_when_its_time_is_over() {
    let login = Login::new();
    let right = password("one");
    login.says("AWS", "one");
    let server = taking(&right).await;
    let registry = login.registry(&server);
    for pulled in join_all((0..8).map(|_| pull(&registry))).await {
        pulled.unwrap();
    }
    assert_eq!(login.asked(), [format!("127.0.0.1:{}", server.port)]);

    login.says("AWS", "two");
    later(TTL).await;
    "two".clone_into(&mut right.lock());
    pull(&registry).await.unwrap();
    assert_eq!(login.asked().len(), 2);
}

#[tokio::test]
async fn item_73_credentials_are_renewed_with_pulls_in_flight() {
    let login = Login::new();
    let right = password("one");
    login.says("AWS", "one");
    let server = taking(&right).await;
    let registry = login.registry(&server);
    let mut blob = registry
        .get_blob(&repository(), &digest(), None)
        .await
        .unwrap();
    assert_eq!(blob.stream.next().await.unwrap().unwrap(), "blob");

    // The old password ends before its time: the next 401 brings the new one.
    login.says("AWS", "two");
    "two".clone_into(&mut right.lock());
    later(TTL / 2).await;
    for pulled in join_all((0..8).map(|_| pull(&registry))).await {
        pulled.unwrap();
    }
    assert_eq!(login.asked().len(), 2);
    // The pull in flight goes on: nothing was ended for it.
    let waits = tokio::time::timeout(SOON, blob.stream.next()).await;
    assert!(waits.is_err(), "{waits:?}");
}

#[tokio::test]
async fn a_wrong_account_does_not_ask_its_program_again_and_again() {
    let login = Login::new();
    login.says("AWS", "wrong");
    let server = Server::start(|_| Reply::challenge("Basic realm=\"r\"")).await;
    let registry = login.registry(&server);
    for _ in 0..3 {
        assert_eq!(pull(&registry).await, Err(ErrorKind::Unauthorized));
    }
    assert_eq!(login.asked().len(), 1);
}

#[tokio::test]
async fn what_was_known_before_is_used_while_a_program_fails() {
    let login = Login::new();
    let right = password("one");
    login.says("AWS", "one");
    let server = taking(&right).await;
    let registry = login.registry(&server);
    pull(&registry).await.unwrap();
    login.fails();
    later(TTL).await;
    pull(&registry).await.unwrap();
    assert_eq!(login.asked().len(), 2);
    // Not for ever.
    later(TTL).await;
    let refused = pull(&registry).await;
    assert_eq!(refused, Err(ErrorKind::Credentials));
}

#[tokio::test]
async fn a_program_that_fails_is_an_outage_and_its_words_stay_here() {
    let login = Login::new();
    let server = Server::start(|_| Reply::challenge("Basic realm=\"r\"")).await;
    let registry = login.registry(&server);
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
    let login = Login::new();
    login.says("<token>", "identity");
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
    pull(&login.registry(&server)).await.unwrap();
    let fixed = Settings {
        credentials: Credentials::IdentityToken("identity".into()),
        ..settings(&server)
    };
    pull(&registry_with(&fixed)).await.unwrap();
    assert_eq!(login.asked().len(), 1);
}
