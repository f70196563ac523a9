//! All that belongs to an image: the manifests that its reference leads to, and the blobs that those name.

use std::collections::{BTreeSet, HashSet};

use super::board::RowId;
use super::platforms::choose;
use super::run::{Run, not_asked};
use crate::mirror::referrers::is_offline;
use crate::mirror::resolve::is_missing;
use crate::mirror::{Answer, HeldManifest, MirrorError};
use crate::oci::{Accepts, Descriptor, Digest, Manifest, ManifestKind, Reference, Tag};
use crate::store::Origin;

/// The most manifests that one image may lead to: far more than any has, and a bound for what was made to have no end.
const MOST_MANIFESTS: usize = 10_000;

/// What cosign puts behind a digest's name to make the tags it keeps things under.
const COSIGN: [&str; 3] = ["sig", "att", "sbom"];

/// What belongs to an image.
#[derive(Default)]
pub(super) struct Gathered {
    /// The blobs, each once, in the order of the manifests.
    pub(super) blobs: Vec<Descriptor>,
    /// What is wanted and cannot be had, in words.
    pub(super) lacking: Vec<String>,
}

impl Run {
    /// Follows the manifest `top` to all that is wanted of it. The manifests are here afterwards.
    pub(super) async fn gather(&self, row: RowId, origin: &Origin, top: HeldManifest) -> Gathered {
        let mut gathered = Gathered::default();
        let (mut seen, mut blobs) = (HashSet::new(), HashSet::new());
        let mut left = vec![top];
        while let Some(held) = left.pop() {
            if !seen.insert(held.digest.clone()) {
                continue;
            }
            if seen.len() > MOST_MANIFESTS {
                let why = format!("it leads to more than {MOST_MANIFESTS} manifests");
                gathered.lacking.push(why);
                break;
            }
            // It was parsed when it came.
            let Ok(manifest) = Manifest::parse(&held.bytes, None) else {
                continue;
            };
            match manifest.kind {
                ManifestKind::Index => {
                    let found = self.children(row, origin, &manifest, &mut gathered).await;
                    left.extend(found);
                }
                ManifestKind::Image => {
                    let ours = manifest.references.into_iter().filter(|it| !it.has_urls);
                    let new = ours.filter(|it| blobs.insert(it.digest.clone()));
                    gathered.blobs.extend(new);
                }
                ManifestKind::Schema1 => {
                    let why = format!(
                        "{}: a manifest of schema 1 does not tell its blobs",
                        held.digest
                    );
                    gathered.lacking.push(why);
                }
            }
            if self.order.referrers {
                let (found, trouble) = self.referring(row, origin, &held.digest).await;
                left.extend(found);
                if !trouble.is_empty() {
                    let why = trouble.into_iter().collect::<Vec<_>>().join("; ");
                    let why = format!("what refers to {}: {why}", held.digest);
                    gathered.lacking.push(why);
                }
            }
        }
        gathered
    }

    /// The wanted children of an index.
    async fn children(
        &self,
        row: RowId,
        origin: &Origin,
        index: &Manifest,
        gathered: &mut Gathered,
    ) -> Vec<HeldManifest> {
        let chosen = choose(
            &index.references,
            &self.order.platforms,
            self.order.referrers,
        );
        let lacking = chosen.lacking.iter();
        gathered
            .lacking
            .extend(lacking.map(|platform| format!("it has no image for {platform}")));
        let mut found = Vec::new();
        for child in chosen.children {
            let reference = Reference::Digest(child.digest.clone());
            match self.manifest(row, origin, &reference).await {
                Ok(answer) => found.push(answer.value),
                Err(error) => gathered.lacking.push(format!("{}: {error}", child.digest)),
            }
        }
        found
    }

    /// What refers to `digest`: its referrers, and what cosign keeps under tags made of it; and why there may be more.
    async fn referring(
        &self,
        row: RowId,
        origin: &Origin,
        digest: &Digest,
    ) -> (Vec<HeldManifest>, BTreeSet<String>) {
        let (mut found, mut trouble) = (Vec::new(), BTreeSet::new());
        let mut references: Vec<_> = cosign_tags(digest)
            .into_iter()
            .map(Reference::Tag)
            .collect();
        match self.listed(origin, digest).await {
            Ok(listed) => {
                trouble.extend(not_asked(listed.outcome));
                references.extend(listed.value.into_iter().map(Reference::Digest));
            }
            Err(error) => {
                trouble.insert(error.to_string());
            }
        }
        for reference in references {
            match self.manifest(row, origin, &reference).await {
                Ok(answer) => {
                    trouble.extend(not_asked(answer.outcome));
                    found.push(answer.value);
                }
                // Most images have none.
                Err(error)
                    if matches!(reference, Reference::Tag(_))
                        && (is_missing(&error) || is_offline(&error)) => {}
                Err(error) => {
                    trouble.insert(error.to_string());
                    if error.outage().is_some() {
                        break;
                    }
                }
            }
        }
        (found, trouble)
    }

    async fn listed(
        &self,
        origin: &Origin,
        digest: &Digest,
    ) -> Result<Answer<Vec<Digest>>, MirrorError> {
        let right = self.right(origin)?;
        self.mirror.referrers_kept(&right, digest).await
    }

    /// One manifest, which is here afterwards and on the board.
    pub(super) async fn manifest(
        &self,
        row: RowId,
        origin: &Origin,
        reference: &Reference,
    ) -> Result<Answer<HeldManifest>, MirrorError> {
        let looked_up = self
            .mirror
            .look_up(&self.right(origin)?, reference, Accepts::MODERN)
            .await?;
        let manifest = &looked_up.found.value;
        let size = manifest.bytes.len() as u64;
        self.board.part(row, &manifest.digest, size, size);
        let fetched = if looked_up.brought { size } else { 0 };
        self.board.settled(row, &manifest.digest, fetched);
        Ok(looked_up.found)
    }
}

/// The tags under which cosign keeps signatures, attestations and bills of materials of `digest`.
pub fn cosign_tags(digest: &Digest) -> Vec<Tag> {
    let (algorithm, encoded) = (digest.algorithm_name(), digest.encoded());
    let tags = COSIGN.map(|what| format!("{algorithm}-{encoded}.{what}").parse());
    tags.into_iter().filter_map(Result::ok).collect()
}
