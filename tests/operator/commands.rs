//! `roadstead status`, `cache` and `gc` against a running mirror.

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::support::bound::until;
use crate::support::free_address;
use crate::support::images::{Format, Layout};
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
        out(&shown).starts_with("1 tag forgotten, "),
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

/// Whoever can open the socket's file needs no token, and nobody else can.
#[tokio::test(flavor = "multi_thread")]
async fn the_operators_socket_needs_no_token() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let (token, socket) = (folder.path().join("token"), folder.path().join("socket"));
    std::fs::write(&token, "s3cret\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let upstream = Upstream::start(Access::Open).await;
    let plan = Plan::of(&upstream.tap).with_token(&token);
    let plan = plan.of_admin(&format!("socket = \"{}\"", socket.display()));
    let mut mirror = plan.start().await;
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server = format!("unix:{}", socket.display());
    for arguments in [
        &["status"][..],
        &["cache", "ls"],
        &["cache", "pins"],
        &["gc", "--dry-run"],
    ] {
        let mut command = roadstead();
        command.env_remove("ROADSTEAD_TOKEN");
        command.args(arguments).args(["--server", &server]);
        let shown = run(command, Duration::from_secs(30)).await;
        assert!(shown.status.success(), "{arguments:?}: {}", said(&shown));
    }
    let refused = asked(mirror.admin, &["status"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));

    mirror.stop();
    assert!(!socket.exists(), "it goes with its listener");
    let mut command = roadstead();
    command.args(["status", "--server", &server]);
    let shown = run(command, Duration::from_secs(30)).await;
    let said = String::from_utf8_lossy(&shown.stderr).into_owned();
    let begin = format!("roadstead: {server} does not answer: ");
    assert!(
        said.starts_with(&begin) && said.lines().count() == 1,
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_in_part_and_its_pin_are_told() {
    let upstream = Upstream::start(Access::Open).await;
    let mirror = Plan::of(&upstream.tap)
        .with_upstream(NOTHING_AHEAD)
        .start()
        .await;
    let layout = Layout::image(5, &[4000, 3000]);
    let registry = &upstream.registry;
    registry
        .push(&layout, "library/part", "one", Format::Oci)
        .await;
    let pull = mirror.get("/v2/library/part/manifests/one").await;
    let manifest: Value = serde_json::from_slice(&pull.body).unwrap();
    let blobs: Vec<_> = manifest["layers"].as_array().unwrap().iter().collect();
    let blobs = blobs.into_iter().chain([&manifest["config"]]);
    let explain = ["cache", "explain", "docker.io/library/part:one"];
    for (nth, blob) in blobs.enumerate() {
        // What was pulled is content a moment after its last byte has gone.
        mirror.rests(Duration::from_secs(20)).await;
        let shown = asked(mirror.admin, &explain).await;
        let words = format!("  incomplete: {nth} of 3 blobs here\n");
        assert!(out(&shown).contains(&words), "{}", said(&shown));
        let digest = blob["digest"].as_str().unwrap();
        let target = format!("/v2/library/part/blobs/{digest}");
        assert_eq!(mirror.get(&target).await.status(), 200);
    }
    mirror.rests(Duration::from_secs(20)).await;
    let shown = asked(mirror.admin, &explain).await;
    assert!(out(&shown).contains("  complete\n"), "{}", said(&shown));
    let shown = asked(mirror.admin, &["cache", "ls"]).await;
    assert_eq!(out(&shown), "docker.io/library/part  1 tag\n");
    let shown = asked(mirror.admin, &["cache", "ls", "docker.io/library/part"]).await;
    assert!(
        out(&shown).contains("  complete  used "),
        "{}",
        said(&shown)
    );

    let pin = ["cache", "pin", "site", "docker.io/library/part:one"];
    let shown = asked(mirror.admin, &pin).await;
    assert_eq!(out(&shown), "site: 1 image pinned\n");
    let shown = asked(mirror.admin, &["cache", "pins"]).await;
    let digest = crate::support::digest(&pull.body);
    assert_eq!(out(&shown), format!("site  1 image\n  {digest}\n"));
    for what in ["explain", "rm"] {
        let shown = asked(mirror.admin, &["cache", what, "sha256:zz"]).await;
        assert_eq!(shown.status.code(), Some(2), "{}", said(&shown));
        assert!(said(&shown).contains("hexadecimal"), "{}", said(&shown));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_asked_is_not_told_to_be_up() {
    let upstream = Upstream::start(Access::Open).await;
    let mirror = Plan::of(&upstream.tap).offline().start().await;
    let shown = asked(mirror.admin, &["status"]).await;
    let line = "  docker.io            not asked (offline) ";
    assert!(out(&shown).contains(line), "{}", said(&shown));
    let page = mirror.admin_get("/").await.text();
    assert!(page.contains("not asked (offline)"), "{page}");
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
