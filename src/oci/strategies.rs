//! Generators of valid values, for property tests of this room and of those above.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{ByteRange, Digest, Reference, Repository, Tag};

/// Repository names, well within their length limit.
pub(crate) fn repository() -> impl Strategy<Value = Repository> {
    let component = "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}";
    // The words of the protocol are legal components; they are what makes paths hard to read.
    let word = prop::sample::select(vec![
        "manifests",
        "blobs",
        "tags",
        "uploads",
        "list",
        "referrers",
    ]);
    let component = prop_oneof![3 => component, 1 => word.prop_map(String::from)];
    prop::collection::vec(component, 1..6).prop_map(|parts| parts.join("/").parse().unwrap())
}

/// Tags of any length.
pub(crate) fn tag() -> impl Strategy<Value = Tag> {
    "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}".prop_map(|text| text.parse().unwrap())
}

/// Digests, verifiable and not.
pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    prop_oneof![
        "sha256:[0-9a-f]{64}",
        "sha512:[0-9a-f]{128}",
        "blake3:[0-9a-f]{64}",
        "[a-z][a-z0-9]{0,5}([+._-][a-z0-9]{1,4}){1,2}:[A-Za-z0-9=_-]{1,40}",
    ]
    .prop_map(|text| text.parse().unwrap())
}

/// Tags and digests.
pub(crate) fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        tag().prop_map(Reference::Tag),
        digest().prop_map(Reference::Digest)
    ]
}

/// Ranges within the first `size` bytes, empty ones among them.
pub(crate) fn byte_range(size: u64) -> impl Strategy<Value = ByteRange> {
    (0..=size, 0..=size).prop_map(|(a, b)| ByteRange::new(a.min(b), a.max(b)))
}
