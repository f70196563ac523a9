//! `roadstead status`, `cache` and `gc` against a running mirror.

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::support::bound::until;
use crate::support::free_address;
use crate::support::mirror::{Plan, roadstead};
use crate::support::process::{run, said};
use crate::support::registry::Access;
use crate::support::upstream::Upstream;
use crate::traffic::{NOTHING_AHEAD, pulls};

async fn asked(admin: SocketAddr, arguments: &[&str]) -> Output {
    let mut command = roadstead();
    command.env_remove("ROADSTEAD_TOKEN");
    command
        .args(arguments)
        .arg("--server")
        .arg(format!("http://{admin}"));
    run(command, Duration::from_secs(30)).await
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_speak_of_a_running_mirror() {
    let upstream = Upstream::start(Access::Open).await;
    let mirror = Plan::of(&upstream.tap)
        .with_upstream(NOTHING_AHEAD)
        .start()
        .await;
    pulls(&upstream, &mirror, 1).await;

    let shown = asked(mirror.admin, &["status"]).await;
    assert!(shown.status.success(), "{}", said(&shown));
    assert!(
        out(&shown).contains("  hit rate             "),
        "{}",
        out(&shown)
    );
    assert!(
        out(&shown).contains("docker.io            up"),
        "{}",
        out(&shown)
    );
    let shown = asked(mirror.admin, &["status", "--json"]).await;
    let told: Value = serde_json::from_str(&out(&shown)).unwrap();
    assert!(
        told["status"]["totals"]["hits"].as_u64().unwrap() > 0,
        "{told}"
    );

    let reference = "docker.io/library/image-1:one";
    let shown = asked(mirror.admin, &["cache", "explain", reference]).await;
    assert!(out(&shown).contains("tag one: fresh"), "{}", said(&shown));
    let shown = asked(mirror.admin, &["cache", "refresh", reference]).await;
    assert!(
        out(&shown).contains("unchanged (revalidated)"),
        "{}",
        said(&shown)
    );
    let shown = asked(mirror.admin, &["cache", "rm", reference]).await;
    assert!(
        out(&shown).starts_with("1 tags forgotten"),
        "{}",
        said(&shown)
    );
    let again = asked(mirror.admin, &["cache", "rm", reference]).await;
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&again.stderr),
        format!("roadstead: {reference} is not here\n")
    );

    // The config file tells where the mirror is.
    let mut command = roadstead();
    command
        .args(["status", "--json", "--config"])
        .arg(mirror.config_file());
    let shown = run(command, Duration::from_secs(30)).await;
    assert!(shown.status.success(), "{}", said(&shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_on_one_line() {
    let nobody = free_address();
    let shown = asked(nobody, &["status"]).await;
    let said = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert_eq!(shown.status.code(), Some(1));
    assert!(
        said.starts_with(&format!("roadstead: http://{nobody} does not answer: ")),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");

    for misuse in [
        &["status", "--server", "nonsense"][..],
        &["status", "--config", "/nonexistent"],
        &["cache", "pin", "name"],
        &["cache"],
    ] {
        let mut command = roadstead();
        command.args(misuse);
        let shown = run(command, Duration::from_secs(30)).await;
        assert_eq!(
            shown.status.code(),
            Some(2),
            "{misuse:?}: {}",
            crate::support::process::said(&shown)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_mirror_to_who_brings_it() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let upstream = Upstream::start(Access::Open).await;
    let mirror = Plan::of(&upstream.tap).with_token(&token).start().await;

    let refused = asked(mirror.admin, &["status"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("a token is asked for"),
        "{}",
        said(&refused)
    );
    let file = token.to_str().unwrap();
    let shown = asked(mirror.admin, &["status", "--token-file", file]).await;
    assert!(shown.status.success(), "{}", said(&shown));
    for (secret, works) in [("s3cret", true), ("wrong", false)] {
        let mut command = roadstead();
        command.env("ROADSTEAD_TOKEN", secret);
        command
            .args(["status", "--server"])
            .arg(format!("http://{}", mirror.admin));
        let shown = run(command, Duration::from_secs(30)).await;
        assert_eq!(shown.status.success(), works, "{}", said(&shown));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_counted_while_it_is_open() {
    let upstream = Upstream::start(Access::Open).await;
    let mirror = Plan::of(&upstream.tap).start().await;
    for (open, all) in [(1.0, 1.0), (1.0, 2.0)] {
        let client = tokio::net::TcpStream::connect(mirror.address)
            .await
            .unwrap();
        // Whole numbers, which floats hold exactly.
        let counts = async |name: &str, value: f64| {
            until(name, Duration::from_secs(20), async || {
                mirror.metric(name, &[]).await.to_bits() == value.to_bits()
            })
            .await;
        };
        counts("roadstead_connections_open", open).await;
        counts("roadstead_connections_total", all).await;
        drop(client);
        counts("roadstead_connections_open", 0.0).await;
    }
}
