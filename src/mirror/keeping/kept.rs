//! What is told of what is kept, as values.

use serde::Serialize;

use super::PartsHere;
use crate::oci::{Digest, MediaType, Repository, Tag};

/// Some of what there is, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptPage<T> {
    /// What comes first.
    pub items: Vec<T>,
    /// Behind what the next page begins; `None` when this is the last.
    pub next: Option<String>,
}

/// A repository of which something is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryKept {
    /// The upstream's name.
    pub upstream: String,
    /// Its name there.
    pub repository: Repository,
    /// How many tags are known.
    pub tags: u64,
}

/// A tag that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagKept {
    /// The tag.
    pub tag: Tag,
    /// The manifest that it points to.
    pub digest: Digest,
    /// Bytes that are here of the manifest and all that it references.
    pub bytes: u64,
    /// How much is here of what it references; `None` when the manifest is not here.
    pub parts: Option<PartsHere>,
    /// When upstream confirmed it: seconds since the Unix epoch.
    pub checked_at: u64,
    /// When the manifest was used last: seconds since the Unix epoch.
    pub last_use: Option<u64>,
    /// The pins that keep it.
    pub pins: Vec<String>,
}

/// Content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContentKept {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When it was used last: seconds since the Unix epoch.
    pub last_use: u64,
    /// Whether a pin keeps it.
    pub is_pinned: bool,
}

/// What a tag means, as far as is known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordKept {
    /// The tag.
    pub tag: Tag,
    /// The manifest that it points to.
    pub digest: Digest,
    /// The manifest's type.
    pub media_type: MediaType,
    /// The manifest's size in bytes.
    pub size: u64,
    /// When upstream confirmed it: seconds since the Unix epoch.
    pub checked_at: u64,
    /// What it is good for: `fresh`, `revalidate-behind`, `revalidate` or `expired`.
    pub state: &'static str,
}

/// Why a digest is here, or is not. What this version cannot tell is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The digest.
    pub digest: Digest,
    /// Whether it is content.
    pub is_here: bool,
    /// Its size in bytes, if it is.
    pub size: Option<u64>,
    /// The bytes that are here of its download, if one is under way.
    pub arriving: Option<u64>,
    /// If it is a manifest, how much is here of what it references.
    pub parts: Option<PartsHere>,
    /// The record of the tag that was asked about.
    pub record: Option<RecordKept>,
    /// Whether the repository that was asked about has shown it: then it is served under it without a question.
    pub shown_by_repository: Option<bool>,
    /// When it was used last: seconds since the Unix epoch.
    pub last_use: Option<u64>,
    /// The pins that keep it.
    pub pins: Option<Vec<String>>,
    /// The tags that reach it (`upstream/repository:tag`).
    pub records: Option<Vec<String>>,
}

/// What is kept whatever else goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// What it keeps, with all that this references.
    pub digests: Vec<Digest>,
}

/// What was forgotten and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Tags forgotten.
    pub records: u64,
    /// Contents removed.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What upstream said of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refreshed {
    /// What it points to.
    pub digest: Digest,
    /// Whether that was not known before.
    pub changed: bool,
    /// How it came about, in the words of the log.
    pub outcome: &'static str,
}

/// Content that nothing keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Why it goes, in one word.
    pub reason: &'static str,
}

/// What a collection removed, or would remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// What went, or would go.
    pub items: Vec<Garbage>,
    /// Their bytes.
    pub bytes: u64,
}
