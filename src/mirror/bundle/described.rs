//! What a bundle says of its images, for people: names as they stand there, whether they can be used here or not.

use serde::Serialize;
use serde_json::Value;

use super::survey::Survey;
use super::{IMAGE_NAME, REF_NAME, UPSTREAM};
use crate::oci::{Digest, Manifest};

/// An image as its bundle describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// What it is called.
    pub name: Option<String>,
    /// Its manifest.
    pub digest: String,
    /// What it runs on, as far as its index, if it is one, says so; only what is in the bundle.
    pub platforms: Vec<String>,
}

impl Survey {
    /// The images, in the bundle's own order.
    pub fn described(&self) -> Vec<Described> {
        if let Some(index) = &self.index {
            let entries = entries(index);
            return entries.iter().map(|entry| self.entry(entry)).collect();
        }
        if let Some(docker) = &self.docker {
            return saved(docker);
        }
        let tags = self.tags.iter();
        let tags = tags.map(|(repository, tag, digest)| Described {
            name: Some(format!("{repository}:{tag}")),
            digest: digest.to_string(),
            platforms: self.platforms(digest),
        });
        tags.collect()
    }

    /// The upstreams that the images name themselves.
    pub fn upstreams(&self) -> Vec<String> {
        let entries = self.index.as_deref().map(entries).unwrap_or_default();
        let upstreams = entries
            .iter()
            .filter_map(|entry| entry["annotations"][UPSTREAM].as_str());
        upstreams.map(str::to_owned).collect()
    }

    fn entry(&self, entry: &Value) -> Described {
        let says = |key: &str| entry["annotations"][key].as_str().map(str::to_owned);
        let digest = entry["digest"].as_str().unwrap_or_default().to_owned();
        let platforms = digest.parse().map(|digest| self.platforms(&digest));
        Described {
            name: says(IMAGE_NAME).or_else(|| says(REF_NAME)),
            digest,
            platforms: platforms.unwrap_or_default(),
        }
    }

    fn platforms(&self, digest: &Digest) -> Vec<String> {
        let bytes = self.manifests.get(digest);
        let Some(manifest) = bytes.and_then(|it| Manifest::parse(it, None).ok()) else {
            return Vec::new();
        };
        let here = manifest.references.iter();
        let here = here.filter(|it| self.content.contains_key(&it.digest));
        let platforms = here.filter_map(|child| {
            let platform = child.platform.as_ref()?;
            Some(format!("{}/{}", platform.os, platform.architecture))
        });
        platforms.collect()
    }
}

fn entries(index: &[u8]) -> Vec<Value> {
    let index: Value = serde_json::from_slice(index).unwrap_or_default();
    index["manifests"].as_array().cloned().unwrap_or_default()
}

fn saved(docker: &[u8]) -> Vec<Described> {
    let images: Value = serde_json::from_slice(docker).unwrap_or_default();
    let images = images.as_array().cloned().unwrap_or_default();
    let described = images.iter().flat_map(|image| {
        let tags = image["RepoTags"].as_array().cloned().unwrap_or_default();
        let config = image["Config"].as_str().unwrap_or_default().to_owned();
        tags.into_iter().map(move |tag| Described {
            name: tag.as_str().map(str::to_owned),
            digest: config.clone(),
            platforms: Vec::new(),
        })
    });
    described.collect()
}
