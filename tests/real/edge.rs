//! Who gets in and how, as curl sees it: TLS in both protocols, users, networks, sockets in the file system, and
//! certificates that are replaced while the mirror runs.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::bound::until;
use crate::support::free_address;
use crate::support::mirror::{Mirror, Plan};
use crate::support::process::{Part, run};

const CURL: Part = Part {
    program: "curl",
    package: "curl",
};
const PATIENCE: Duration = Duration::from_secs(20);

/// A mirror with a certificate, a user, and two ways in beside the plain one.
struct Edge {
    folder: TempDir,
    address: SocketAddr,
    mirror: Mirror,
}

/// Writes a certificate for localhost that signs itself, and its key.
fn certify(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("mirror.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("mirror.pem"), made.cert.pem()).unwrap();
}

impl Edge {
    async fn start(more: &str) -> Self {
        Self::of(Plan::of_url("http://127.0.0.1:1".to_owned()), more).await
    }

    async fn of(plan: Plan, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        certify(folder.path());
        std::fs::copy(
            folder.path().join("mirror.pem"),
            folder.path().join("ca.pem"),
        )
        .unwrap();
        let address = free_address();
        let here = folder.path().display();
        let text = format!(
            "{more}\n[[server.tls]]\nlisten = [\"{address}\"]\n\
             certificate = \"{here}/mirror.pem\"\nkey = \"{here}/mirror.key\""
        );
        let mirror = plan.of_server(&text).start().await;
        Self {
            folder,
            address,
            mirror,
        }
    }

    /// What curl says of the version check: protocol, status, and the challenge if there is one.
    async fn curl(&self, arguments: &[&str]) -> String {
        let mut curl: Command = CURL.command();
        curl.arg("-sS").args(["-o", "/dev/null"]);
        curl.args([
            "-w",
            "%{http_version} %{response_code} %header{www-authenticate}",
        ]);
        curl.arg("--cacert").arg(self.folder.path().join("ca.pem"));
        curl.args(arguments);
        curl.arg(format!("https://localhost:{}/v2/", self.address.port()));
        let output = run(curl, PATIENCE).await;
        let said = String::from_utf8(output.stdout).unwrap();
        format!("{} ({})", said.trim(), output.status.code().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_pulls_over_tls_in_both_protocols_and_old_versions_are_refused() {
    let edge = Edge::start("").await;
    assert_eq!(edge.curl(&["--http1.1"]).await, "1.1 200 (0)");
    assert_eq!(edge.curl(&["--http2"]).await, "2 200 (0)");
    assert_eq!(edge.curl(&["--tls-max", "1.2"]).await, "2 200 (0)");
    assert!(edge.curl(&["--tls-max", "1.1"]).await.ends_with("(35)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_counts_when_the_mirror_is_asked_to_look() {
    let mut edge = Edge::start("").await;
    assert_eq!(edge.curl(&[]).await, "2 200 (0)");
    certify(edge.folder.path());
    edge.mirror.ask_to_look_again();
    // Another than the one that curl believes is shown from some moment on,
    until("the new certificate", PATIENCE, async || {
        edge.curl(&[]).await.ends_with("(60)")
    })
    .await;
    // and one that cannot be used is never shown.
    std::fs::write(edge.folder.path().join("mirror.key"), "torn").unwrap();
    edge.mirror.ask_to_look_again();
    let (new, ca) = (
        edge.folder.path().join("mirror.pem"),
        edge.folder.path().join("ca.pem"),
    );
    std::fs::copy(new, ca).unwrap();
    assert_eq!(edge.curl(&[]).await, "2 200 (0)");
    assert_eq!(edge.mirror.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_asked_for_their_password_and_let_in() {
    let users = TempDir::new().unwrap();
    let file = users.path().join("users");
    let hash = bcrypt::hash("hunter2", 4).unwrap();
    std::fs::write(&file, format!("bob:{hash}\n")).unwrap();
    let edge = Edge::start(&format!("users_file = \"{}\"", file.display())).await;
    let challenge = "Basic realm=\"roadstead\", charset=\"UTF-8\"";
    assert_eq!(edge.curl(&[]).await, format!("2 401 {challenge} (0)"));
    assert_eq!(edge.curl(&["-u", "bob:hunter2"]).await, "2 200 (0)");
    let wrong = edge.curl(&["--http1.1", "-u", "bob:hunter3"]).await;
    assert_eq!(wrong, format!("1.1 401 {challenge} (0)"));
    assert_eq!(edge.mirror.get("/v2/").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_in_the_file_system_serves_whom_no_network_lets_in() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("socket");
    // The plain address of this mirror has a listener of its own in the same table.
    let address = free_address();
    let plan = Plan::of_url("http://127.0.0.1:1".to_owned())
        .listening(&format!("\"{address}\", \"unix:{}\"", socket.display()));
    let mut mirror = plan.of_server("allow = [\"192.0.2.0/24\"]").start().await;
    assert_eq!(mirror.get("/v2/").await.status(), 403);

    let mut curl = CURL.command();
    curl.args(["-sS", "-o", "/dev/null", "-w", "%{response_code}"]);
    curl.arg("--unix-socket")
        .arg(&socket)
        .arg("http://mirror/v2/");
    let output = run(curl, PATIENCE).await;
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "200");
    assert_eq!(mirror.stop(), 0);
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn item_59_who_comes_over_tls_is_sent_to_https_for_tokens() {
    let edge = Edge::of(
        Plan::of_url("http://127.0.0.1:1".to_owned()).serving_clients("mirror"),
        "",
    )
    .await;
    let realm = |scheme: &str, host: &str| {
        format!("401 Bearer realm=\"{scheme}://{host}/token\",service=\"docker.io\"")
    };
    let secure = realm("https", &format!("localhost:{}", edge.address.port()));
    let h1 = edge.curl(&["--http1.1"]).await;
    assert_eq!(h1, format!("1.1 {secure} (0)"));
    let h2 = edge.curl(&["--http2"]).await;
    assert_eq!(h2, format!("2 {secure} (0)"));
    // The same mirror, not encrypted.
    let plain = edge.mirror.get("/v2/").await;
    let told = plain.head.field("www-authenticate").unwrap();
    let expected = realm("http", &edge.mirror.address.to_string());
    assert_eq!(format!("{} {told}", plain.status()), expected);
}
