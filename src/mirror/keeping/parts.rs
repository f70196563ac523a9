//! How much of an image is here.

use std::collections::HashSet;

use serde::Serialize;

use crate::mirror::Mirror;
use crate::oci::{Digest, Manifest, ManifestKind};

/// The largest content that is looked at as a manifest, in bytes.
const MANIFEST_LIMIT: u64 = 4 * 1024 * 1024;

/// So many manifests are read for one index at most.
const MOST_MANIFESTS: usize = 256;

/// How much is here of what a manifest references, each digest once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartsHere {
    /// Whether it can be pulled from here alone: all blobs, for at least one platform.
    pub is_complete: bool,
    /// The manifests of an index; none of an image.
    pub manifests: u64,
    /// Those of them that are here.
    pub manifests_here: u64,
    /// The blobs of the image, or of the manifests that are here of the index. Those that are had elsewhere do not
    /// count.
    pub blobs: u64,
    /// Those of them that are here.
    pub blobs_here: u64,
}

impl Mirror {
    /// How much is here of what the manifest `digest` references; `None` when it is not here, or no manifest that lists
    /// anything. Blocks on the disk.
    pub(super) fn parts_here(&self, digest: &Digest) -> Option<PartsHere> {
        let top = self.manifest_kept(digest)?;
        let mut parts = PartsHere::default();
        let mut images = Vec::new();
        match top.kind {
            ManifestKind::Schema1 => return None,
            ManifestKind::Image => images.push(top),
            ManifestKind::Index => {
                parts.manifests = top.references.len() as u64;
                let listed = top.references.iter().take(MOST_MANIFESTS);
                images.extend(listed.filter_map(|it| self.manifest_kept(&it.digest)));
                parts.manifests_here = images.len() as u64;
            }
        }
        let mut seen = HashSet::new();
        let mut is_any_whole = false;
        for image in images {
            let blobs = image.references.into_iter().filter(|it| !it.has_urls);
            let mut is_whole = true;
            for blob in blobs {
                let is_here = matches!(self.content(&blob.digest), Ok(Some(_)));
                is_whole &= is_here;
                if seen.insert(blob.digest) {
                    parts.blobs += 1;
                    parts.blobs_here += u64::from(is_here);
                }
            }
            is_any_whole |= is_whole;
        }
        parts.is_complete = is_any_whole;
        Some(parts)
    }

    /// The manifest of that digest, if it is here and is one.
    fn manifest_kept(&self, digest: &Digest) -> Option<Manifest> {
        let content = self.content(digest).ok().flatten()?;
        let size = Some(content.size()).filter(|size| *size <= MANIFEST_LIMIT)?;
        let bytes = content.source().read_all(usize::try_from(size).ok()?);
        Manifest::parse(&bytes.ok()?, None).ok()
    }
}
