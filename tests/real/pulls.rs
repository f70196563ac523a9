//! Real clients pull real images: every byte crosses the uplink once, and the bytes are the right ones.

use std::time::Duration;

use crate::support::bound::within;
use crate::support::clients::{Client, Containerd, Docker, Podman, Skopeo};
use crate::support::images::{Format, Layer, Layout, missing};
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::Access;
use crate::support::tap::Crossing;
use crate::support::upstream::Upstream;

/// Bytes of the layers of each image: some pieces, one piece, next to nothing.
const SIZES: [usize; 3] = [3_000_000, 40_000, 10];

/// An image in the upstream and what to ask for to get it.
struct Wanted {
    layout: Layout,
    reference: String,
}

/// Every kind of image, by every kind of reference. No two share a blob, so each pull of one begins cold.
async fn everything(upstream: &Upstream) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (seed, kind, format, by_digest) in [
        (
            1,
            Layout::image as fn(u64, &[usize]) -> Layout,
            Format::Oci,
            false,
        ),
        (2, Layout::image, Format::Oci, true),
        (3, Layout::image, Format::Schema2, false),
        (4, Layout::image, Format::Schema2, true),
        (5, Layout::multi_arch, Format::Oci, false),
        (6, Layout::multi_arch, Format::Oci, true),
    ] {
        let layout = kind(seed, &SIZES);
        let repository = format!("library/kind-{seed}");
        let digest = upstream
            .registry
            .push(&layout, &repository, "one", format)
            .await;
        let reference = if by_digest {
            format!("docker.io/{repository}@{digest}")
        } else {
            format!("docker.io/{repository}:one")
        };
        wanted.push(Wanted { layout, reference });
    }
    wanted
}

/// The client gets the right bytes.
async fn pull_and_look<C: Client>(client: &C, layers: &[Layer], reference: &str) {
    client.pull(reference).await;
    let holds = client.holds(reference).await;
    let lacks = missing(layers, &holds);
    assert!(
        lacks.is_empty(),
        "{} {reference} lacks {lacks:?} among {holds:?}",
        C::NAME
    );
    client.forget(reference).await;
}

/// Cold: each blob crosses the uplink exactly once, whole. Warm: none does.
async fn cold_then_warm<C: Client>(
    client: &C,
    upstream: &Upstream,
    layers: &[Layer],
    reference: &str,
) {
    let tap = &upstream.tap;
    tap.forget();
    pull_and_look(client, layers, reference).await;
    let crossed = tap.blobs();
    for layer in layers {
        let whole = Crossing {
            gets: 1,
            bytes: layer.size,
        };
        assert_eq!(
            crossed.get(&layer.blob),
            Some(&whole),
            "{} {reference}, cold",
            C::NAME
        );
    }
    assert!(
        crossed.values().all(|crossing| crossing.gets == 1),
        "{} {reference}, cold: {crossed:?}",
        C::NAME
    );

    tap.forget();
    pull_and_look(client, layers, reference).await;
    let asked = tap
        .requests()
        .into_iter()
        .filter(|request| request.path.contains("/blobs/"))
        .collect::<Vec<_>>();
    assert!(asked.is_empty(), "{} {reference}, warm: {asked:?}", C::NAME);
    assert_eq!(tap.blob_bytes(), 0, "{} {reference}, warm", C::NAME);
}

