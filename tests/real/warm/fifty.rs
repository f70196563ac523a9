//! A list of fifty references through a running mirror: each byte crosses once, and then nothing but questions about
//! tags; with the upstream gone, real clients pull all of it.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tempfile::TempDir;

use super::{crossed, list, warm, warmed};
use crate::support::clients::{Client, Containerd, Docker, Podman, Skopeo};
use crate::support::http;
use crate::support::images::{Format, Layer, Layout, host_architecture, missing};
use crate::support::mirror::Plan;
use crate::support::registry::{Access, Registry};
use crate::support::upstream::Upstream;

/// Images that differ; so many of them are known under a second name.
const IMAGES: u64 = 40;
const NAMED_TWICE: u64 = 10;
/// Pushed at once.
const PUSHES: usize = 4;
const SIZES: [usize; 3] = [900_000, 40_000, 10];
/// What indexes have, and what is chosen of them.
const ARCHITECTURES: [&str; 3] = ["amd64", "arm64", "s390x"];
const CHOSEN: [&str; 2] = ["amd64", "arm64"];
/// What a client may be told apart by when manifests are asked for.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// One reference of the list.
struct Wanted {
    reference: String,
    repository: String,
    /// What a client on this machine needs of it.
    layers: Vec<Layer>,
}

/// Pushes fifty references: images in both formats, indexes among them, and some under two names.
async fn pushed(registry: &Registry) -> Vec<Wanted> {
    let images = (0..IMAGES).map(|seed| image(registry, seed));
    let images: Vec<_> = stream::iter(images).buffered(PUSHES).collect().await;
    images.into_iter().flatten().collect()
}

async fn image(registry: &Registry, seed: u64) -> Vec<Wanted> {
    let of_one = || Layout::image(seed + 100, &SIZES);
    let (layout, format) = match seed % 3 {
        0 => (of_one(), Format::Oci),
        1 => (
            Layout::index(seed + 100, &SIZES, &ARCHITECTURES),
            Format::Oci,
        ),
        _ => (of_one(), Format::Schema2),
    };
    let names = if seed < NAMED_TWICE { 2 } else { 1 };
    let mut all = Vec::new();
    for name in ["warm", "again"].iter().take(names) {
        let repository = format!("library/{name}-{seed}");
        registry.push(&layout, &repository, "one", format).await;
        all.push(Wanted {
            reference: format!("docker.io/{repository}:one"),
            repository,
            layers: layout.layers().to_vec(),
        });
    }
    all
}

/// Digest and size of all that the chosen platforms of an image are made of, as the registry itself tells.
async fn parts(registry: &Registry, repository: &str, parts: &mut BTreeMap<String, u64>) {
    let mut left = vec!["one".to_owned()];
    while let Some(reference) = left.pop() {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let fields = [("Accept", ACCEPT)];
        let answer = http::send(registry.address(), "GET", &target, &fields, b"");
        let answer = answer.await.whole().await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let digest = crate::support::digest(&answer.body);
        parts.insert(digest, answer.body.len() as u64);
        let manifest: Value = serde_json::from_slice(&answer.body).unwrap();
        let list = |name: &str| manifest[name].as_array().cloned().unwrap_or_default();
        let chosen = |child: &Value| {
            let architecture = child["platform"]["architecture"].as_str();
            architecture.is_some_and(|it| CHOSEN.contains(&it))
        };
        let children = list("manifests").into_iter().filter(chosen);
        left.extend(children.map(|child| child["digest"].as_str().unwrap().to_owned()));
        let config = manifest.get("config").cloned();
        for blob in list("layers").into_iter().chain(config) {
            let digest = blob["digest"].as_str().unwrap().to_owned();
            parts.insert(digest, blob["size"].as_u64().unwrap());
        }
    }
}

async fn pulls<C: Client>(client: &C, images: &[&Wanted]) {
    for image in images {
        client.pull(&image.reference).await;
        let holds = client.holds(&image.reference).await;
        let lacks = missing(&image.layers, &holds);
        assert!(
            lacks.is_empty(),
            "{} {} lacks {lacks:?}",
            C::NAME,
            image.reference
        );
        client.forget(&image.reference).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_are_warmed_once_and_pulled_with_the_upstream_gone() {
    assert!(
        CHOSEN.contains(&&*host_architecture()),
        "clients here need a platform of the chosen ones"
    );
    let Upstream { registry, mut tap } = Upstream::start(Access::Open).await;
    // Tags are asked about each time: what the second run asks is seen.
    let mirror = Plan::of(&tap).tags_for("0s").start().await;
    let images = pushed(&registry).await;
    assert_eq!(images.len(), 50);
    let mut wanted = BTreeMap::new();
    for image in &images {
        parts(&registry, &image.repository, &mut wanted).await;
    }
    let bytes: u64 = wanted.values().sum();
    let folder = TempDir::new().unwrap();
    let references: Vec<_> = images.iter().map(|it| it.reference.clone()).collect();
    let (list, server) = (list(folder.path(), &references), mirror.operator());
    let platforms = CHOSEN.map(|it| format!("linux/{it}")).join(",");
    let arguments = ["--server", &server, "-f", &list, "--json", "--platform"];
    let command = || warm(&[&arguments[..], &[&platforms]].concat());
    tap.forget();

    let (code, report) = warmed(command()).await;
    assert_eq!(
        (code, &report["state"]),
        (0, &"complete".into()),
        "{report:#}"
    );
    assert_eq!(report["rows"].as_array().unwrap().len(), images.len());
    let uplink = crossed(&tap);
    println!("warm: {bytes} bytes of fifty references' distinct content, {uplink} over the uplink");
    assert!(uplink.abs_diff(bytes) * 100 <= bytes, "{uplink} of {bytes}");
    assert_eq!(report["fetched"], uplink, "{report:#}");
    let blobs = tap.blobs();
    assert!(blobs.values().all(|it| it.gets == 1), "{blobs:?}");
    let others: Vec<_> = blobs
        .keys()
        .filter(|it| !wanted.contains_key(*it))
        .collect();
    assert!(others.is_empty(), "of other platforms: {others:?}");
    let content = mirror.content();
    assert!(wanted.keys().all(|it| content.contains(it)));

    tap.forget();
    let (code, report) = warmed(command()).await;
    assert_eq!((code, &report["fetched"]), (0, &0.into()), "{report:#}");
    let asked = tap.requests();
    assert_eq!(asked.len(), images.len(), "{asked:?}");
    assert!(asked.iter().all(|it| it.method == "HEAD"), "{asked:?}");

    tap.close().await;
    drop(registry);
    let every = |nth: usize| images.iter().skip(nth).step_by(10).collect::<Vec<_>>();
    let rest = images.iter().enumerate().filter(|(nth, _)| nth % 10 > 2);
    let rest: Vec<_> = rest.map(|(_, image)| image).collect();
    let (docker, containerd) = (
        Docker::start(mirror.address).await,
        Containerd::start(mirror.address).await,
    );
    let (first, second, third) = (every(0), every(1), every(2));
    let (podman, skopeo) = (Podman::new(mirror.address), Skopeo::new(mirror.address));
    tokio::join!(
        pulls(&docker, &first),
        pulls(&containerd, &second),
        pulls(&podman, &third),
        pulls(&skopeo, &rest),
    );
}
