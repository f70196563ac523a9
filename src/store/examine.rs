//! What content references, told by its bytes: whatever it is asked for as, a manifest is one by its structure.

use super::Source;
use crate::oci::{Digest, Manifest};

/// No manifest is larger, in bytes.
const MANIFEST_LIMIT: u64 = 16 * 1024 * 1024;

/// What the content in `source`, of `size` bytes, references; nothing, unless it is a manifest. What cannot be read
/// references nothing either: that costs the order of eviction at most.
pub(super) fn references(source: &Source, size: u64) -> Vec<Digest> {
    let mut first = [0];
    if size > MANIFEST_LIMIT || !matches!(source.read_at(0, &mut first), Ok(1)) || first != *b"{" {
        return Vec::new();
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let manifest = source.read_all(size).ok();
    let manifest = manifest.and_then(|bytes| Manifest::parse(&bytes, None).ok());
    let references = manifest.into_iter().flat_map(|it| it.references);
    references.map(|it| it.digest).collect()
}
