//! A program that knows an account: docker's credential helper protocol, which the helpers of ECR, GCR and ACR speak.
//!
//! `docker-credential-NAME get` reads whom it is for from its standard input, and writes `Username` and `Secret` as
//! JSON. What it says on standard error is not repeated: some helpers print what they should not.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

use super::identity::Identity;

/// How long a helper may take: some of them ask a service of their own.
const PATIENCE: Duration = Duration::from_secs(20);

/// No answer is read beyond this, in bytes.
const LONGEST: u64 = 64 * 1024;

/// In place of a name: the secret is a token for the realm, not a password.
const TOKEN: &str = "<token>";

/// Under what docker keeps its Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// Why a helper gave nothing. Holds no word of what it said.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("the credential helper {0} cannot be started: {1}")]
    Start(String, std::io::Error),
    #[error("the credential helper {0} failed ({1})")]
    Failed(String, std::process::ExitStatus),
    #[error("the credential helper {0} did not answer in {seconds} s", seconds = PATIENCE.as_secs())]
    Late(String),
    #[error("what the credential helper {0} answered is no account")]
    Nonsense(String),
}

/// Asks the helper for the account at `upstream`. The program ends with this future.
pub(super) async fn ask(program: &Path, upstream: &Url) -> Result<Identity, ProgramError> {
    let program = executable(program);
    let name = program.display().to_string();
    let asked = timeout(PATIENCE, run(&program, &key(upstream))).await;
    let (status, answer) = asked
        .map_err(|_| ProgramError::Late(name.clone()))?
        .map_err(|error| ProgramError::Start(name.clone(), error))?;
    if !status.success() {
        return Err(ProgramError::Failed(name, status));
    }
    parse(&answer).ok_or(ProgramError::Nonsense(name))
}

async fn run(program: &Path, key: &str) -> std::io::Result<(std::process::ExitStatus, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that knows the answer without reading may have gone already.
        let _ = stdin.write_all(key.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LONGEST).read_to_end(&mut answer).await?;
    }
    Ok((child.wait().await?, answer))
}

/// A path as it is; else the end of a program's name.
fn executable(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_owned();
    }
    PathBuf::from(format!("docker-credential-{}", program.display()))
}

/// Whom the account is for, as docker would say it.
fn key(upstream: &Url) -> String {
    let host = upstream.host_str().unwrap_or_default();
    match upstream.port() {
        None if matches!(host, "registry-1.docker.io" | "index.docker.io") => HUB.to_owned(),
        None => host.to_owned(),
        Some(port) => format!("{host}:{port}"),
    }
}

/// Whether what a program said is an account: the parser alone, for who tries it on any bytes.
#[doc(hidden)]
pub fn reads_as_account(answer: &[u8]) -> bool {
    parse(answer).is_some()
}

fn parse(answer: &[u8]) -> Option<Identity> {
    #[derive(Deserialize)]
    struct Account {
        #[serde(rename = "Username")]
        username: String,
        #[serde(rename = "Secret")]
        secret: String,
    }

    let account: Account = serde_json::from_slice(answer).ok()?;
    if account.secret.is_empty() {
        return None;
    }
    if account.username == TOKEN {
        return Some(Identity::Refresh(account.secret));
    }
    Identity::basic(&account.username, &account.secret)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_program_is_a_path_or_the_end_of_a_name() {
        for (said, meant) in [
            ("ecr-login", "docker-credential-ecr-login"),
            ("/opt/login", "/opt/login"),
            ("./login", "./login"),
        ] {
            assert_eq!(executable(Path::new(said)), Path::new(meant));
        }
    }

    #[test]
    fn it_is_asked_for_what_docker_would_ask_it_for() {
        for (url, expected) in [
            ("https://registry-1.docker.io", HUB),
            (
                "https://1.dkr.ecr.eu-west-1.amazonaws.com",
                "1.dkr.ecr.eu-west-1.amazonaws.com",
            ),
            ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ] {
            assert_eq!(key(&Url::parse(url).unwrap()), expected);
        }
    }

    #[test]
    fn its_answer_is_an_account_or_a_token() {
        let read = |text: &str| parse(text.as_bytes());
        let account = r#"{"ServerURL":"x","Username":"AWS","Secret":"s3cret"}"#;
        assert!(matches!(read(account), Some(Identity::Basic(_))));
        let token = r#"{"Username":"<token>","Secret":"s3cret"}"#;
        assert!(matches!(read(token), Some(Identity::Refresh(it)) if it == "s3cret"));
        for nothing in [
            "",
            "credentials not found in native keychain",
            r#"{"Username":"AWS","Secret":""}"#,
            r#"{"Username":"a:b","Secret":"x"}"#,
            r#"{"username":"a","secret":"x"}"#,
        ] {
            assert!(read(nothing).is_none(), "{nothing}");
        }
    }
}
