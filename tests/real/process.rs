//! The process: what it says when it cannot start, and how it ends.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::bound::within;
use crate::support::cold::ColdBlob;
use crate::support::free_address;
use crate::support::mirror::{Plan, roadstead};
use crate::support::process::{run, said};
use crate::support::upstream::Upstream;
use crate::support::wire::{Head, Incoming};

const PATIENCE: Duration = Duration::from_secs(20);

/// A config file in a folder of its own.
struct Config {
    folder: TempDir,
}

impl Config {
    fn new(text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("mirror.toml"), text).unwrap();
        Self { folder }
    }

    /// One that is right but for where it listens and where its data goes.
    fn right(listen: &str, data: &Path) -> Self {
        Self::new(&format!(
            "[server]\nlisten = [\"{listen}\"]\n[admin]\nlisten = \"{}\"\n\
             [store]\npath = \"{}\"\ncapacity = \"1GiB\"\n\
             [upstreams.\"docker.io\"]\nurl = \"http://127.0.0.1:1\"\ndefault = true\n",
            free_address(),
            data.display()
        ))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("mirror.toml")
    }

    fn serve(&self) -> Command {
        let mut command = roadstead();
        command.arg("serve").arg("--config").arg(self.file());
        command
    }

    fn check(&self) -> Command {
        let mut command = roadstead();
        command.args(["config", "check"]).arg(self.file());
        command
    }
}

/// The one line, of all that a program printed to standard error, that says this.
fn line_with(output: &Output, what: &str) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    let lines: Vec<_> = text.lines().filter(|line| line.contains(what)).collect();
    assert_eq!(lines.len(), 1, "lines with {what:?} in: {}", said(output));
    lines[0].to_owned()
}

const FAULTY: &str = r#"
[server]
listen = ["nowhere"]
[store]
capacity = "50GiB"
colour = "blue"
[upstreams."docker.io"]
url = "https://registry-1.docker.io"
[upstreams."docker.io".tags]
ttl = "60x"
"#;

#[tokio::test]
async fn a_config_error_names_key_and_reason_and_exits_with_2() {
    let config = Config::new(FAULTY);
    for command in [config.serve(), config.check()] {
        let output = run(command, PATIENCE).await;
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(line_with(&output, "server.listen").contains("nowhere"));
        assert!(line_with(&output, "store.colour").contains("unknown"));
        assert!(line_with(&output, "upstreams.\"docker.io\".tags.ttl").contains("60x"));
        assert!(
            !config.folder.path().join("data").exists(),
            "nothing is begun on a faulty config"
        );
    }
}

#[tokio::test]
async fn a_config_that_is_not_there_is_named() {
    let config = Config::new("");
    std::fs::remove_file(config.file()).unwrap();
    let output = run(config.serve(), PATIENCE).await;
    assert!(!output.status.success());
    line_with(&output, "mirror.toml");
}

#[tokio::test]
async fn config_check_says_that_all_is_well_and_starts_nothing() {
    let config = Config::right("127.0.0.1:0", Path::new("data"));
    let output = run(config.check(), PATIENCE).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("ok"),
        "{}",
        said(&output)
    );
    assert!(!config.folder.path().join("data").exists());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = Config::right(&address, Path::new("data"));
    let output = run(config.serve(), PATIENCE).await;
    assert!(!output.status.success(), "{}", said(&output));
    line_with(&output, &address);
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_is_named() {
    // Below a regular file nobody can make a folder, root neither.
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let config = Config::right("127.0.0.1:0", &file.join("data"));
    let output = run(config.serve(), PATIENCE).await;
    assert!(!output.status.success(), "{}", said(&output));
    line_with(&output, &file.display().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_at_once_when_nothing_is_under_way() {
    let (_upstream, mut mirror) = Upstream::mirrored().await;
    // A connection that was used and now waits for nothing in particular.
    let mut idle = BufReader::new(TcpStream::connect(mirror.address).await.unwrap());
    idle.write_all(b"GET /v2/ HTTP/1.1\r\nHost: mirror\r\n\r\n")
        .await
        .unwrap();
    let head = within("an answer", PATIENCE, Head::read(&mut idle))
        .await
        .unwrap()
        .unwrap();
    let mut body = Incoming::of_response(&head, "GET");
    while body.read(&mut idle, &mut [0; 512]).await.unwrap() > 0 {}

    let asked = Instant::now();
    assert_eq!(mirror.stop(), 0);
    assert!(
        // Half of what it would give a request.
        asked.elapsed() < Duration::from_secs(15),
        "it took {:?}",
        asked.elapsed()
    );
    let rest = within(
        "the end of the idle connection",
        PATIENCE,
        idle.read(&mut [0; 1]),
    )
    .await;
    assert!(matches!(rest, Ok(0) | Err(_)), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_under_way_is_finished_before_the_end() {
    let mut blob = ColdBlob::of(32 * 1024 * 1024).await;
    blob.open().await.compare(&blob.bytes).await;
    let mut download = blob.open().await;
    let mut buffer = [0; 1000];
    let begun = download.next(&mut buffer).await.map_or(0, <[u8]>::len);
    assert!(begun > 0);
    blob.mirror.ask_to_stop();
    let rest = &blob.bytes[begun..];
    let got = download.compare(rest).await;
    assert!(got.is_whole(rest), "{got:?}");
    assert_eq!(blob.mirror.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pulled_is_there_after_a_restart() {
    let mut blob = ColdBlob::of(100_000).await;
    assert!(blob.mirror.get(&blob.path).await.body == *blob.bytes);
    assert_eq!(blob.mirror.stop(), 0);
    blob.mirror.start().await;
    blob.upstream.tap.forget();
    assert!(blob.mirror.get(&blob.path).await.body == *blob.bytes);
    assert_eq!(blob.upstream.tap.blob_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn item_02_offline_it_starts_is_ready_and_says_so() {
    // Nobody is there, and nobody is asked.
    let (upstream, _) = Upstream::mirrored().await;
    let plan = Plan::of(&upstream.tap).saying("offline = true");
    let mirror = plan.start().await;
    let readiness = mirror.readiness().await;
    assert_eq!(readiness.status(), 200);
    assert!(
        readiness.text().contains("ready, offline"),
        "{}",
        readiness.text()
    );
    assert_eq!(mirror.get("/v2/").await.status(), 200);
    upstream.heard_nothing();
}
