//! What is on the wire between a client, the mirror and an upstream that asks.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{ALICE, BOB, get_as, harbour, token};
use crate::support::http::{Answer, send};
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::Access;
use crate::support::token::{SERVICE, basic};
use crate::support::upstream::Upstream;
use crate::support::wire::Head;

fn challenge(answer: &Answer) -> &str {
    let fields = answer.head.fields.iter();
    let mut told = fields.filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    let (_, told_first) = told.next().expect("a challenge");
    assert!(told.next().is_none(), "one challenge");
    told_first
}

/// All that can be read of the image, with the status of each.
async fn reads(mirror: &Mirror, repository: &str, image: &super::Private, shown: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, target, range) in [
        ("GET", "manifests/1".to_owned(), None),
        ("HEAD", "manifests/1".to_owned(), None),
        ("GET", "manifests/latest".to_owned(), None),
        ("GET", format!("manifests/{}", image.manifest), None),
        ("GET", format!("blobs/{}", image.blob), None),
        ("HEAD", format!("blobs/{}", image.blob), None),
        ("GET", format!("blobs/{}", image.blob), Some("bytes=0-9")),
        ("GET", "tags/list".to_owned(), None),
        ("GET", format!("referrers/{}", image.manifest), None),
    ] {
        let target = format!("/v2/{repository}/{target}");
        let mut fields = Vec::new();
        if !shown.is_empty() {
            fields.push(("Authorization", shown));
        }
        fields.extend(range.map(|range| ("Range", range)));
        let answer = send(mirror.address, method, &target, &fields, b"").await;
        statuses.push(answer.whole().await.status());
    }
    statuses
}

#[tokio::test]
async fn item_58_59_challenges_at_the_base_and_on_objects() {
    let (_upstream, mirror, image) = harbour("").await;
    let (address, repository) = (mirror.address, image.repository);
    let realm = format!("Bearer realm=\"http://{address}/token\",service=\"docker.io\"");
    let base = mirror.get("/v2/").await;
    assert_eq!((base.status(), challenge(&base)), (401, &*realm));
    for (path, name) in [
        (format!("/v2/{repository}"), repository.to_owned()),
        (
            format!("/v2/docker.io/{repository}"),
            format!("docker.io/{repository}"),
        ),
        (format!("/docker.io/v2/{repository}"), repository.to_owned()),
    ] {
        let answer = mirror.get(&format!("{path}/manifests/1")).await;
        let told = format!("{realm},scope=\"repository:{name}:pull\"");
        assert_eq!((answer.status(), challenge(&answer)), (401, &*told));
        assert_eq!(answer.error_code().as_deref(), Some("UNAUTHORIZED"));
    }
    let shown = token(&mirror, Some(ALICE), repository).await;
    let base = get_as(address, "/v2/", Some(&shown)).await;
    assert_eq!(base.status(), 200);
    let bad = get_as(address, "/v2/", Some("Bearer bad")).await;
    assert_eq!(bad.status(), 401);
    assert!(challenge(&bad).ends_with(",error=\"invalid_token\""));
    let manifest = format!("/v2/{repository}/manifests/1");
    let fields = [("Authorization", &*shown), ("Authorization", "Bearer b")];
    let two = send(address, "GET", &manifest, &fields, b"").await;
    assert_eq!(two.whole().await.status(), 400);
    let own = get_as(address, &manifest, Some(&shown)).await;
    let kept = own.head.field("cache-control").unwrap();
    assert!(kept.starts_with("private"), "{kept}");
}

#[tokio::test]
async fn item_59_the_realm_is_the_external_url() {
    let (_upstream, mirror, _) = harbour("external_url = \"https://mirror.example\"").await;
    let base = mirror.get("/v2/").await;
    let told = "Bearer realm=\"https://mirror.example/token\",service=\"docker.io\"";
    assert_eq!(challenge(&base), told);
}

