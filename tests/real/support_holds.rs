//! What the other tests stand on holds: registries, images, tap and clients, proven without the mirror.
//!
//! The tap stands where the mirror will, so each client pulls straight from the real registry.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::support::clients::{Client, Containerd, Docker, Podman, SKOPEO, Skopeo};
use crate::support::http::{self, get};
use crate::support::images::{Format, Layout, missing};
use crate::support::mirror::sum;
use crate::support::process::{Part, run};
use crate::support::registry::{Access, PASSWORD, USER};
use crate::support::tap::Crossing;
use crate::support::upstream::Upstream;
use crate::support::{digest, noise};

const SIZES: [usize; 3] = [300_000, 20_000, 10];

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

#[tokio::test(flavor = "multi_thread")]
async fn images_are_of_the_kind_they_are_called() {
    let upstream = Upstream::start(Access::Open).await;
    let single = Layout::image(4, &SIZES);
    let index = Layout::multi_arch(4, &SIZES);
    for (layout, format, media_type) in [
        (
            &single,
            Format::Oci,
            "application/vnd.oci.image.manifest.v1+json",
        ),
        (
            &single,
            Format::Schema2,
            "application/vnd.docker.distribution.manifest.v2+json",
        ),
        (
            &index,
            Format::Oci,
            "application/vnd.oci.image.index.v1+json",
        ),
    ] {
        let pushed = upstream
            .registry
            .push(layout, "library/kind", "one", format)
            .await;
        let target = format!("/v2/library/kind/manifests/{pushed}");
        let accept = [("Accept", media_type)];
        let answer = http::send(upstream.tap.address(), "GET", &target, &accept, b"")
            .await
            .whole()
            .await;
        assert_eq!(answer.status(), 200, "{media_type}: {}", answer.text());
        assert_eq!(answer.head.field("content-type"), Some(media_type));
        assert_eq!(digest(&answer.body), pushed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_ask_for_what_they_are_told_to() {
    for (access, challenge) in [
        (Access::Open, None),
        (Access::Basic, Some("Basic ")),
        (Access::Bearer, Some("Bearer ")),
    ] {
        let upstream = Upstream::start(access).await;
        let layout = Layout::image(5, &SIZES);
        upstream
            .registry
            .push(&layout, "library/guarded", "one", Format::Oci)
            .await;

        let answer = get(upstream.tap.address(), "/v2/library/guarded/manifests/one").await;
        let asked = answer.head.field("www-authenticate");
        match challenge {
            None => assert_eq!(
                (answer.status(), asked),
                (404, None),
                "an OCI manifest without Accept"
            ),
            Some(kind) => {
                assert_eq!(answer.status(), 401);
                assert!(
                    asked.is_some_and(|asked| asked.starts_with(kind)),
                    "{access:?}: {asked:?}"
                );
            }
        }
        let name = "library/guarded";
        assert!(
            copies(&upstream, name, Some(PASSWORD)).await,
            "{access:?}, right credentials"
        );
        if access != Access::Open {
            assert!(
                !copies(&upstream, name, Some("wrong")).await,
                "{access:?}, wrong ones"
            );
            assert!(!copies(&upstream, name, None).await, "{access:?}, none");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_and_public_repositories_need_no_credentials() {
    let upstream = Upstream::start(Access::Bearer).await;
    let layout = Layout::image(6, &SIZES);
    for repository in ["public/open", "library/guarded"] {
        upstream
            .registry
            .push(&layout, repository, "one", Format::Oci)
            .await;
    }
    let tokens = upstream.registry.tokens();
    let before = tokens.given();
    assert!(copies(&upstream, "public/open", None).await);
    assert!(tokens.given() > before);
    assert!(!copies(&upstream, "library/guarded", None).await);
    assert_eq!(tokens.refused(), 0);
    assert!(!copies(&upstream, "library/guarded", Some("wrong")).await);
    assert!(tokens.refused() > 0);
}

/// Whether skopeo can copy this image through the tap.
async fn copies(upstream: &Upstream, repository: &str, password: Option<&str>) -> bool {
    let target = tempfile::tempdir().unwrap();
    let mut copy = SKOPEO.command();
    copy.env("REGISTRY_AUTH_FILE", target.path().join("auth.json"));
    copy.args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--src-tls-verify=false",
    ]);
    if let Some(password) = password {
        copy.arg("--src-creds").arg(format!("{USER}:{password}"));
    }
    copy.arg(format!(
        "docker://{}/{repository}:one",
        upstream.tap.address()
    ));
    copy.arg(format!("dir:{}", target.path().join("copy").display()));
    run(copy, Duration::from_mins(1)).await.status.success()
}

/// A registry behind a tap, with one blob: its path and bytes.
async fn one_blob(seed: u64) -> (Upstream, String, Vec<u8>) {
    let upstream = Upstream::start(Access::Open).await;
    let bytes = noise(seed, 1_000_000);
    let digest = upstream.registry.push_blob("library/blob", &bytes).await;
    (upstream, format!("/v2/library/blob/blobs/{digest}"), bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_counts_what_crosses() {
    let (upstream, path, bytes) = one_blob(7).await;
    let tap = &upstream.tap;
    assert!(
        http::send(tap.address(), "GET", &path, &[], b"")
            .await
            .compare(&bytes)
            .await
            .is_whole(&bytes)
    );
    let part = http::send(
        tap.address(),
        "GET",
        &path,
        &[("Range", "bytes=999000-")],
        b"",
    )
    .await
    .whole()
    .await;
    assert_eq!((part.status(), &part.body[..]), (206, &bytes[999_000..]));
    http::send(tap.address(), "HEAD", &path, &[], b"")
        .await
        .whole()
        .await;

    assert_eq!(tap.count(|request| request.method == "GET"), 2);
    assert_eq!(tap.count(|request| request.range.is_some()), 1);
    assert_eq!(tap.count(|request| request.status == Some(200)), 2);
    assert_eq!(
        tap.blobs()[&digest(&bytes)],
        Crossing {
            gets: 2,
            bytes: 1_001_000
        }
    );
    assert_eq!(tap.blob_bytes(), 1_001_000);
    tap.forget();
    assert_eq!(tap.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_cuts_at_the_very_byte_of_the_blob() {
    let (upstream, path, bytes) = one_blob(8).await;
    let tap = &upstream.tap;
    tap.on(&path).cut_at(123_456);
    let cut = http::send(tap.address(), "GET", &path, &[], b"")
        .await
        .compare(&bytes)
        .await;
    assert_eq!((cut.size, cut.right, cut.complete), (123_456, true, false));
    let resumed = [("Range", "bytes=123456-")];
    let cut = http::send(tap.address(), "GET", &path, &resumed, b"")
        .await
        .compare(&bytes[123_456..])
        .await;
    assert_eq!(
        (cut.size, cut.complete),
        (0, false),
        "a fetch that resumes is cut at the same byte"
    );
    tap.heal();
    assert!(
        http::send(tap.address(), "GET", &path, &[], b"")
            .await
            .compare(&bytes)
            .await
            .is_whole(&bytes)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_flips_one_bit_once() {
    let (upstream, path, bytes) = one_blob(9).await;
    let tap = &upstream.tap;
    tap.on(&path).once().flip_at(700_000);
    let mut flipped = bytes.clone();
    flipped[700_000] ^= 1;
    assert!(
        http::send(tap.address(), "GET", &path, &[], b"")
            .await
            .compare(&flipped)
            .await
            .is_whole(&flipped)
    );
    assert!(
        http::send(tap.address(), "GET", &path, &[], b"")
            .await
            .compare(&bytes)
            .await
            .is_whole(&bytes)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_holds_an_answer_until_it_is_released() {
    let (upstream, path, bytes) = one_blob(10).await;
    let tap = &upstream.tap;
    let gate = tap.on(&path).gate_at(500_000);
    let mut download = http::send(tap.address(), "GET", &path, &[], b"").await;
    gate.reached().await;
    assert_eq!(tap.blob_bytes(), 500_000);
    let mut buffer = vec![0; 64 * 1024];
    let mut half = 0;
    while half < 500_000 {
        half += download
            .next(&mut buffer)
            .await
            .expect("the first half")
            .len();
    }
    assert_eq!(half, 500_000);
    gate.release();
    assert!(
        download
            .compare(&bytes[500_000..])
            .await
            .is_whole(&bytes[500_000..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_answers_in_place_of_the_upstream_and_closes() {
    let (mut upstream, path, _) = one_blob(11).await;
    upstream.tap.on(&path).once().answer(503);
    assert_eq!(get(upstream.tap.address(), &path).await.status(), 503);
    assert_eq!(get(upstream.tap.address(), &path).await.status(), 200);
    upstream.tap.close().await;
    assert!(
        tokio::net::TcpStream::connect(upstream.tap.address())
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tap_stalls_without_closing() {
    let (upstream, path, bytes) = one_blob(12).await;
    upstream.tap.on(&path).stall_at(1000);
    let mut download = http::send(upstream.tap.address(), "GET", &path, &[], b"").await;
    let mut buffer = vec![0; 4096];
    assert_eq!(download.next(&mut buffer).await, Some(&bytes[..1000]));
    let more = tokio::time::timeout(Duration::from_millis(200), download.next(&mut buffer)).await;
    assert!(more.is_err(), "something came after the stall");
}

#[test]
fn a_missing_part_is_named_with_its_package() {
    let missing = Part {
        program: "no-such-program",
        package: "no-such-package",
    };
    let panic = catch_unwind(AssertUnwindSafe(|| missing.command())).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert_eq!(
        message,
        "no-such-program is missing (Debian package no-such-package): run script/setup --parts"
    );
}

#[test]
fn samples_are_added_by_name_and_labels() {
    let page = "# HELP a_total x\na_total{u=\"x\",k=\"blob\"} 2\na_total{u=\"x\",k=\"tag\"} 3\na_total_more 9\nb 4\n";
    assert_eq!(sum(page, "a_total", &[]).to_string(), "5");
    assert_eq!(sum(page, "a_total", &[("k", "blob")]).to_string(), "2");
    assert_eq!(sum(page, "b", &[]).to_string(), "4");
    assert_eq!(sum(page, "c", &[]).to_string(), "0");
}
