//! Hashing all content anew, by the layout alone: beside a process that serves from the same folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::layout::Layout;
use super::scan::named;
use crate::oci::Digest;
use crate::store::verdict::matches;
use crate::store::{Source, StoreError, Verdict};

/// The content of a data folder, for one who checks it. Needs no catalog, and takes no lock: a process that serves from
/// the folder finds out by itself what was set aside.
pub struct Scrub {
    layout: Layout,
}

impl Scrub {
    /// Looks at the data folder `root`; makes nothing.
    ///
    /// Fails when there is none, or one of a newer layout.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let layout = Layout::existing(root)?;
        Ok(Self { layout })
    }

    /// Every content digest, in order of folders; those that come or go meanwhile may be among them or not.
    pub fn digests(&self) -> impl Iterator<Item = Result<Digest, StoreError>> {
        self.layout.shards().flat_map(|(algorithm, shard)| {
            let failed = |error: &io::Error| StoreError::io("list", shard.display(), error);
            let mut digests = Vec::new();
            match fs::read_dir(&shard) {
                Ok(files) => digests.extend(files.filter_map(|file| match file {
                    Ok(file) => named(algorithm, &file).map(Ok),
                    Err(error) => Some(Err(failed(&error))),
                })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => digests.push(Err(failed(&error))),
            }
            digests.sort_by(|one, other| one.as_ref().ok().cmp(&other.as_ref().ok()));
            digests
        })
    }

    /// Hashes the content of `digest`, and takes it out of sight when it is wrong. `pace` is told after each piece how
    /// many bytes were read, and may take its time.
    pub fn verify(
        &self,
        digest: &Digest,
        pace: &mut dyn FnMut(u64),
    ) -> Result<Verdict, StoreError> {
        let verdict = verdict(&self.layout, digest, pace)?;
        if verdict == Verdict::Wrong && !self.layout.set_aside(digest)? {
            return Ok(Verdict::Gone);
        }
        Ok(verdict)
    }
}

/// Hashes the content of `digest`, and leaves it where it is.
pub(super) fn verdict(
    layout: &Layout,
    digest: &Digest,
    pace: &mut dyn FnMut(u64),
) -> Result<Verdict, StoreError> {
    if !digest.is_verifiable() {
        return Ok(Verdict::Gone);
    }
    let path = layout.content(digest);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verdict::Gone),
        Err(error) => return Err(StoreError::io("open", path.display(), &error)),
    };
    let read = matches(&Source::file(Arc::new(file)), digest, pace);
    let right = read.map_err(|error| StoreError::io("read", path.display(), &error))?;
    Ok(right.map_or(Verdict::Wrong, Verdict::Right))
}