#[tokio::test]
async fn item_60_61_64_a_token_by_each_form() {
    let (_upstream, mirror, image) = harbour("").await;
    let repository = image.repository;
    let target = format!("/v2/{repository}/manifests/1");
    let by_basic = basic(ALICE.0, ALICE.1);
    let (name, password) = ALICE;
    for (method, query, shown, form, may) in [
        (
            "GET",
            format!("scope=repository:{repository}:pull"),
            Some(&*by_basic),
            String::new(),
            true,
        ),
        (
            "GET",
            format!(
                "scope=repository:docker.io/{repository}:pull,push&account=alice&offline_token=true"
            ),
            Some(&*by_basic),
            String::new(),
            true,
        ),
        (
            "GET",
            format!("scope=repository:{repository}:pull"),
            None,
            String::new(),
            false,
        ),
        ("GET", String::new(), Some(&*by_basic), String::new(), false),
        (
            "POST",
            String::new(),
            None,
            format!(
                "grant_type=password&username={name}&password={password}&client_id=containerd&scope=repository:{repository}:pull"
            ),
            true,
        ),
        (
            "POST",
            String::new(),
            None,
            format!("username={name}&password={password}&scope=repository:{repository}:pull"),
            true,
        ),
        (
            "POST",
            String::new(),
            Some(&*by_basic),
            format!("scope=repository:{repository}:pull"),
            true,
        ),
    ] {
        let asked = format!("/token?service=docker.io&{query}");
        let mut fields = vec![("Content-Type", "application/x-www-form-urlencoded")];
        fields.extend(shown.map(|it| ("Authorization", it)));
        let answer = send(mirror.address, method, &asked, &fields, form.as_bytes()).await;
        let answer = answer.whole().await;
        assert_eq!(
            answer.status(),
            200,
            "{method} {query} {form}: {}",
            answer.text()
        );
        assert_eq!(answer.head.field("cache-control"), Some("no-store"));
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(told["token"], told["access_token"]);
        assert!(told["expires_in"].as_u64().unwrap() >= 60, "item 61");
        assert!(told["issued_at"].as_str().unwrap().ends_with('Z'));
        let shown = format!("Bearer {}", told["token"].as_str().unwrap());
        let pulled = get_as(mirror.address, &target, Some(&shown)).await.status();
        assert_eq!(pulled == 200, may, "{method} {query} {form}: {pulled}");
    }
    for (method, form, status) in [
        ("POST", "grant_type=authorization_code", 400),
        (
            "POST",
            "grant_type=refresh_token&refresh_token=x&service=docker.io",
            0,
        ),
        ("PUT", "", 405),
    ] {
        let answer = send(mirror.address, method, "/token", &[], form.as_bytes()).await;
        let answered = answer.whole().await.status();
        // The token server of these tests knows no refresh tokens, and says so to the mirror.
        assert!(
            answered == status || status == 0 && answered >= 400,
            "{answered}"
        );
    }
    let wrong = basic(ALICE.0, "wrong");
    let refused = get_as(mirror.address, "/token?service=docker.io", Some(&wrong)).await;
    assert_eq!(refused.status(), 401);
    let nowhere = mirror
        .get("/token?service=docker.io&scope=repository:x/y:pull")
        .await;
    assert_eq!(nowhere.status(), 200, "nobody has a token as well");
}

