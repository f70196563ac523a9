//! Tags: what each client accepts, what an outage does to them, and what refers to a digest.

use serde_json::json;

use crate::support::digest;
use crate::support::http::{Answer, send};
use crate::support::images::{Format, Layout};
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::Access;
use crate::support::tap::Request;
use crate::support::upstream::Upstream;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const SCHEMA2: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An upstream, and a mirror of it that believes no tag without asking.
async fn doubting() -> (Upstream, Mirror) {
    let upstream = Upstream::start(Access::Open).await;
    let plan = Plan::of(&upstream.tap).of_upstream("rate_reserve = 0");
    let mirror = plan.tags_for("0s").start().await;
    (upstream, mirror)
}

async fn ask(mirror: &Mirror, method: &str, target: &str, accepts: &[&str]) -> Answer {
    let fields: Vec<_> = accepts.iter().map(|accept| ("Accept", *accept)).collect();
    let answer = send(mirror.address, method, target, &fields, b"").await;
    answer.whole().await
}

fn name(answer: &Answer) -> Option<&str> {
    answer.head.field("docker-content-digest")
}

/// An image of nothing but a note, under this tag; its digest.
async fn image(upstream: &Upstream, tag: &str, note: &str) -> String {
    let registry = &upstream.registry;
    let config = registry.push_blob("library/a", b"{}").await;
    let config =
        json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [],
        "annotations": {"note": note},
    })
    .to_string();
    registry
        .put_manifest("library/a", tag, MANIFEST, manifest.as_bytes())
        .await;
    digest(manifest.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_needs_no_accept() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let one = image(&upstream, "one", "one").await;
    for accepts in [&[][..], &["*/*"], &["application/json"]] {
        for method in ["HEAD", "GET"] {
            let answer = ask(&mirror, method, "/v2/a/manifests/one", accepts).await;
            assert_eq!(answer.status(), 200, "{method} {accepts:?}");
            assert_eq!(name(&answer), Some(&*one));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_19_who_accepts_less_gets_what_upstream_gives_and_disturbs_nobody() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let layout = Layout::multi_arch(1, &[1000]);
    let registry = &upstream.registry;
    let list = registry
        .push(&layout, "library/a", "one", Format::Schema2)
        .await;
    let target = "/v2/library/a/manifests/one";
    let fields = [("Accept", SCHEMA2)];
    let origins = send(registry.address(), "GET", target, &fields, b"").await;
    let origins = origins.whole().await;
    // This registry picks the image of one platform.
    assert_eq!(origins.status(), 200, "{}", origins.text());
    assert_ne!(name(&origins), Some(&*list));
    for round in ["cold", "warm"] {
        let modern = ask(&mirror, "GET", target, &[LIST, SCHEMA2]).await;
        assert_eq!((modern.status(), name(&modern)), (200, Some(&*list)));
        let old = ask(&mirror, "GET", target, &[SCHEMA2]).await;
        assert_eq!(old.status(), 200, "{round}: {}", old.text());
        assert_eq!(name(&old), name(&origins), "{round}");
        assert!(old.body == origins.body, "{round}: other bytes");
        assert_eq!(old.head.field("content-type"), Some(SCHEMA2));
        let head = ask(&mirror, "HEAD", target, &[SCHEMA2]).await;
        assert_eq!(name(&head), name(&origins), "{round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_28_29_a_tag_is_asked_after_by_head_and_a_change_costs_one_get() {
    // What was known never stands in: a commit that takes long is waited for.
    let upstream = Upstream::start(Access::Open).await;
    let plan = Plan::of(&upstream.tap).of_upstream("rate_reserve = 0");
    let plan = plan.of_tags("stale_if_error = \"0s\"").tags_for("0s");
    let mirror = plan.start().await;
    let target = "/v2/a/manifests/one";
    let asked = |method: &str, what: &str| {
        let is = |it: &Request| it.method == method && it.path.ends_with(what);
        upstream.tap.count(is)
    };
    for note in ["first", "changed"] {
        let one = image(&upstream, "one", note).await;
        upstream.tap.forget();
        for _ in 0..3 {
            let answer = ask(&mirror, "GET", target, &[MANIFEST, INDEX]).await;
            assert_eq!((answer.status(), name(&answer)), (200, Some(&*one)));
        }
        assert_eq!(asked("HEAD", "/manifests/one"), 3);
        assert_eq!(asked("GET", "/manifests/one"), 0);
        assert_eq!(asked("GET", &format!("/manifests/{one}")), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_26_27_an_outage_is_stale_or_an_error_and_a_no_is_a_no() {
    for (status, is_outage) in [
        (500, true),
        (503, true),
        (429, true),
        (401, false),
        (403, false),
        (404, false),
    ] {
        let (upstream, mirror) = doubting().await;
        let one = image(&upstream, "one", "one").await;
        let target = "/v2/a/manifests/one";
        assert_eq!(ask(&mirror, "GET", target, &[MANIFEST]).await.status(), 200);
        upstream.tap.on("/manifests/").answer(status);
        let known = ask(&mirror, "GET", target, &[MANIFEST]).await;
        let unknown = ask(&mirror, "GET", "/v2/a/manifests/two", &[MANIFEST]).await;
        if is_outage {
            assert_eq!(
                (known.status(), name(&known)),
                (200, Some(&*one)),
                "{status}"
            );
            let told = known.head.field("cache-status").unwrap();
            assert!(told.contains("stale("), "{status}: {told}");
            assert!(known.head.field("age").is_some(), "{status}");
            let answered = unknown.status();
            assert!(matches!(answered, 502..=504), "{status}: {answered}");
        } else {
            assert_eq!((known.status(), unknown.status()), (status, status));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_54_57_signatures_are_found_are_absent_or_cannot_be_told() {
    let (upstream, mirror) = doubting().await;
    let subject = image(&upstream, "subject", "subject").await;
    let signature = image(&upstream, "signature", "signature").await;
    let referrers = format!("/v2/a/referrers/{subject}");
    let fallback = subject.replace(':', "-");
    let sig = format!("/v2/a/manifests/{fallback}.sig");
    let tagged = format!("/v2/a/manifests/{fallback}");

    // This registry knows no referrers, and nothing is under the fallback tags.
    for target in [&referrers, &sig, &tagged] {
        let answer = ask(&mirror, "GET", target, &[INDEX, MANIFEST]).await;
        let code = answer.error_code();
        let expected = (404, Some("MANIFEST_UNKNOWN"));
        assert_eq!((answer.status(), code.as_deref()), expected, "{target}");
    }
    // An outage is not an absence.
    upstream.tap.on("/v2/").answer(503);
    let unheard = digest(b"unheard of");
    for target in [
        format!("/v2/a/referrers/{unheard}"),
        format!("/v2/a/manifests/{}.sig", unheard.replace(':', "-")),
    ] {
        let answer = ask(&mirror, "GET", &target, &[INDEX, MANIFEST]).await;
        let status = answer.status();
        assert!(matches!(status, 502..=504), "{target}: {status}");
    }
    upstream.tap.heal();

    // What clients keep under the fallback tag is listed.
    let descriptor = json!({"mediaType": MANIFEST, "digest": signature, "size": 7, "artifactType": "a/signature"});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]});
    let index = index.to_string();
    let other = image(&upstream, "other", "other").await;
    let tag = other.replace(':', "-");
    let registry = &upstream.registry;
    registry
        .put_manifest("library/a", &tag, INDEX, index.as_bytes())
        .await;
    for (query, is_filtered) in [("", false), ("?artifactType=a%2Fsignature", true)] {
        let target = format!("/v2/a/referrers/{other}{query}");
        let answer = ask(&mirror, "GET", &target, &[]).await;
        assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
        assert_eq!(answer.head.field("content-type"), Some(INDEX));
        assert!(answer.text().contains(&signature), "{}", answer.text());
        let filters = answer.head.field("oci-filters-applied");
        assert_eq!(filters, is_filtered.then_some("artifactType"));
    }
}
