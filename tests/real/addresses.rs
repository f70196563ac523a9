//! One object, many addresses: each client has its own way of naming an upstream, and all of them lead to the same.

use std::collections::BTreeSet;

use crate::support::http::{Answer, send};
use crate::support::images::{Format, Layout};
use crate::support::mirror::{Mirror, Plan};
use crate::support::noise;
use crate::support::registry::Access;
use crate::support::shim::Lookups;
use crate::support::upstream::Upstream;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Host and target of each way to `path` below `/v2/library/a/`.
fn addresses(path: &str) -> Vec<(&'static str, String)> {
    vec![
        ("mirror.test", format!("/v2/library/a/{path}")),
        ("mirror.test", format!("/v2/a/{path}")),
        ("mirror.test", format!("/v2/docker.io/library/a/{path}")),
        ("mirror.test", format!("/hub/v2/library/a/{path}")),
        (
            "mirror.test",
            format!("/v2/library/a/{path}?ns=index.docker.io"),
        ),
        ("docker.io", format!("/v2/library/a/{path}")),
        ("Registry-1.docker.io:5000", format!("/v2/a/{path}")),
        (
            "hub.mirror.test:8443",
            format!("/v2/library/a/{path}?ns=docker.io"),
        ),
        ("hub", format!("http://hub/v2/library/a/{path}")),
    ]
}

async fn ask(mirror: &Mirror, method: &str, host: &str, target: &str) -> Answer {
    let fields = [("Host", host), ("Accept", INDEX)];
    let answer = send(mirror.address, method, target, &fields, b"").await;
    answer.whole().await
}

fn plan(upstream: &Upstream) -> Plan {
    Plan::of(&upstream.tap).of_upstream("aliases = [\"hub\"]\nhosts = [\"hub.mirror.test\"]")
}

#[tokio::test(flavor = "multi_thread")]
async fn item_07_08_10_under_every_address_it_is_one_object_and_crosses_once() {
    let upstream = Upstream::start(Access::Open).await;
    let layout = Layout::multi_arch(1, &[50_000]);
    let registry = &upstream.registry;
    let index = registry
        .push(&layout, "library/a", "one", Format::Oci)
        .await;
    let bytes = noise(7, 300_000);
    let blob = registry.push_blob("library/a", &bytes).await;
    let mirror = plan(&upstream).start().await;
    upstream.tap.forget();
    for (path, expected) in [
        ("manifests/one".to_owned(), None),
        (format!("manifests/{index}"), None),
        (format!("blobs/{blob}"), Some(&bytes)),
        (format!("blobs/{}", blob.replace(':', "%3A")), Some(&bytes)),
    ] {
        for (host, target) in addresses(&path) {
            for method in ["GET", "HEAD"] {
                let answer = ask(&mirror, method, host, &target).await;
                let text = answer.text();
                assert_eq!(answer.status(), 200, "{method} {host} {target}: {text}");
                let named = answer.head.field("docker-content-digest");
                let name = if expected.is_some() { &blob } else { &index };
                assert_eq!(named, Some(&**name), "{method} {host} {target}");
                if let (Some(bytes), "GET") = (expected, method) {
                    assert!(answer.body == *bytes, "{host} {target}: other bytes");
                }
            }
        }
    }
    let asked = |method: &str, what: &str| {
        let kind =
            |it: &crate::support::tap::Request| it.method == method && it.path.contains(what);
        upstream.tap.count(kind)
    };
    // One question for the tag, one transfer of each object, one set of records.
    assert_eq!(asked("HEAD", "/manifests/"), 1);
    assert_eq!(asked("GET", "/manifests/"), 1);
    assert_eq!(upstream.tap.blobs()[&blob].gets, 1);
    assert_eq!(upstream.tap.blobs()[&blob].bytes, bytes.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn item_09_names_that_contradict_or_are_not_declared_ask_nobody() {
    let upstream = Upstream::start(Access::Open).await;
    let other = "[upstreams.\"ghcr.io\"]\nurl = \"https://ghcr.test\"\n";
    let mirror = plan(&upstream).of_upstream(other).start().await;
    upstream.tap.forget();
    for (host, target) in [
        ("ghcr.io", "/v2/docker.io/library/a/manifests/one"),
        ("ghcr.io", "/v2/library/a/manifests/one?ns=docker.io"),
        ("hub.mirror.test", "/ghcr.io/v2/o/r/manifests/one"),
        ("hub.mirror.test", "/v2/o/r/manifests/one?ns=ghcr.io"),
        ("mirror.test", "/v2/ghcr.io/o/r/manifests/one?ns=docker.io"),
        ("mirror.test", "/v2/library/a/manifests/one?ns=evil.test"),
        (
            "mirror.test",
            "/v2/library/a/manifests/one?ns=hub.mirror.test",
        ),
        (
            "docker.io",
            "/v2/library/a/manifests/one?ns=169.254.169.254",
        ),
        ("docker.io", "/evil.test/v2/library/a/manifests/one"),
        ("docker.io", "/v2/evil.test/a/b/manifests/one"),
    ] {
        let answer = ask(&mirror, "GET", host, target).await;
        assert_eq!(answer.status(), 400, "{host} {target}: {}", answer.text());
        let code = answer.error_code();
        assert_eq!(code.as_deref(), Some("NAME_INVALID"), "{host} {target}");
    }
    upstream.heard_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn item_09_only_declared_names_are_looked_up() {
    let upstream = Upstream::start(Access::Open).await;
    let blob = upstream.registry.push_blob("library/a", b"here").await;
    let lookups = Lookups::new().await;
    let port = upstream.tap.address().port();
    let plan = Plan::of_url(format!("http://localhost:{port}"));
    let mirror = lookups.of(plan).start().await;
    for (host, target) in [
        ("host.test", format!("/v2/library/a/blobs/{blob}")),
        ("ns.test", format!("/v2/library/a/blobs/{blob}?ns=ns.test")),
        ("path.test", format!("/path.test/v2/library/a/blobs/{blob}")),
        ("path.test", format!("/v2/path.test/library/a/blobs/{blob}")),
        (
            "absolute.test",
            format!("http://absolute.test/v2/a/blobs/{blob}"),
        ),
        ("tags.test", "/v2/tags.test/library/a/tags/list".to_owned()),
        ("tags.test", "/v2/_catalog?ns=tags.test".to_owned()),
    ] {
        let answer = ask(&mirror, "GET", host, &target).await;
        assert!(matches!(answer.status(), 200 | 400), "{host} {target}");
    }
    // This one it had to look up, so the others would have been seen.
    assert_eq!(lookups.names(), BTreeSet::from(["localhost".to_owned()]));
}
