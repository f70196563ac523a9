//! Bundles: other tools read them, what other tools wrote is taken in, and a site without any network is served.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::bound::until;
use crate::support::clients::{Client, Containerd, Docker, Podman, SKOPEO, Skopeo};
use crate::support::images::{Format, Layer, Layout, missing};
use crate::support::mirror::{Mirror, Plan, roadstead};
use crate::support::netns::without_network;
use crate::support::process::{Part, run, run_well, said};
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

const PATIENCE: Duration = Duration::from_mins(2);
const SIZES: [usize; 3] = [700_000, 40_000, 10];
const UMOCI: Part = Part {
    program: "umoci",
    package: "umoci",
};
/// Nobody is there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// `roadstead bundle`, with these arguments.
fn bundle(arguments: &[&str]) -> Command {
    let mut command = roadstead();
    command.arg("bundle").args(arguments);
    command
}

async fn export(mirror: &Mirror, output: &Path, more: &[&str]) -> Output {
    let mut command = bundle(&["export", "--config"]);
    command
        .arg(mirror.config())
        .arg("-o")
        .arg(output)
        .args(more);
    run(command, PATIENCE).await
}

async fn import(mirror: &Mirror, file: &Path, more: &[&str]) -> Output {
    let mut command = bundle(&["import", "--config"]);
    command.arg(mirror.config()).arg(file).args(more);
    run(command, PATIENCE).await
}

fn well(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A mirror with these images, stopped; the upstream is gone.
async fn warmed(images: &[(&Layout, &str, Format)]) -> (Mirror, Vec<String>) {
    let upstream = Upstream::start(Access::Open).await;
    let mirror = Plan::of(&upstream.tap).prepare();
    let mut digests = Vec::new();
    let mut command = roadstead();
    command.arg("warm").arg("--config").arg(mirror.config());
    for (layout, repository, format) in images {
        digests.push(
            upstream
                .registry
                .push(layout, repository, "one", *format)
                .await,
        );
        command.arg(format!("docker.io/{repository}:one"));
    }
    run_well(command, PATIENCE).await;
    (mirror, digests)
}

async fn pulls<C: Client>(client: &C, reference: &str, layers: &[Layer]) {
    client.pull(reference).await;
    let holds = client.holds(reference).await;
    let lacks = missing(layers, &holds);
    assert!(lacks.is_empty(), "{} {reference} lacks {lacks:?}", C::NAME);
    client.forget(reference).await;
}

fn unpacked(file: &Path, folder: &Path) -> PathBuf {
    let folder = folder.join("unpacked");
    let mut archive = tar::Archive::new(std::fs::File::open(file).unwrap());
    archive.unpack(&folder).unwrap();
    folder
}

/// The file as `gzip` packs it.
fn gzipped(file: &Path, folder: &Path) -> PathBuf {
    let packed = folder.join("packed.tar.gz");
    let target = std::fs::File::create(&packed).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::fast());
    std::io::copy(&mut std::fs::File::open(file).unwrap(), &mut encoder).unwrap();
    encoder.finish().unwrap();
    packed
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_and_umoci_read_what_was_exported() {
    let (image, index) = (Layout::image(11, &SIZES), Layout::multi_arch(12, &SIZES));
    let wanted = [
        (&image, "library/image", Format::Oci),
        (&index, "library/index", Format::Oci),
    ];
    let (mirror, _) = warmed(&wanted).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("b.tar");
    well(&export(&mirror, &file, &["--all"]).await);

    for (layers, name) in [(image.layers(), "image"), (index.layers(), "index")] {
        let copy = folder.path().join(name);
        let mut skopeo = SKOPEO.command();
        skopeo.args(["--insecure-policy", "copy", "--quiet"]);
        skopeo.arg(format!(
            "oci-archive:{}:docker.io/library/{name}:one",
            file.display()
        ));
        skopeo.arg(format!("dir:{}", copy.display()));
        run_well(skopeo, PATIENCE).await;
        for layer in layers {
            let hex = layer.blob.trim_start_matches("sha256:");
            assert!(copy.join(hex).is_file(), "{name} lacks {layer:?}");
        }
    }
    let layout = unpacked(&file, folder.path());
    let mut umoci = UMOCI.command();
    umoci.args(["list", "--layout"]).arg(&layout);
    let listed = well(&run(umoci, PATIENCE).await);
    assert!(listed.contains("docker.io/library/image:one"), "{listed}");
    let mut umoci = UMOCI.command();
    umoci.arg("unpack").arg("--image");
    umoci.arg(format!("{}:docker.io/library/image:one", layout.display()));
    umoci.arg(folder.path().join("root"));
    run_well(umoci, PATIENCE).await;
    assert!(folder.path().join("root/rootfs/noise-1101").is_file());

    // Packed, in pieces, and the same again.
    let pieces = folder.path().join("p.tar");
    let said = well(&export(&mirror, &pieces, &["--all", "--zstd", "--split", "500KiB"]).await);
    assert!(said.contains("p.tar.002"), "{said}");
    let again = folder.path().join("again.tar");
    well(&export(&mirror, &again, &["--all"]).await);
    assert!(std::fs::read(&file).unwrap() == std::fs::read(&again).unwrap());
    for path in [&file, &pieces] {
        let mut verify = bundle(&["verify"]);
        verify.arg(path);
        well(&run(verify, PATIENCE).await);
        let mut inspect = bundle(&["inspect"]);
        inspect.arg(path);
        let said = well(&run(inspect, PATIENCE).await);
        assert!(
            said.contains("docker.io/library/index:one sha256:"),
            "{said}"
        );
        assert!(said.contains("linux/amd64,linux/arm64"), "{said}");
    }
    let other = Plan::of_url(NOWHERE.to_owned()).offline().prepare();
    well(&import(&other, &pieces, &[]).await);
    assert_eq!(other.content(), mirror.content());
}

/// Exported here, taken in there, pulled where no network is: by tag and by digest, by each client.
#[test]
fn a_site_without_network_is_served_from_a_bundle() {
    without_network(|| async {
        let (image, schema2, index) = (
            Layout::image(21, &SIZES),
            Layout::image(22, &SIZES),
            Layout::multi_arch(23, &SIZES),
        );
        let wanted = [
            (&image, "library/image", Format::Oci),
            (&schema2, "library/schema2", Format::Schema2),
            (&index, "library/index", Format::Oci),
        ];
        let (source, digests) = warmed(&wanted).await;
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("b.tar");
        well(&export(&source, &file, &["--all"]).await);

        let mut site = Plan::of_url(NOWHERE.to_owned()).offline().prepare();
        let said = well(&import(&site, &file, &[]).await);
        assert!(
            said.contains("docker.io/library/schema2:one sha256:"),
            "{said}"
        );
        site.start().await;
        let missing = site.get("/v2/library/none/manifests/one").await;
        assert_eq!(missing.status(), 404, "{}", missing.text());
        assert!(missing.text().contains("offline"), "{}", missing.text());
        let (docker, containerd) = (
            Docker::start(site.address).await,
            Containerd::start(site.address).await,
        );
        let (podman, skopeo) = (Podman::new(site.address), Skopeo::new(site.address));
        for ((layout, repository, _), digest) in wanted.iter().zip(&digests) {
            let by_tag = format!("docker.io/{repository}:one");
            let by_digest = format!("docker.io/{repository}@{digest}");
            for reference in [by_tag, by_digest] {
                pulls(&docker, &reference, layout.layers()).await;
                pulls(&containerd, &reference, layout.layers()).await;
                pulls(&podman, &reference, layout.layers()).await;
                pulls(&skopeo, &reference, layout.layers()).await;
            }
        }
        // While it runs, its folder is its own.
        let refused = import(&site, &file, &[]).await;
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains("stop it, run this again"), "{told}");
    });
}

