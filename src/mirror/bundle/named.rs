//! Which images a bundle has, and what they are called. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::survey::{File, Survey};
use super::{BundleError, IMAGE_NAME, REF_NAME, REPOSITORY, TAG, UPSTREAM};
use crate::mirror::Names;
use crate::oci::{Digest, ImageName, ImageReference, MediaType, Tag};
use crate::store::Origin;

/// What those who give a bundle say of the names in it.
#[derive(Clone, Copy)]
pub struct Calling<'c> {
    /// Which names the upstreams have.
    pub names: &'c Names,
    /// What images are called that have no full name of their own.
    pub called: Option<&'c ImageReference>,
    /// Whose repositories those of a distribution registry's storage are.
    pub upstream: Option<&'c str>,
}

/// An image and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The upstream and the repository.
    pub origin: Origin,
    /// Its tag, if it has one.
    pub tag: Option<Tag>,
    /// Its manifest.
    pub digest: Digest,
}

/// Manifests that are made here, by their digests.
pub(super) type Made = BTreeMap<Digest, Vec<u8>>;

/// The images of a bundle.
#[derive(Debug, Default)]
pub struct Images {
    /// What they are called.
    pub named: Vec<Named>,
    /// What had to be made so that they are images: manifests for what `docker save` wrote.
    pub(super) made: Made,
}

/// The images of a bundle, and what they are called.
pub fn named(survey: &Survey, calling: Calling<'_>) -> Result<Images, BundleError> {
    if let (Some(index), true) = (&survey.index, survey.is_layout || survey.docker.is_none()) {
        return in_layout(index, calling);
    }
    if let Some(docker) = &survey.docker {
        return saved(survey, docker, calling);
    }
    if !survey.tags.is_empty() || !survey.revisions.is_empty() {
        return in_storage(survey, calling);
    }
    Err(survey.is_nothing_known())
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
    #[serde(default)]
    annotations: Option<BTreeMap<String, Value>>,
}

fn in_layout(index: &[u8], calling: Calling<'_>) -> Result<Images, BundleError> {
    let index: Index = serde_json::from_slice(index)
        .map_err(|error| BundleError::entry("index.json", format!("it is no index: {error}")))?;
    let entries = index.manifests.into_iter();
    let named = entries.map(|entry| in_index(entry, calling));
    Ok(Images {
        named: named.collect::<Result<_, _>>()?,
        made: Made::new(),
    })
}

fn in_index(entry: Entry, calling: Calling<'_>) -> Result<Named, BundleError> {
    let refused =
        |why: String| BundleError::entry("index.json", format!("{}: {why}", entry.digest));
    let says = |key: &str| {
        let annotations = entry.annotations.as_ref()?;
        annotations.get(key)?.as_str().map(str::to_owned)
    };
    if let (Some(upstream), Some(repository)) = (says(UPSTREAM), says(REPOSITORY)) {
        let origin = Origin {
            upstream: (calling.names.upstream(&upstream))
                .ok_or_else(|| refused(undeclared(&upstream)))?,
            repository: repository
                .parse()
                .map_err(|error| refused(format!("{repository:?}: {error}")))?,
        };
        let tag = says(TAG).map(|tag| {
            tag.parse::<Tag>()
                .map_err(|error| refused(format!("{tag:?}: {error}")))
        });
        return Ok(Named {
            origin,
            tag: tag.transpose()?,
            digest: entry.digest,
        });
    }
    let full = |text: &str| -> Result<ImageReference, BundleError> {
        text.parse()
            .map_err(|error| refused(format!("{text:?}: {error}")))
    };
    let reference = match (says(IMAGE_NAME), says(REF_NAME)) {
        (Some(name), _) => full(&name)?,
        (None, Some(name)) if name.contains(['/', ':', '@']) => full(&name)?,
        (None, tag) => {
            let called = calling.called.ok_or_else(|| {
                let what = tag.as_deref().unwrap_or("nothing");
                refused(format!(
                    "it is called {what}; say by --as of which repository that is"
                ))
            })?;
            match tag {
                Some(tag) => full(&format!("{}:{tag}", called.name()))?,
                None => called.clone(),
            }
        }
    };
    let origin = origin(reference.name(), calling).map_err(refused)?;
    Ok(Named {
        origin,
        tag: reference.tag().cloned(),
        digest: entry.digest,
    })
}

