//! Tags in every weather: what a warm mirror asks, and what clients get with the upstream gone.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::support::bound::{until, within};
use crate::support::clients::{Client, Containerd, Docker, Podman, Skopeo};
use crate::support::digest;
use crate::support::http::{Answer, get, send};
use crate::support::images::{Format, Layout, missing};
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::{Access, Registry};
use crate::support::scripted::{Reply, Scripted};
use crate::support::tap::Tap;
use crate::support::upstream::Upstream;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What an outage may cost a client that pulls a cached tag, over what the pull costs anyway.
const ADDED: Duration = Duration::from_secs(1);

async fn ask(mirror: &Mirror, method: &str, target: &str) -> Answer {
    let fields = [("Accept", MANIFEST)];
    let answer = send(mirror.address, method, target, &fields, b"").await;
    answer.whole().await
}

/// An image of nothing but a note; its digest.
async fn image(registry: &Registry, repository: &str, tag: &str, note: &str) -> String {
    let config = registry.push_blob(repository, b"{}").await;
    let config =
        json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [],
        "annotations": {"note": note},
    })
    .to_string();
    registry
        .put_manifest(repository, tag, MANIFEST, manifest.as_bytes())
        .await;
    digest(manifest.as_bytes())
}

async fn pull(mirror: &Mirror, image: usize) {
    let head = format!("/v2/library/i{image}/manifests/one");
    let answer = ask(mirror, "HEAD", &head).await;
    assert_eq!(answer.status(), 200, "{head}");
    let digest = answer
        .head
        .field("docker-content-digest")
        .unwrap()
        .to_owned();
    let manifest = get(
        mirror.address,
        &format!("/v2/library/i{image}/manifests/{digest}"),
    )
    .await;
    let config = serde_json::from_str::<serde_json::Value>(&manifest.text()).unwrap();
    let config = config["config"]["digest"].as_str().unwrap().to_owned();
    let blob = get(
        mirror.address,
        &format!("/v2/library/i{image}/blobs/{config}"),
    )
    .await;
    assert_eq!((blob.status(), &*blob.body), (200, &b"{}"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pulls_of_a_hundred_images_ask_nothing_within_ttl_and_one_head_a_tag_after_it() {
    const IMAGES: usize = 100;
    let (upstream, mut mirror) = Upstream::mirrored().await;
    for at in 0..IMAGES {
        image(
            &upstream.registry,
            &format!("library/i{at}"),
            "one",
            &at.to_string(),
        )
        .await;
    }
    for at in 0..IMAGES {
        pull(&mirror, at).await;
    }
    mirror.rests(Duration::from_secs(30)).await;
    upstream.tap.forget();
    for round in 0..10 {
        for at in (0..IMAGES).map(|at| (at * 7 + round) % IMAGES) {
            pull(&mirror, at).await;
        }
    }
    assert_eq!(
        upstream.tap.count(|_| true),
        0,
        "{:?}",
        upstream.tap.requests()
    );
    // The same records, believed no more.
    let data = mirror.data();
    mirror.stop();
    let doubting = Plan::of(&upstream.tap).of_upstream("rate_reserve = 0");
    let doubting = doubting.tags_for("0s").data_in(&data).start().await;
    upstream.tap.forget();
    for at in 0..IMAGES {
        pull(&doubting, at).await;
    }
    let heads = upstream
        .tap
        .count(|it| it.method == "HEAD" && it.path.ends_with("/manifests/one"));
    assert_eq!(heads, IMAGES);
    assert_eq!(
        upstream.tap.count(|_| true),
        IMAGES,
        "{:?}",
        upstream.tap.requests()
    );
}

/// How long a pull of the cached image takes the client at best, and whether it gets the right bytes.
async fn timed<C: Client>(client: &C, layout: &Layout) -> Duration {
    const REFERENCE: &str = "docker.io/library/cached:one";
    let began = Instant::now();
    client.pull(REFERENCE).await;
    let took = began.elapsed();
    let lacks = missing(layout.layers(), &client.holds(REFERENCE).await).len();
    assert_eq!(lacks, 0, "{}", C::NAME);
    client.forget(REFERENCE).await;
    took
}

/// One pull in time is enough, of a few from the same beginnings: other work on this machine holds clients up as well, but
/// not each time.
async fn served_all_the_same<C: Client>(
    client: &C,
    layout: &Layout,
    usual: Duration,
    weather: &str,
    mut begin: impl AsyncFnMut(),
) {
    let mut tried = Vec::new();
    while tried.len() < 3 {
        begin().await;
        let took = timed(client, layout).await;
        if took <= usual + ADDED {
            return;
        }
        tried.push(took);
    }
    let name = C::NAME;
    panic!("{name}, {weather}: {tried:?}, and {usual:?} in good weather");
}

/// The upstream is black-holed, then gone; the mirror is started again in each.
async fn in_every_weather<C: Client>(client: impl AsyncFn(&Mirror) -> C) {
    let mut upstream = Upstream::start(Access::Open).await;
    let layout = Layout::image(3, &[300_000, 1000]);
    let registry = &upstream.registry;
    registry
        .push(&layout, "library/cached", "one", Format::Oci)
        .await;
    let plan = Plan::of(&upstream.tap).tags_for("0s");
    let mut mirror = plan.start().await;
    let client = client(&mirror).await;
    timed(&client, &layout).await;
    mirror.rests(Duration::from_secs(30)).await;
    // The slower of two: the other tests run beside this one.
    let usual = timed(&client, &layout)
        .await
        .max(timed(&client, &layout).await);

    served_all_the_same(&client, &layout, usual, "black hole", async || {
        upstream.tap.heal();
        timed(&client, &layout).await;
        upstream.tap.on("/v2/").never_answer();
    })
    .await;
    let started = "black hole, started in it";
    served_all_the_same(&client, &layout, usual, started, async || {
        mirror.kill();
        mirror.start().await;
    })
    .await;
    upstream.tap.close().await;
    served_all_the_same(&client, &layout, usual, "gone", async || ()).await;
    let started = "gone, started in it";
    served_all_the_same(&client, &layout, usual, started, async || {
        mirror.kill();
        mirror.start().await;
    })
    .await;
    // Since its last start.
    let stale = [("outcome", "stale")];
    let stale = mirror.metric("roadstead_requests_total", &stale).await;
    assert!(stale >= 1.0, "{stale} stale answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pulls_cached_tags_in_every_weather() {
    in_every_weather(async |mirror: &Mirror| Skopeo::new(mirror.address)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_cached_tags_in_every_weather() {
    in_every_weather(async |mirror: &Mirror| Podman::new(mirror.address)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dockerd_pulls_cached_tags_in_every_weather() {
    in_every_weather(async |mirror: &Mirror| Docker::start(mirror.address).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_pulls_cached_tags_in_every_weather() {
    in_every_weather(async |mirror: &Mirror| Containerd::start(mirror.address).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_09_two_upstreams_with_the_same_names_are_never_mixed_under_load() {
    let hub = Upstream::start(Access::Open).await;
    let other = Registry::start(Access::Open).await;
    let tap = Tap::before(other.address());
    let plan = Plan::of(&hub.tap)
        .tags_for("0s")
        .and_upstream("ghcr.io", &tap.url());
    let mirror = plan.start().await;
    let mut expected = Vec::new();
    for (registry, ns) in [(&hub.registry, "docker.io"), (&other, "ghcr.io")] {
        let digest = image(registry, "library/same", "one", ns).await;
        for target in [
            format!("/v2/library/same/manifests/one?ns={ns}"),
            format!("/v2/{ns}/library/same/manifests/one"),
            format!("/{ns}/v2/library/same/manifests/one"),
        ] {
            expected.push((target, digest.clone()));
        }
    }
    assert_ne!(expected[0].1, expected[5].1);
    let rounds = (0..40).map(|round| {
        let (target, digest) = &expected[round * 5 % expected.len()];
        let address = mirror.address;
        async move {
            for method in ["HEAD", "GET", "GET"] {
                let answer = send(address, method, target, &[("Accept", MANIFEST)], b"").await;
                let answer = answer.whole().await;
                assert_eq!(answer.status(), 200, "{target}");
                assert_eq!(
                    answer.head.field("docker-content-digest"),
                    Some(&**digest),
                    "{target}"
                );
                assert!(
                    method == "HEAD" || digest == &crate::support::digest(&answer.body),
                    "{target}"
                );
            }
        }
    });
    within("all answers", Duration::from_mins(1), join_all(rounds)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moving_tag_is_seen_after_its_ttl_and_costs_nobody_a_wait_while_it_is_revalidated() {
    let upstream = Upstream::start(Access::Open).await;
    let one = image(&upstream.registry, "library/a", "moving", "one").await;
    let plan = Plan::of(&upstream.tap).tags_for("0s");
    let mirror = plan
        .of_tags("stale_while_revalidate = \"1h\"")
        .start()
        .await;
    let target = "/v2/library/a/manifests/moving";
    let digest = async || {
        let answer = get(mirror.address, target).await;
        assert_eq!(answer.status(), 200);
        answer
            .head
            .field("docker-content-digest")
            .unwrap()
            .to_owned()
    };
    assert_eq!(digest().await, one);
    // What is fetched ahead of the client is here.
    mirror.rests(Duration::from_secs(30)).await;
    let two = image(&upstream.registry, "library/a", "moving", "two").await;
    upstream.tap.forget();
    // The question stops in the tap: the client has its answer all the same.
    upstream.tap.on("/manifests/").never_answer();
    assert_eq!(timeout(ADDED, digest()).await.unwrap(), one);
    upstream.tap.heal();
    until(
        "the new image is seen",
        Duration::from_mins(1),
        async || digest().await == two,
    )
    .await;
    let gets = upstream.tap.count(|it| {
        it.method == "GET" && it.status == Some(200) && it.path.contains("/manifests/")
    });
    assert_eq!(gets, 1, "{:?}", upstream.tap.requests());
}

/// A registry that serves one manifest by tag and digest, with these fields only.
async fn odd(
    manifest: &'static str,
    fields: &'static [(&'static str, &'static str)],
) -> (Scripted, Mirror) {
    let upstream = Scripted::start(move |asked| {
        if asked.path == "/v2/" {
            return Reply::new(200, b"{}");
        }
        if !asked.path.contains("/manifests/") {
            return Reply::new(404, b"");
        }
        let reply = Reply::new(200, manifest.as_bytes());
        fields
            .iter()
            .fold(reply, |reply, (name, value)| reply.field(name, *value))
    })
    .await;
    let mirror = Plan::of_url(upstream.url()).start().await;
    (upstream, mirror)
}

const ODD: &str = r#"{ "schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2}, "layers": [] }"#;

#[tokio::test(flavor = "multi_thread")]
async fn item_21_22_types_and_digests_that_upstream_does_not_tell_are_told_here() {
    const FIELDS: [&[(&str, &str)]; 4] = [
        &[],
        &[("Content-Type", "text/plain; charset=utf-8")],
        &[("Content-Type", "application/octet-stream")],
        &[("Content-Type", "application/json")],
    ];
    for fields in FIELDS {
        let (_upstream, mirror) = odd(ODD, fields).await;
        for method in ["HEAD", "GET", "HEAD"] {
            let answer = ask(&mirror, method, "/v2/a/manifests/one").await;
            assert_eq!(answer.status(), 200, "{method} {fields:?}");
            let head = &answer.head;
            assert_eq!(
                head.field("docker-content-digest"),
                Some(&*digest(ODD.as_bytes()))
            );
            assert_eq!(
                head.field("content-type"),
                Some(MANIFEST),
                "{method} {fields:?}"
            );
            assert_eq!(head.field("content-length"), Some(&*ODD.len().to_string()));
        }
    }
}
