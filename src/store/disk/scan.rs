//! Looking through the data folder, behind the first requests: what the catalog noted, then what is really there.
//!
//! Until it has ended, content is found with `open(2)` as always. The sums are those that the last process noted, and
//! what came since; nothing is evicted before the noted uses are read, and while there are pins nothing before all is
//! known. So the cap holds as far as the notes are true: what a process took in after its last note and before it
//! was killed is counted when it is found.

use std::fs::{DirEntry, File};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use std::{fs, io};

use super::DiskStore;
use super::space::is_there;
use crate::oci::Digest;
use crate::store::examine::references;
use crate::store::room::Known;
use crate::store::{Retention, Source, StoreError};

/// Rows or files between two steps.
const STEP: u64 = 256;

/// Counts, and asks now and then whether to go on.
struct Steps<F> {
    done: u64,
    step: F,
}

impl<F: FnMut(u64) -> bool> Steps<F> {
    fn goes_on(&mut self) -> bool {
        self.done += 1;
        !self.done.is_multiple_of(STEP) || (self.step)(self.done)
    }
}

impl DiskStore {
    /// Looks through the folder, once, on a thread that may block. `step` is told now and then how many rows and files
    /// were looked at, and says whether to go on. Gives whether it came to its end.
    ///
    /// What is there and unknown is taken in, with its size by `stat` and its last use by its time of change; what is
    /// known and not there is forgotten; what has another size than it had is set aside.
    pub fn scan(&self, step: impl FnMut(u64) -> bool) -> Result<bool, StoreError> {
        let mut steps = Steps { done: 0, step };
        let noted = self.catalog.rows(|row| {
            self.space.room.lock().restore(&row);
            steps.goes_on()
        });
        match noted {
            Ok(true) => self.space.room.lock().known(Known::Noted),
            Ok(false) => return Ok(false),
            Err(error) => {
                tracing::warn!(%error, "what was noted of content is not known; it is looked at anew");
            }
        }
        for (algorithm, shard) in self.space.layout.shards() {
            let files = match fs::read_dir(&shard) {
                Ok(files) => files,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::io("list", shard.display(), &error)),
            };
            for file in files {
                let file = file.map_err(|error| StoreError::io("list", shard.display(), &error))?;
                if let Some(digest) = named(algorithm, &file) {
                    self.look_at(&digest, &file)?;
                }
                if !steps.goes_on() {
                    return Ok(false);
                }
            }
        }
        let unseen = self.space.room.lock().index.unseen();
        for digest in unseen {
            self.space.missing(&digest);
            if !steps.goes_on() {
                return Ok(false);
            }
        }
        self.space.room.lock().known(Known::All);
        self.note_uses()?;
        Ok(true)
    }

    /// Looks at one file that bears the name of content.
    fn look_at(&self, digest: &Digest, file: &DirEntry) -> Result<(), StoreError> {
        // Not followed: what is read through a link is not ours.
        let Ok(metadata) = file.metadata() else {
            return Ok(());
        };
        if !metadata.is_file() {
            return Ok(());
        }
        let size = metadata.len();
        let seen = self.space.room.lock().index.seen(digest, size);
        match seen {
            Some(true) => return Ok(()),
            Some(false) => {
                tracing::error!(%digest, "content has changed its size; set aside");
                return self.space.set_aside(digest);
            }
            None => {}
        }
        let references = match File::open(file.path()) {
            Ok(file) => references(&Source::file(Arc::new(file)), size),
            Err(_) => Vec::new(),
        };
        let stamp = metadata.modified().ok();
        let since = stamp.and_then(|stamp| stamp.duration_since(UNIX_EPOCH).ok());
        let now = since.map_or(0, |since| since.as_secs());
        // It may have been evicted since it was listed.
        let _changes = self.space.changes.lock();
        if is_there(&file.path()) {
            let mut room = self.space.room.lock();
            room.found(digest, size, now, &references);
        }
        Ok(())
    }
}

/// The digest that a file in a folder of `algorithm` is named by; `None` when it is not content.
pub(super) fn named(algorithm: &str, file: &DirEntry) -> Option<Digest> {
    let name = file.file_name();
    let digest: Digest = format!("{algorithm}:{}", name.to_str()?).parse().ok()?;
    let shard = file.path();
    let shard = shard.parent()?.file_name()?.to_str()?;
    digest.encoded().starts_with(shard).then_some(digest)
}