#[tokio::test]
async fn item_62_65_66_incidents_05_06_nothing_without_the_right_cached_or_not() {
    let (upstream, mirror, image) = harbour("deny_ttl = \"1s\"").await;
    let repository = image.repository;
    let alice = token(&mirror, Some(ALICE), repository).await;
    let bob = token(&mirror, Some(BOB), repository).await;
    let nobody = token(&mirror, None, repository).await;
    let unasked = basic(ALICE.0, ALICE.1);
    for state in ["cold", "cached"] {
        for shown in [&*bob, &nobody, "", "Basic Og==", &unasked, "Bearer bad"] {
            let statuses = reads(&mirror, repository, &image, shown).await;
            assert!(
                statuses.iter().all(|it| *it == 401),
                "{state} {shown:?}: {statuses:?}"
            );
        }
        let statuses = reads(&mirror, repository, &image, &alice).await;
        assert_eq!(
            statuses[..8],
            [200, 200, 200, 200, 200, 200, 206, 200],
            "{state}"
        );
    }
    mirror.rests(std::time::Duration::from_secs(20)).await;
    assert_eq!(upstream.tap.blobs()[&image.blob].gets, 1);
    // Item 66: a repository that is hers shows nothing of what is in another.
    upstream
        .registry
        .tokens()
        .knows(ALICE.0, ALICE.1, &["secret/a", "secret/b"]);
    super::push(&upstream, "secret/b", 8).await;
    let b = token(&mirror, Some(ALICE), "secret/b").await;
    let through = format!("/v2/secret/b/blobs/{}", image.blob);
    assert_eq!(
        get_as(mirror.address, &through, Some(&b)).await.status(),
        404
    );
}

#[tokio::test]
async fn items_63_68_what_is_not_for_an_upstream_never_reaches_it() {
    let upstream = Upstream::start(Access::Bearer).await;
    upstream
        .registry
        .tokens()
        .knows(ALICE.0, ALICE.1, &["secret/a"]);
    let image = super::push(&upstream, "secret/a", 7).await;
    // Another upstream that notes what it is shown, and one whose clients are all served as nobody.
    let (other, open) = (Listener::start().await, Listener::start().await);
    let others = format!(
        "[upstreams.\"b.example\"]\nurl = \"http://{}\"\n[upstreams.\"b.example\".auth]\nmode = \"client\"\n\
         [upstreams.\"c.example\"]\nurl = \"http://{}\"\n",
        other.address, open.address
    );
    let plan = Plan::of(&upstream.tap)
        .serving_clients("mirror")
        .and(&others);
    let mirror = plan.start().await;
    let alice = token(&mirror, Some(ALICE), image.repository).await;
    let by_basic = basic(ALICE.0, ALICE.1);
    for shown in [&*alice, &by_basic, "Bearer t0p-s3cret"] {
        for ns in ["b.example", "c.example"] {
            let target = format!("/v2/{}/manifests/1?ns={ns}", image.repository);
            let answer = get_as(mirror.address, &target, Some(shown)).await;
            assert!(answer.status() >= 400, "{ns}: {}", answer.status());
        }
    }
    let (other, open) = (other.heard(), open.heard());
    assert!(!open.is_empty(), "it was asked, as nobody");
    for head in other.iter().chain(&open) {
        assert_eq!(head.field("authorization"), None, "{head:?}");
    }
}

/// An upstream that has nothing and asks for nothing, and remembers what it heard.
struct Listener {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Head>>>,
    listening: JoinHandle<()>,
}

impl Listener {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<Head>>>::default();
        let book = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let Ok(Some(request)) = Head::read(&mut stream).await else {
                    continue;
                };
                let status = if request.word(1) == "/v2/" { 200 } else { 404 };
                book.lock().unwrap().push(request);
                let answer = format!(
                    "HTTP/1.1 {status} Heard\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            address,
            heard,
            listening,
        }
    }

    fn heard(&self) -> Vec<Head> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[tokio::test]
async fn realm_upstream_tokens_are_the_upstreams_own() {
    let upstream = Upstream::start(Access::Bearer).await;
    let image = super::push(&upstream, "secret/a", 7).await;
    upstream
        .registry
        .tokens()
        .knows(ALICE.0, ALICE.1, &["secret/a"]);
    let mirror = Plan::of(&upstream.tap)
        .serving_clients("upstream")
        .start()
        .await;
    let base = mirror.get("/v2/").await;
    let realm = upstream.registry.tokens().realm();
    let told = format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"");
    assert_eq!((base.status(), challenge(&base)), (401, &*told));
    let skopeo = crate::support::clients::Skopeo::new(mirror.address);
    let reference = format!("{}/{}:1", mirror.address, image.repository);
    let alice = format!("{}:{}", ALICE.0, ALICE.1);
    for (user, may) in [(None, false), (Some(&*alice), true), (None, false)] {
        let (could, said) = skopeo.copy_as(user, &reference).await;
        assert_eq!(could, may, "{user:?}: {said}");
    }
}

