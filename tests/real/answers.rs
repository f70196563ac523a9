//! What answers look like to clients: the upstream's own bytes, under the fields that clients build on.

use crate::support::digest;
use crate::support::http::{Answer, send};
use crate::support::images::{Format, Layout};
use crate::support::mirror::Mirror;
use crate::support::upstream::Upstream;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A mirror of a registry that holds one index, the index's digest and one of its blobs.
async fn mirrored_index() -> (Upstream, Mirror, String, String) {
    let (upstream, mirror) = Upstream::mirrored().await;
    let layout = Layout::multi_arch(1, &[50_000]);
    let digest = upstream
        .registry
        .push(&layout, "library/a", "one", Format::Oci)
        .await;
    (upstream, mirror, digest, layout.layers()[0].blob.clone())
}

async fn ask(mirror: &Mirror, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
    send(mirror.address, method, target, fields, b"")
        .await
        .whole()
        .await
}

/// The fields that clients build on.
fn fields(answer: &Answer) -> [Option<&str>; 4] {
    [
        "content-type",
        "content-length",
        "docker-content-digest",
        "etag",
    ]
    .map(|name| answer.head.field(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn item_20_a_manifest_goes_out_exactly_as_it_came_in() {
    let (upstream, mirror, index, _) = mirrored_index().await;
    for reference in ["one", &index] {
        let target = format!("/v2/library/a/manifests/{reference}");
        let accept = [("Accept", INDEX)];
        let original = send(upstream.registry.address(), "GET", &target, &accept, b"")
            .await
            .whole()
            .await;
        for round in ["cold", "warm"] {
            let answer = ask(&mirror, "GET", &target, &accept).await;
            assert_eq!(
                answer.status(),
                200,
                "{reference}, {round}: {}",
                answer.text()
            );
            assert_eq!(answer.text(), original.text(), "{reference}, {round}");
            assert_eq!(digest(&answer.body), index);
            let (length, etag) = (original.body.len().to_string(), format!("\"{index}\""));
            let expected = [INDEX, &length, &index, &etag].map(Some);
            assert_eq!(fields(&answer), expected, "{reference}, {round}");
            assert!(
                answer.head.field("cache-status").is_some(),
                "{:?}",
                answer.head
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_16_a_manifest_by_digest_needs_no_accept() {
    let (_upstream, mirror, index, _) = mirrored_index().await;
    let target = format!("/v2/library/a/manifests/{index}");
    for method in ["HEAD", "GET"] {
        let answer = ask(&mirror, method, &target, &[]).await;
        assert_eq!(
            (answer.status(), answer.head.field("content-type")),
            (200, Some(INDEX)),
            "{method}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_11_head_says_what_get_says_cold_and_warm() {
    let (_upstream, mirror, index, blob) = mirrored_index().await;
    for target in [
        "/v2/library/a/manifests/one".to_owned(),
        format!("/v2/library/a/manifests/{index}"),
        format!("/v2/library/a/blobs/{blob}"),
    ] {
        let accept = [("Accept", INDEX)];
        let cold = ask(&mirror, "HEAD", &target, &accept).await;
        let get = ask(&mirror, "GET", &target, &accept).await;
        let warm = ask(&mirror, "HEAD", &target, &accept).await;
        assert_eq!(
            [cold.status(), get.status(), warm.status()],
            [200; 3],
            "{target}"
        );
        assert!(
            fields(&get).iter().all(Option::is_some),
            "{target}: {:?}",
            get.head
        );
        assert_eq!(fields(&cold), fields(&get), "{target}, cold");
        assert_eq!(fields(&warm), fields(&get), "{target}, warm");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_12_who_has_it_already_is_told_so() {
    let (_upstream, mirror, index, _) = mirrored_index().await;
    let target = format!("/v2/library/a/manifests/{index}");
    let etag = format!("\"{index}\"");
    let answer = ask(&mirror, "GET", &target, &[("If-None-Match", &etag)]).await;
    assert_eq!((answer.status(), answer.body.len()), (304, 0));
    let other = ask(
        &mirror,
        "GET",
        &target,
        &[("If-None-Match", "\"sha256:0\"")],
    )
    .await;
    assert_eq!(other.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn item_31_35_parts_of_a_blob_are_the_upstreams_parts() {
    let (upstream, mirror, _, blob) = mirrored_index().await;
    let target = format!("/v2/library/a/blobs/{blob}");
    let whole = upstream.registry.get(&target).await.body;
    // The first is asked for while the mirror has nothing.
    for (range, from, to) in [
        ("bytes=40000-", 40_000, whole.len()),
        ("bytes=0-9", 0, 10),
        ("bytes=100-199", 100, 200),
    ] {
        let answer = ask(&mirror, "GET", &target, &[("Range", range)]).await;
        assert_eq!(answer.status(), 206, "{range}");
        assert!(answer.body == whole[from..to], "{range}: other bytes");
        let expected = format!("bytes {from}-{}/{}", to - 1, whole.len());
        assert_eq!(
            answer.head.field("content-range"),
            Some(expected.as_str()),
            "{range}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_15_what_upstream_does_not_have_is_not_found_and_an_outage_is_not_that() {
    let (upstream, mirror, _, _) = mirrored_index().await;
    let answer = ask(&mirror, "GET", "/v2/library/a/manifests/two", &[]).await;
    assert_eq!(
        (answer.status(), answer.error_code().as_deref()),
        (404, Some("MANIFEST_UNKNOWN"))
    );
    let zeros = format!("/v2/library/a/blobs/sha256:{}", "0".repeat(64));
    let answer = ask(&mirror, "GET", &zeros, &[]).await;
    assert_eq!(
        (answer.status(), answer.error_code().as_deref()),
        (404, Some("BLOB_UNKNOWN"))
    );
    let answer = ask(&mirror, "HEAD", &zeros, &[]).await;
    assert_eq!((answer.status(), answer.body.len()), (404, 0));

    upstream.tap.on("/manifests/").answer(503);
    let answer = ask(&mirror, "GET", "/v2/library/a/manifests/three", &[]).await;
    assert!(
        matches!(answer.status(), 502..=504),
        "an outage is not a 404: {}",
        answer.head.start
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_agree_with_the_wire() {
    let (upstream, mirror, index, blob) = mirrored_index().await;
    let targets = [
        format!("/v2/library/a/manifests/{index}"),
        format!("/v2/library/a/blobs/{blob}"),
    ];
    for _ in 0..3 {
        for target in &targets {
            assert_eq!(ask(&mirror, "GET", target, &[]).await.status(), 200);
        }
    }
    for (kind, part) in [("manifest", "/manifests/"), ("blob", "/blobs/")] {
        let labels = [("upstream", "docker.io"), ("kind", kind)];
        let asked = mirror
            .metric("roadstead_upstream_requests_total", &labels)
            .await;
        let crossed = upstream.tap.count(|request| request.path.contains(part));
        assert_eq!(
            asked.to_string(),
            crossed.to_string(),
            "{kind}s asked for upstream"
        );
        let answered = mirror.metric("roadstead_requests_total", &labels).await;
        assert_eq!(answered.to_string(), "3", "{kind}s asked for by clients");
        let by = async |outcome| {
            let labels = [labels[0], labels[1], ("outcome", outcome)];
            mirror.metric("roadstead_requests_total", &labels).await
        };
        assert_eq!(
            by("miss").await.to_string(),
            "1",
            "{kind}s fetched for a client"
        );
        // The second client may still meet the fill of the first, in its last moments.
        let ready = by("hit").await + by("join").await;
        assert_eq!(ready.to_string(), "2", "{kind}s that were here");
    }
}
