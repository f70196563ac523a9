//! Each client pulls every kind of image straight from the real registry, through a tap where the mirror will stand.

use super::SIZES;
use crate::support::clients::{Client, Containerd, Docker, Podman, Skopeo};
use crate::support::images::{Format, Layout, missing};
use crate::support::registry::Access;
use crate::support::tap::Crossing;
use crate::support::upstream::Upstream;

/// Pulls twice, forgetting in between: the client has the right bytes, and really asks again.
async fn gets_everything_each_time<C: Client>(
    client: &C,
    layout: &Layout,
    upstream: &Upstream,
    reference: &str,
) {
    for round in 1..=2 {
        upstream.tap.forget();
        client.pull(reference).await;
        let holds = client.holds(reference).await;
        assert!(
            missing(layout.layers(), &holds).is_empty(),
            "{} {reference} lacks layers: {holds:?}",
            C::NAME
        );
        let crossed = upstream.tap.blobs();
        for layer in layout.layers() {
            let once = Crossing {
                gets: 1,
                bytes: layer.size,
            };
            assert_eq!(
                crossed.get(&layer.blob),
                Some(&once),
                "{} {reference}, round {round}",
                C::NAME
            );
        }
        client.forget(reference).await;
    }
}

/// Every kind of image and reference, with one client.
async fn pulls_straight_from_the_registry<C: Client>(client: &C, upstream: &Upstream) {
    let single = Layout::image(1, &SIZES);
    let index = Layout::multi_arch(2, &SIZES);
    let pushed = upstream
        .registry
        .push(&single, "library/single", "one", Format::Oci)
        .await;
    upstream
        .registry
        .push(&single, "library/schema2", "one", Format::Schema2)
        .await;
    upstream
        .registry
        .push(&index, "library/index", "one", Format::Oci)
        .await;
    for (layout, reference) in [
        (&single, "docker.io/library/single:one"),
        (&single, &format!("docker.io/library/single@{pushed}")),
        (&single, "docker.io/library/schema2:one"),
        (&index, "docker.io/library/index:one"),
    ] {
        gets_everything_each_time(client, layout, upstream, reference).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pulls_and_forgets() {
    let upstream = Upstream::start(Access::Open).await;
    let skopeo = Skopeo::new(upstream.tap.address());
    pulls_straight_from_the_registry(&skopeo, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_and_forgets() {
    let upstream = Upstream::start(Access::Open).await;
    let podman = Podman::new(upstream.tap.address());
    pulls_straight_from_the_registry(&podman, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_pulls_and_forgets() {
    let upstream = Upstream::start(Access::Open).await;
    let containerd = Containerd::start(upstream.tap.address()).await;
    pulls_straight_from_the_registry(&containerd, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dockerd_pulls_and_forgets() {
    let upstream = Upstream::start(Access::Open).await;
    let docker = Docker::start(upstream.tap.address()).await;
    pulls_straight_from_the_registry(&docker, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_platforms_means_all() {
    let upstream = Upstream::start(Access::Open).await;
    let index = Layout::multi_arch(3, &SIZES);
    upstream
        .registry
        .push(&index, "library/index", "one", Format::Oci)
        .await;
    let reference = "docker.io/library/index:one";

    let skopeo = Skopeo::new(upstream.tap.address()).all_platforms();
    skopeo.pull(reference).await;
    let containerd = Containerd::start(upstream.tap.address())
        .await
        .all_platforms();
    containerd.pull(reference).await;

    let layers = index.all_layers();
    assert_eq!(layers.len(), 2 * SIZES.len());
    assert_eq!(
        missing(&layers, &skopeo.holds(reference).await),
        Vec::<&_>::new()
    );
    assert_eq!(
        missing(&layers, &containerd.holds(reference).await),
        Vec::<&_>::new()
    );
}