/// One image of what `docker save` writes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn saved(survey: &Survey, docker: &[u8], calling: Calling<'_>) -> Result<Images, BundleError> {
    let refused = |why: String| BundleError::entry("manifest.json", why);
    let images: Vec<Saved> =
        serde_json::from_slice(docker).map_err(|error| refused(error.to_string()))?;
    let mut found = Images::default();
    for image in images {
        let manifest = manifest_of(survey, &image)?;
        let digest = Digest::sha256_of(&manifest);
        let tags = image.repo_tags.unwrap_or_default();
        let mut references = Vec::new();
        for tag in &tags {
            references.push(
                tag.parse()
                    .map_err(|error| refused(format!("{tag:?}: {error}")))?,
            );
        }
        if references.is_empty() {
            let called = calling.called.ok_or_else(|| {
                refused("an image has no name; say by --as what it is called".to_owned())
            })?;
            references.push(called.clone());
        }
        for reference in references {
            found.named.push(Named {
                origin: origin(reference.name(), calling).map_err(refused)?,
                tag: reference.tag().cloned(),
                digest: digest.clone(),
            });
        }
        found.made.insert(digest, manifest);
    }
    Ok(found)
}

/// The manifest of an image that has none: its layers as they are, which is not compressed.
fn manifest_of(survey: &Survey, image: &Saved) -> Result<Vec<u8>, BundleError> {
    let file = |path: &str| {
        let missing =
            || BundleError::entry("manifest.json", format!("{path} is not in the bundle"));
        survey.file_at(path).ok_or_else(missing)
    };
    let descriptor = |media_type: &str, file: &File| json!({"mediaType": media_type, "digest": file.digest, "size": file.size});
    let mut layers = Vec::new();
    for layer in &image.layers {
        layers.push(descriptor(
            "application/vnd.oci.image.layer.v1.tar",
            file(layer)?,
        ));
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST.as_str(),
        "config": descriptor("application/vnd.oci.image.config.v1+json", file(&image.config)?),
        "layers": layers,
    });
    Ok(manifest.to_string().into_bytes())
}

fn in_storage(survey: &Survey, calling: Calling<'_>) -> Result<Images, BundleError> {
    let upstream = calling.upstream.ok_or_else(|| {
        BundleError::Whole(
            "it is a registry's storage; say by --upstream whose repositories these are".to_owned(),
        )
    })?;
    let upstream = calling
        .names
        .upstream(upstream)
        .ok_or_else(|| BundleError::Whole(undeclared(upstream)))?;
    let origin = |repository: &crate::oci::Repository| Origin {
        upstream: upstream.clone(),
        repository: repository.clone(),
    };
    let tags = survey.tags.iter().map(|(repository, tag, digest)| Named {
        origin: origin(repository),
        tag: Some(tag.clone()),
        digest: digest.clone(),
    });
    let revisions = survey.revisions.iter().map(|(repository, digest)| Named {
        origin: origin(repository),
        tag: None,
        digest: digest.clone(),
    });
    Ok(Images {
        named: tags.chain(revisions).collect(),
        made: Made::new(),
    })
}

fn origin(name: &ImageName, calling: Calling<'_>) -> Result<Origin, String> {
    let origin = calling.names.origin(name);
    origin.ok_or_else(|| undeclared(name.registry()))
}

fn undeclared(upstream: &str) -> String {
    format!("no upstream named {upstream} is declared")
}