async fn pulls_everything<C: Client>(client: &C, upstream: &Upstream) {
    for wanted in everything(upstream).await {
        cold_then_warm(client, upstream, wanted.layout.layers(), &wanted.reference).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dockerd_pulls_each_byte_once() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let docker = Docker::start(mirror.address).await;
    pulls_everything(&docker, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_pulls_each_byte_once() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let containerd = Containerd::start(mirror.address).await;
    pulls_everything(&containerd, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_each_byte_once() {
    let (upstream, mirror) = Upstream::mirrored().await;
    pulls_everything(&Podman::new(mirror.address), &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pulls_each_byte_once() {
    let (upstream, mirror) = Upstream::mirrored().await;
    pulls_everything(&Skopeo::new(mirror.address), &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_platforms_of_an_index_cross_once() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let index = Layout::multi_arch(7, &SIZES);
    upstream
        .registry
        .push(&index, "library/index", "one", Format::Oci)
        .await;
    let reference = "docker.io/library/index:one";
    let skopeo = Skopeo::new(mirror.address).all_platforms();
    cold_then_warm(&skopeo, &upstream, &index.all_layers(), reference).await;

    // What one client brought is there for the next one, of another kind.
    let containerd = Containerd::start(mirror.address).await.all_platforms();
    upstream.tap.forget();
    pull_and_look(&containerd, &index.all_layers(), reference).await;
    assert_eq!(upstream.tap.blobs().len(), 0);
}

/// The upstream asks for credentials; the mirror has them and its clients do not.
async fn signs_in_for_its_clients(access: Access) -> (Upstream, Mirror) {
    let upstream = Upstream::start(access).await;
    let mirror = Plan::of(&upstream.tap).signed_in().start().await;
    let containerd = Containerd::start(mirror.address).await;
    pulls_everything(&containerd, &upstream).await;

    let layout = Layout::image(8, &SIZES);
    upstream
        .registry
        .push(&layout, "library/guarded", "one", Format::Oci)
        .await;
    let skopeo = Skopeo::new(mirror.address);
    cold_then_warm(
        &skopeo,
        &upstream,
        layout.layers(),
        "docker.io/library/guarded:one",
    )
    .await;
    (upstream, mirror)
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_in_with_basic() {
    signs_in_for_its_clients(Access::Basic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_in_with_bearer_and_keeps_its_tokens() {
    let (upstream, mirror) = signs_in_for_its_clients(Access::Bearer).await;
    let layout = Layout::image(9, &SIZES);
    upstream
        .registry
        .push(&layout, "library/tokens", "one", Format::Oci)
        .await;
    let tokens = upstream.registry.tokens();
    let before = tokens.given();
    pull_and_look(
        &Skopeo::new(mirror.address),
        layout.layers(),
        "docker.io/library/tokens:one",
    )
    .await;
    assert_eq!(tokens.given() - before, 1, "one repository, one token");
    assert_eq!(tokens.refused(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_anonymously_with_a_token() {
    let upstream = Upstream::start(Access::Bearer).await;
    let layout = Layout::image(10, &SIZES);
    upstream
        .registry
        .push(&layout, "public/open", "one", Format::Oci)
        .await;
    let mirror = Plan::of(&upstream.tap).start().await;
    let skopeo = Skopeo::new(mirror.address);
    cold_then_warm(
        &skopeo,
        &upstream,
        layout.layers(),
        "docker.io/public/open:one",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_on_with_the_upstream_gone() {
    let mut upstream = Upstream::start(Access::Open).await;
    // Every tag is due for a look upstream at once, so each answer is one that the mirror stands for by itself.
    let mirror = Plan::of(&upstream.tap).tags_for("0s").start().await;
    let (skopeo, docker) = (
        Skopeo::new(mirror.address),
        Docker::start(mirror.address).await,
    );
    let wanted = everything(&upstream).await;
    for Wanted { layout, reference } in &wanted {
        pull_and_look(&skopeo, layout.layers(), reference).await;
        pull_and_look(&docker, layout.layers(), reference).await;
    }
    upstream.tap.close().await;
    let pulls = async {
        for Wanted { layout, reference } in &wanted {
            pull_and_look(&skopeo, layout.layers(), reference).await;
            pull_and_look(&docker, layout.layers(), reference).await;
        }
    };
    within(
        "pulls with the upstream gone",
        Duration::from_mins(3),
        pulls,
    )
    .await;
}