/// The digests that the members of a tar are named by.
fn members(file: &Path) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(std::fs::File::open(file).unwrap());
    let paths = archive.entries().unwrap().map(|member| {
        let member = member.unwrap();
        member.path().unwrap().display().to_string()
    });
    paths
        .filter_map(|path| Some(path.strip_prefix("blobs/")?.replace('/', ":")))
        .collect()
}

/// One of two images changed in its last layer: a bundle of what the other side lacks holds the new layer, config and
/// manifest, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_delta_brings_what_changed() {
    let changed_sizes = [SIZES[0], SIZES[1], 5_000];
    let (old, new) = (Layout::image(31, &SIZES), Layout::image(31, &changed_sizes));
    let other = Layout::multi_arch(32, &SIZES);
    let other = (&other, "library/other", Format::Oci);
    let (before, _) = warmed(&[(&old, "library/image", Format::Oci), other]).await;
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    well(&export(&before, &file("1.tar"), &["--all"]).await);
    let mut site = Plan::of_url(NOWHERE.to_owned()).offline().prepare();
    well(&import(&site, &file("1.tar"), &[]).await);

    // The same list in three ways, for a site that rests and for one that serves.
    let mut list = bundle(&["have", "--config"]);
    list.arg(site.config());
    let have = well(&run(list, PATIENCE).await);
    let listed: BTreeSet<_> = have.lines().map(str::to_owned).collect();
    assert_eq!(listed, site.content());
    let mut list = roadstead();
    list.args(["cache", "have", "--config"]).arg(site.config());
    assert_eq!(well(&run(list, PATIENCE).await), have);
    site.start().await;
    // It looks through its folder after it has started.
    until("the site lists what is here", PATIENCE, async || {
        let mut list = roadstead();
        list.args(["cache", "have", "--server", &site.operator()]);
        well(&run(list, PATIENCE).await) == have
    })
    .await;
    site.stop();
    std::fs::write(file("have"), have).unwrap();

    let (after, digests) = warmed(&[(&new, "library/image", Format::Oci), other]).await;
    let have = file("have").display().to_string();
    let told = well(&export(&after, &file("2.tar"), &["--all", "--have", &have]).await);
    let delta = members(&file("2.tar"));
    let lacking: BTreeSet<_> = after.content().difference(&listed).cloned().collect();
    assert_eq!(delta, lacking, "{told}");
    assert_eq!(delta.len(), 3, "manifest, config, one layer: {delta:?}");
    assert!(delta.contains(&digests[0]) && delta.contains(&new.layers()[2].blob));
    let mut verify = bundle(&["verify"]);
    verify.arg(file("2.tar"));
    let verified = run(verify, PATIENCE).await;
    assert_eq!(verified.status.code(), Some(3), "{}", said(&verified));

    let empty = Plan::of_url(NOWHERE.to_owned()).offline().prepare();
    let refused = import(&empty, &file("2.tar"), &[]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(empty.content().is_empty());
    well(&import(&site, &file("2.tar"), &[]).await);
    assert!(site.content().is_superset(&after.content()));
    site.start().await;
    let skopeo = Skopeo::new(site.address);
    pulls(&skopeo, "docker.io/library/image:one", new.layers()).await;
}

