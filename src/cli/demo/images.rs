//! Images made on the spot: real layers, configs, manifests and an index, the same in every run.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::program::{Architecture, program};
use super::tar::{File, archive};
use crate::oci::{Digest, MediaType};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// One repository with the tag `latest`, and all that it leads to.
pub(super) struct Image {
    /// Its name at the registry.
    pub(super) repository: &'static str,
    /// What `latest` means.
    pub(super) latest: Digest,
    /// The manifests, an index among them.
    pub(super) manifests: HashMap<Digest, Document>,
    /// Configs and layers.
    pub(super) blobs: HashMap<Digest, Bytes>,
}

/// A manifest as it travels.
pub(super) struct Document {
    pub(super) media_type: MediaType,
    pub(super) bytes: Bytes,
}

impl Image {
    /// An image for this machine. Beside its program it has `layers` layers of `mebibytes` MiB that do not
    /// compress.
    pub(super) fn plain(repository: &'static str, layers: u64, mebibytes: usize) -> Self {
        let mut image = Self::empty(repository);
        let (_, latest) = image.add_manifest(Architecture::here(), layers, mebibytes);
        image.latest = latest;
        image
    }

    /// An index of an image for each architecture.
    pub(super) fn multi(repository: &'static str) -> Self {
        let mut image = Self::empty(repository);
        let manifests = Architecture::ALL.map(|architecture| {
            let (mut descriptor, _) = image.add_manifest(architecture, 0, 0);
            descriptor["platform"] = json!({"architecture": architecture.name(), "os": "linux"});
            descriptor
        });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX.as_str(),
            "manifests": manifests,
        });
        let (_, latest) = image.add_document(MediaType::OCI_INDEX, &index);
        image.latest = latest;
        image
    }

    fn empty(repository: &'static str) -> Self {
        Self {
            repository,
            latest: Digest::sha256_of(b""),
            manifests: HashMap::new(),
            blobs: HashMap::new(),
        }
    }

    /// Adds the manifest for one architecture and what it references. Gives its descriptor and its digest.
    fn add_manifest(
        &mut self,
        architecture: Architecture,
        layers: u64,
        mebibytes: usize,
    ) -> (Value, Digest) {
        let line = format!(
            "Hello from {} on {}.\n",
            self.repository,
            architecture.name()
        );
        let program = archive(&[File {
            name: "hello",
            mode: 0o755,
            bytes: &program(architecture, &line),
        }]);
        let repository = self.repository;
        let data = (1..=layers).map(|layer| {
            archive(&[File {
                name: &format!("data-{layer}"),
                mode: 0o644,
                bytes: &noise(&format!("{repository} {layer}"), mebibytes << 20),
            }])
        });
        let layers: Vec<Value> = std::iter::once(program)
            .chain(data)
            .map(|layer| self.add_blob(LAYER, layer))
            .collect();
        // The layers are not compressed, so that each is its own diff.
        let diffs: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "architecture": architecture.name(),
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        let config = self.add_blob(CONFIG, config.to_string().into_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST.as_str(),
            "config": config,
            "layers": layers,
        });
        self.add_document(MediaType::OCI_MANIFEST, &manifest)
    }

    fn add_document(&mut self, media_type: MediaType, document: &Value) -> (Value, Digest) {
        let bytes = Bytes::from(document.to_string());
        let digest = Digest::sha256_of(&bytes);
        let descriptor = descriptor(media_type.as_str(), &digest, bytes.len());
        let document = Document { media_type, bytes };
        self.manifests.insert(digest.clone(), document);
        (descriptor, digest)
    }

    fn add_blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::sha256_of(&bytes);
        let descriptor = descriptor(media_type, &digest, bytes.len());
        self.blobs.insert(digest, bytes.into());
        descriptor
    }
}

/// OCI image spec, "Content Descriptors".
fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest.as_str(), "size": size})
}

/// Bytes that no compression makes fewer, other ones for each `seed`; `size` is a multiple of 8.
fn noise(seed: &str, size: usize) -> Vec<u8> {
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) | 1;
    let mut noise = Vec::with_capacity(size);
    while noise.len() < size {
        // Marsaglia's xorshift: every state but zero, in an order that looks like none.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;
    use crate::oci::Manifest;

    fn parse(document: &Document) -> Manifest {
        Manifest::parse(&document.bytes, Some(&document.media_type)).unwrap()
    }

    #[test]
    fn everything_it_references_is_there_with_the_size_told() {
        for image in [Image::plain("a/plain", 2, 1), Image::multi("a/multi")] {
            let mut reached = HashSet::new();
            let mut next = vec![image.latest.clone()];
            while let Some(digest) = next.pop() {
                let Some(document) = image.manifests.get(&digest) else {
                    continue;
                };
                for descriptor in parse(document).references {
                    let manifest = image.manifests.get(&descriptor.digest);
                    let bytes = manifest.map_or_else(
                        || &image.blobs[&descriptor.digest],
                        |document| &document.bytes,
                    );
                    assert_eq!(bytes.len() as u64, descriptor.size);
                    assert_eq!(Digest::sha256_of(bytes), descriptor.digest);
                    next.push(descriptor.digest);
                }
                reached.insert(digest);
            }
            assert_eq!(reached.len(), image.manifests.len());
        }
    }

    #[test]
    fn the_diffs_of_a_config_are_its_layers() {
        let image = Image::plain("a/plain", 2, 1);
        let manifest = parse(&image.manifests[&image.latest]);
        let [config, layers @ ..] = manifest.references.as_slice() else {
            panic!("{manifest:?}");
        };
        let config: Value = serde_json::from_slice(&image.blobs[&config.digest]).unwrap();
        let layers: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        assert_eq!(config["rootfs"]["diff_ids"], json!(layers));
        assert_eq!(layers.len(), 3);
    }

    #[test]
    fn an_index_tells_its_platforms() {
        let image = Image::multi("a/multi");
        let index = parse(&image.manifests[&image.latest]);
        let platforms = index.references.into_iter().map(|child| {
            let platform = child.platform.unwrap();
            (platform.os, platform.architecture)
        });
        let expected = ["amd64", "arm64"].map(|name| ("linux".to_owned(), name.to_owned()));
        assert_eq!(platforms.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn noise_is_the_same_for_a_seed_and_shares_nothing_with_another() {
        let words = |seed| {
            let noise = noise(seed, 1 << 16);
            let words: HashSet<[u8; 8]> = noise
                .chunks_exact(8)
                .map(|w| w.try_into().unwrap())
                .collect();
            words
        };
        assert_eq!(words("a"), words("a"));
        assert_eq!(words("a").len(), 1 << 13);
        assert!(words("a").is_disjoint(&words("b")));
    }
}
