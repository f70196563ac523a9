//! What is known about content: records and links, and the seam that keeps them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::oci::{Accepts, Digest, MediaType, Repository, Tag};

/// A repository of an upstream: where content is asked for, and under which right it is given out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The upstream's name as configured (`docker.io`).
    pub upstream: Arc<str>,
    /// The repository as the upstream knows it (`library/alpine`).
    pub repository: Repository,
}

/// The name of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// Where the tag lives.
    pub origin: Origin,
    /// The tag.
    pub tag: Tag,
    /// Which types were asked for: upstreams may answer the same tag differently.
    pub accepts: Accepts,
}

/// What a tag meant when upstream was last asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The manifest the tag pointed to.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: MediaType,
    /// The manifest's size in bytes.
    pub size: u64,
    /// When upstream last confirmed it: seconds since the Unix epoch.
    pub checked_at: u64,
}

/// As what a repository shows a digest. Registries keep the two apart: each has an endpoint of its own, and what
/// is in a blob says nothing about what the repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Bytes, whatever they mean.
    Blob,
    /// A manifest, whose references upstream vouches for.
    Manifest,
}

/// "This repository has shown this digest": what makes the digest servable under the repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The repository that has shown it.
    pub origin: Origin,
    /// What it has shown.
    pub digest: Digest,
    /// As what.
    pub role: Role,
}

/// What is so from now on, as upstream said, or as an operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// What a tag is; `None` when nothing is known of it any more.
    Record(RecordKey, Option<Record>),
    /// Whether a repository shows a digest.
    Link(Link, bool),
    /// Whether a repository is shown to those who show no credentials.
    Public(Origin, bool),
}

/// Records and links. Losing them costs questions to upstream, never bytes.
///
/// Whoever hears of something lets the catalog [learn](Catalog::learn) it and goes on. It is known from then on by all
/// who ask, and is on disk after the next [`Catalog::write_down`], which somebody who waits for nobody calls. A process
/// that is killed before forgets it.
pub trait Catalog: Send + Sync + 'static {
    /// The record under `key`.
    fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError>;

    /// Whether `link` is known.
    fn linked(&self, link: &Link) -> Result<bool, StoreError>;

    /// Whether upstream has shown this repository to those who show no credentials.
    fn is_public(&self, origin: &Origin) -> Result<bool, StoreError>;

    /// Knows `facts` from now on, in place of what was known before. Never waits for the disk. Where far too much waits for
    /// one that takes nothing, some of it may be forgotten: of what is so rather than of what is so no more.
    fn learn(&self, facts: &[Fact]);

    /// Writes down all that was learnt until now, by whoever, durably, in one step. Where that fails it stays known, and
    /// is tried again with the next.
    fn write_down(&self) -> Result<(), StoreError>;

    /// Writes `record` under `key`, durably, in place of any older one.
    fn put_record(&self, key: &RecordKey, record: &Record) -> Result<(), StoreError> {
        self.learn(&[Fact::Record(key.clone(), Some(record.clone()))]);
        self.write_down()
    }

    /// Remembers all of `links`, durably, in one step.
    fn link(&self, links: &[Link]) -> Result<(), StoreError> {
        let facts = links.iter().map(|link| Fact::Link(link.clone(), true));
        self.learn(&facts.collect::<Vec<_>>());
        self.write_down()
    }

    /// The tags of `origin` that have a record, sorted, at most `limit` of those after `after`.
    fn tags(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StoreError>;

    /// The repositories of `upstream` that have a record or a link, sorted, at most `limit` of those after `after`.
    fn repositories(
        &self,
        upstream: &str,
        after: Option<&Repository>,
        limit: usize,
    ) -> Result<Vec<Repository>, StoreError>;
}
