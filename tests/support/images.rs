//! Images with known bytes, written as OCI image layouts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{digest, noise};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The manifest formats an image can be pushed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OCI image manifests.
    Oci,
    /// Docker image manifest version 2, schema 2.
    Schema2,
    /// OCI image manifests, with layers compressed anew so that each file in them can be fetched by itself
    /// (zstd:chunked). Their digests are not those of the layout.
    Chunked,
}

impl Format {
    /// The options that skopeo has for it.
    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Oci => &["--format", "oci"],
            Self::Schema2 => &["--format", "v2s2"],
            Self::Chunked => &["--format", "oci", "--dest-compress-format", "zstd:chunked"],
        }
    }
}

/// A layer in both of its forms; clients keep one or the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Layer {
    /// The digest of the blob, as the registry has it.
    pub(crate) blob: String,
    /// The digest of the tar inside, as `rootfs.diff_ids` has it.
    pub(crate) tar: String,
    /// The size of the blob in bytes.
    pub(crate) size: u64,
}

/// The platforms that images are made for, as (architecture, its layers).
type Platforms = Vec<(String, Vec<Layer>)>;

/// An OCI image layout with one image, or one index of images. Its folder is deleted with it.
#[derive(Debug)]
pub(crate) struct Layout {
    folder: TempDir,
    platforms: Platforms,
}

impl Layout {
    /// One image for this machine's platform, with a layer of about each size of `sizes` (bytes).
    ///
    /// The bytes follow from `seed`; different seeds share no layer.
    pub(crate) fn image(seed: u64, sizes: &[usize]) -> Self {
        Self::with(|layout| layout.add_image(&host_architecture(), seed, sizes))
    }

    /// One image for this machine's platform, with these files (name and bytes) in one layer.
    pub(crate) fn of_files(files: &[(String, Vec<u8>)]) -> Self {
        Self::with(|layout| {
            let layer = layout.add_tar(&tar_of(files));
            layout.add_layers(&host_architecture(), &[layer])
        })
    }

    /// An index of images for amd64 and arm64, each with layers of its own.
    pub(crate) fn multi_arch(seed: u64, sizes: &[usize]) -> Self {
        Self::index(seed, sizes, &["amd64", "arm64"])
    }

    /// An index of images for these architectures, each with layers of its own.
    pub(crate) fn index(seed: u64, sizes: &[usize], architectures: &[&str]) -> Self {
        Self::with(|layout| {
            let images: Vec<_> = (5..)
                .zip(architectures)
                .map(|(nth, architecture)| {
                    let mut image = layout.add_image(architecture, seed + nth * 1000, sizes);
                    image["platform"] = json!({"os": "linux", "architecture": architecture});
                    image
                })
                .collect();
            let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images});
            layout.add_json(INDEX, &index)
        })
    }

    fn with(fill: impl FnOnce(&mut Self) -> Value) -> Self {
        let folder = TempDir::new().expect("a folder for an image layout");
        let mut layout = Self {
            folder,
            platforms: Vec::new(),
        };
        std::fs::create_dir_all(layout.folder().join("blobs/sha256")).expect("the layout's blobs");
        let top = fill(&mut layout);
        layout.write("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}));
        layout.write(
            "index.json",
            &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}),
        );
        layout
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The layers that a client on this machine needs.
    pub(crate) fn layers(&self) -> &[Layer] {
        self.layers_for(&host_architecture())
    }

    /// The layers of the image for this architecture.
    pub(crate) fn layers_for(&self, wanted: &str) -> &[Layer] {
        let found = self
            .platforms
            .iter()
            .find(|(architecture, _)| architecture == wanted);
        let (_, layers) = found.unwrap_or_else(|| panic!("no image for {wanted}"));
        layers
    }

    /// The layers of all platforms.
    pub(crate) fn all_layers(&self) -> Vec<Layer> {
        self.platforms
            .iter()
            .flat_map(|(_, layers)| layers.clone())
            .collect()
    }

    fn add_image(&mut self, architecture: &str, seed: u64, sizes: &[usize]) -> Value {
        let made: Vec<_> = (1..)
            .zip(sizes)
            .map(|(n, size)| self.add_layer(seed * 100 + n, *size))
            .collect();
        self.add_layers(architecture, &made)
    }

    fn add_layers(&mut self, architecture: &str, made: &[(Layer, Value)]) -> Value {
        let tars: Vec<_> = made.iter().map(|(layer, _)| &layer.tar).collect();
        let config = json!({
            "created": "2026-01-01T00:00:00Z", "architecture": architecture, "os": "linux",
            "config": {"Cmd": ["/noise"]},
            "rootfs": {"type": "layers", "diff_ids": tars},
            "history": tars.iter().map(|_| json!({"created_by": "noise"})).collect::<Vec<_>>(),
        });
        let config = self.add_json(CONFIG, &config);
        let descriptors: Vec<_> = made.iter().map(|(_, descriptor)| descriptor).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors});
        self.platforms.push((
            architecture.to_owned(),
            made.iter().map(|(layer, _)| layer.clone()).collect(),
        ));
        self.add_json(MANIFEST, &manifest)
    }

    fn add_layer(&self, seed: u64, size: usize) -> (Layer, Value) {
        self.add_tar(&tar_of(&[(format!("noise-{seed}"), noise(seed, size))]))
    }

    fn add_tar(&self, tar: &[u8]) -> (Layer, Value) {
        let blob = gzip(tar);
        let descriptor = self.add_blob(LAYER, &blob);
        (
            Layer {
                blob: digest(&blob),
                tar: digest(tar),
                size: blob.len() as u64,
            },
            descriptor,
        )
    }

    fn add_json(&self, media_type: &str, value: &Value) -> Value {
        // Pretty, with a line end: a mirror that re-encodes what it passes on would change the digest.
        self.add_blob(media_type, format!("{value:#}\n").as_bytes())
    }

    fn add_blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        let file = self.blob_file(&digest);
        std::fs::write(file, bytes).expect("a blob of the layout");
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn blob_file(&self, digest: &str) -> PathBuf {
        self.folder().join("blobs").join(digest.replace(':', "/"))
    }

    fn write(&self, name: &str, value: &Value) {
        std::fs::write(self.folder().join(name), value.to_string()).expect("a file of the layout");
    }
}

/// Says which of `layers` is missing, in either form, among the digests of what a client has.
pub(crate) fn missing<'l>(layers: &'l [Layer], has: &BTreeSet<String>) -> Vec<&'l Layer> {
    layers
        .iter()
        .filter(|layer| !has.contains(&layer.blob) && !has.contains(&layer.tar))
        .collect()
}

/// The architecture of this machine in the words of the OCI image spec (those of Go).
pub(crate) fn host_architecture() -> String {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
    .to_owned()
}

fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_767_225_600);
        tar.append_data(&mut header, name, &bytes[..])
            .expect("a tar in memory");
    }
    tar.into_inner().expect("a tar in memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes)
        .and_then(|()| encoder.finish())
        .expect("gzip in memory")
}
