//! All content by the layout alone: beside a process that serves from the same folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::oci::Digest;
use crate::store::StoreError;

/// The content of a data folder, for one who looks through it. Needs no catalog, and takes no lock.
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

    /// Every content digest, in order; those that come or go meanwhile may be among them or not.
    pub fn digests(&self) -> impl Iterator<Item = Result<Digest, StoreError>> {
        self.layout.shards().flat_map(|(algorithm, shard)| {
            let listed = in_shard(algorithm, &shard);
            listed.unwrap_or_else(|error| vec![Err(error)])
        })
    }
}

fn in_shard(
    algorithm: &str,
    shard: &PathBuf,
) -> Result<Vec<Result<Digest, StoreError>>, StoreError> {
    let failed = |error: &io::Error| StoreError::io("list", shard.display(), error);
    let files = match fs::read_dir(shard) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&error)),
    };
    let mut digests = Vec::new();
    for file in files {
        let name = file.map_err(|error| failed(&error))?.file_name();
        let digest = name
            .to_str()
            .map(|hex| format!("{algorithm}:{hex}").parse());
        digests.extend(digest.and_then(Result::ok));
    }
    digests.sort();
    Ok(digests.into_iter().map(Ok).collect())
}
