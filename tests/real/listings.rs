//! Tags and repositories in pages, walked as clients walk them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::clients::SKOPEO;
use crate::support::http::send;
use crate::support::mirror::{Mirror, Plan};
use crate::support::process::run_well;
use crate::support::scripted::{Asked, Reply, Scripted};
use crate::support::upstream::Upstream;

/// A page of one. Each tells the next one in parameters of upstream's own, under upstream's own host.
fn page(asked: &Asked, key: &str) -> Reply {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let has = |parameter: &str| query.split('&').any(|it| it == parameter);
    let (word, next) = if has("next_page=a%2Fb%3D%3D") {
        assert!(has("orderby=time"), "{query}");
        ("two", Some("last=two&n=1"))
    } else if has("last=two") {
        ("three", None)
    } else {
        ("one", Some("n=1&next_page=a%2Fb%3D%3D&orderby=time"))
    };
    let body = json!({"name": "library/a", key: [word]}).to_string();
    let reply = Reply::new(200, body.as_bytes()).field("Content-Type", "application/json");
    let Some(query) = next else {
        return reply;
    };
    let link = format!("<http://{}{path}?{query}>; rel=\"next\"", asked.host);
    reply.field("Link", link)
}

/// A mirror of an upstream that lists in pages of one, and how often the upstream was asked for one.
async fn paged() -> (Scripted, Mirror, Arc<AtomicUsize>) {
    let asks = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asks);
    let upstream = Scripted::start(move |asked| {
        counter.fetch_add(1, Ordering::SeqCst);
        if asked.path.starts_with("/v2/library/a/tags/list") {
            page(asked, "tags")
        } else if asked.path.starts_with("/v2/_catalog") {
            page(asked, "repositories")
        } else {
            Reply::new(404, b"404 page not found")
        }
    })
    .await;
    let plan = Plan::of_url(upstream.url()).of_upstream("hosts = [\"hub.mirror.test\"]");
    (upstream, plan.start().await, asks)
}

/// What the pages from `first` on list, followed as clients do; each must be under the address of the first.
async fn walk(mirror: &Mirror, host: &str, first: &str) -> Vec<Value> {
    let (path, _) = first.split_once('?').unwrap_or((first, ""));
    let (mut next, mut found) = (Some(first.to_owned()), Vec::new());
    while let Some(target) = next {
        let answer = send(mirror.address, "GET", &target, &[("Host", host)], b"").await;
        let answer = answer.whole().await;
        assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let names = body["tags"].as_array().or(body["repositories"].as_array());
        found.extend(names.unwrap().clone());
        next = answer.head.field("link").map(|link| {
            // Without scheme and host it is on those of the client, also behind whoever speaks TLS for us.
            let link = link.strip_prefix('<').unwrap();
            let next = link.strip_suffix(">; rel=\"next\"").unwrap();
            assert!(next.starts_with(&format!("{path}?")), "{first}: {next}");
            next.to_owned()
        });
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn item_52_53_three_pages_are_walked_under_every_address() {
    let (_upstream, mirror, _) = paged().await;
    for (host, first) in [
        ("mirror.test", "/v2/library/a/tags/list?n=1"),
        ("mirror.test", "/v2/a/tags/list"),
        ("mirror.test", "/v2/docker.io/library/a/tags/list?n=1"),
        ("mirror.test", "/docker.io/v2/library/a/tags/list?n=1"),
        ("mirror.test", "/v2/library/a/tags/list?ns=docker.io&n=1"),
        ("hub.mirror.test:5000", "/v2/library/a/tags/list?n=1"),
        ("mirror.test", "/v2/_catalog?n=1"),
        ("mirror.test", "/v2/docker.io/_catalog?n=1"),
        ("hub.mirror.test", "/v2/_catalog?n=1"),
    ] {
        let found = walk(&mirror, host, first).await;
        assert_eq!(found, ["one", "two", "three"], "{host} {first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_52_skopeo_walks_the_pages() {
    let (_upstream, mirror, asks) = paged().await;
    let mut skopeo = SKOPEO.command();
    skopeo.args(["list-tags", "--no-creds", "--tls-verify=false"]);
    skopeo.arg(format!("docker://{}/docker.io/library/a", mirror.address));
    let listed = run_well(skopeo, Duration::from_mins(1)).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["Tags"], json!(["one", "two", "three"]));
    assert!(asks.load(Ordering::SeqCst) >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn item_51_a_size_that_means_nothing_is_refused_here() {
    let (_upstream, mirror, asks) = paged().await;
    for list in ["/v2/a/tags/list", "/v2/_catalog"] {
        for bad in ["-1", "many", "1e3", "%F0"] {
            let answer = mirror.get(&format!("{list}?n={bad}")).await;
            let code = answer.error_code();
            let expected = (400, Some("PAGINATION_NUMBER_INVALID"));
            assert_eq!((answer.status(), code.as_deref()), expected, "{list} {bad}");
        }
        let answer = mirror.get(&format!("{list}?n=0")).await;
        assert_eq!((answer.status(), answer.head.field("link")), (200, None));
        assert!(answer.text().contains("[]"), "{}", answer.text());
    }
    assert_eq!(asks.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn item_52_a_registrys_own_catalog_is_walked_page_by_page() {
    let (upstream, mirror) = Upstream::mirrored().await;
    for number in 0..3 {
        let repository = format!("library/r{number}");
        upstream.registry.push_blob(&repository, b"here").await;
    }
    let found = walk(&mirror, "mirror.test", "/v2/docker.io/_catalog?n=1").await;
    assert_eq!(found, ["library/r0", "library/r1", "library/r2"]);
}