#[tokio::test]
async fn with_the_upstream_gone_the_base_still_answers_within_a_second() {
    let (upstream, mirror, image) = harbour("").await;
    let alice = token(&mirror, Some(ALICE), image.repository).await;
    let blob = format!("/v2/{}/blobs/{}", image.repository, image.blob);
    assert_eq!(
        get_as(mirror.address, &blob, Some(&alice)).await.status(),
        200
    );
    let public = super::push(&upstream, "public/a", 8).await;
    let open = format!("/v2/public/a/blobs/{}", public.blob);
    let nobody = token(&mirror, None, "public/a").await;
    assert_eq!(
        get_as(mirror.address, &open, Some(&nobody)).await.status(),
        200
    );
    mirror.rests(std::time::Duration::from_secs(20)).await;
    drop(upstream);
    let began = std::time::Instant::now();
    assert_eq!(mirror.get("/v2/").await.status(), 401);
    assert!(began.elapsed() < std::time::Duration::from_secs(1));
    // Who cannot be known now is nobody for a while.
    let unknown = token(&mirror, Some(ALICE), image.repository).await;
    assert!(get_as(mirror.address, &blob, Some(&unknown)).await.status() >= 400);
    assert_eq!(
        get_as(mirror.address, &open, Some(&unknown)).await.status(),
        200
    );
    // What was shown to her a moment ago still is hers; to others nothing is.
    assert_eq!(
        get_as(mirror.address, &blob, Some(&alice)).await.status(),
        200
    );
    assert!(mirror.get(&blob).await.status() >= 400);
}

#[tokio::test]
async fn incident_13_no_secret_is_in_logs_metrics_or_data() {
    let (_upstream, mut mirror, image) = harbour("").await;
    let repository = image.repository;
    let alice = token(&mirror, Some(ALICE), repository).await;
    let bob = token(&mirror, Some(BOB), repository).await;
    let by_basic = basic(ALICE.0, ALICE.1);
    for shown in [&*alice, &bob, &by_basic, "Bearer t0p-s3cret"] {
        reads(&mirror, repository, &image, shown).await;
        get_as(mirror.address, "/token?service=docker.io", Some(shown)).await;
    }
    let form = format!("grant_type=password&username=alice&password={}", ALICE.1);
    send(mirror.address, "POST", "/token", &[], form.as_bytes()).await;
    mirror.rests(std::time::Duration::from_secs(20)).await;
    let metrics = mirror.metrics().await;
    let log = mirror.log();
    assert_eq!(mirror.stop(), 0);
    let sealed = alice.strip_prefix("Bearer ").unwrap();
    let coded = by_basic.strip_prefix("Basic ").unwrap();
    let secrets = [ALICE.1, BOB.1, sealed, coded, "t0p-s3cret", "eyJ"];
    assert!(log.contains("secret/a"), "the log was read: {log}");
    for secret in secrets {
        assert!(!log.contains(secret), "the log shows {secret}");
        assert!(!metrics.contains(secret), "the metrics show {secret}");
    }
    let kept = files(&mirror.data());
    assert!(!kept.is_empty());
    for bytes in kept {
        for secret in secrets.iter().take(5) {
            let found = bytes
                .windows(secret.len())
                .any(|it| it == secret.as_bytes());
            assert!(!found, "the data folder keeps {secret}");
        }
    }
}

/// The bytes of all files below a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path());
    let read = |path: std::path::PathBuf| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![std::fs::read(path).unwrap()]
        }
    };
    entries.flat_map(read).collect()
}