/// What others wrote: a layout by skopeo, as folder and as tar; what a real `docker save` writes; the storage of a real
/// registry.
#[tokio::test(flavor = "multi_thread")]
async fn what_other_tools_wrote_is_taken_in_and_served() {
    let (oci, saved, stored) = (
        Layout::image(41, &SIZES),
        Layout::image(42, &SIZES),
        Layout::multi_arch(43, &SIZES),
    );
    let upstream = Upstream::start(Access::Open).await;
    let folder = TempDir::new().unwrap();
    let mut site = Plan::of_url(NOWHERE.to_owned()).offline().prepare();

    let copied = |kind: &str, layout: &Layout| {
        let mut skopeo = SKOPEO.command();
        skopeo.args(["--insecure-policy", "copy", "--quiet"]);
        skopeo.arg(format!("oci:{}", layout.folder().display()));
        skopeo.arg(format!("{kind}:{}", folder.path().join(kind).display()) + ":three");
        skopeo
    };
    for kind in ["oci", "oci-archive"] {
        run_well(copied(kind, &oci), PATIENCE).await;
        let name = format!("docker.io/library/{kind}");
        well(&import(&site, &folder.path().join(kind), &["--as", &name]).await);
    }
    // As dockerd writes it.
    upstream
        .registry
        .push(&saved, "library/saved", "one", Format::Schema2)
        .await;
    let mirror = Plan::of(&upstream.tap).start().await;
    let docker = Docker::start(mirror.address).await;
    docker.pull("docker.io/library/saved:one").await;
    let archive = docker.save("docker.io/library/saved:one").await;
    let packed = gzipped(&archive, folder.path());
    let said = well(&import(&site, &packed, &[]).await);
    assert!(
        said.contains("docker.io/library/saved:one sha256:"),
        "{said}"
    );
    let again = well(&import(&site, &archive, &[]).await);
    assert!(again.contains("0 blobs and manifests new"), "{again}");
    // As a registry stores it.
    upstream
        .registry
        .push(&stored, "library/stored", "one", Format::Oci)
        .await;
    let storage = upstream.registry.storage();
    let said = well(&import(&site, &storage, &["--upstream", "docker.io"]).await);
    assert!(
        said.contains("docker.io/library/stored:one sha256:"),
        "{said}"
    );

    site.start().await;
    let skopeo = Skopeo::new(site.address);
    pulls(&skopeo, "docker.io/library/oci:three", oci.layers()).await;
    pulls(&skopeo, "docker.io/library/oci-archive:three", oci.layers()).await;
    pulls(&skopeo, "docker.io/library/stored:one", stored.layers()).await;
    // Its layers come as they were saved, not packed: other blobs, the same tars.
    let docker = Docker::start(site.address).await;
    docker.pull("docker.io/library/saved:one").await;
    let holds = docker.holds("docker.io/library/saved:one").await;
    for layer in saved.layers() {
        assert!(holds.contains(&layer.tar), "{layer:?} {holds:?}");
    }
}
