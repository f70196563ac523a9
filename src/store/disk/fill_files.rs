//! The files of one fill: its bytes, and the notes of how far it got.
//!
//! Two notes, so that one which is written often and never synced cannot cost what was synced before: not every
//! file system keeps the old file when a power cut follows a rename.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::layout::{make_parent, write_whole};
use super::note::{Note, joined};
use crate::oci::Digest;
use crate::store::progress::clipped;
use crate::store::{Progress, StoreError, StoreErrorKind};

/// How the names end: the bytes, the newest note, the newest synced note, a note that is being written.
const PART: &str = "part";
const RANGES: &str = "ranges";
const SYNCED: &str = "synced";
const NEW: &str = "new";

/// The paths of one digest's fill.
#[derive(Clone)]
pub(super) struct FillFiles {
    digest: Digest,
    part: PathBuf,
}

impl FillFiles {
    /// The files in `folder`, which is of the digest's algorithm.
    pub(super) fn new(folder: &Path, digest: Digest) -> Self {
        let part = folder.join(format!("{}.{PART}", digest.encoded()));
        Self { digest, part }
    }

    /// The files that `path` is one of, in a folder of `algorithm`; `None` when it is not a fill's.
    pub(super) fn owning(path: &Path, algorithm: &str) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        if ![PART, RANGES, SYNCED, NEW].contains(&ending) {
            return None;
        }
        let digest = format!("{algorithm}:{}", path.file_stem()?.to_str()?);
        Some(Self::new(path.parent()?, digest.parse().ok()?))
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Where the bytes are.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// The bytes that an earlier fill left, open, and how far it got; `None` unless both are here and make sense.
    pub(super) fn left(&self, boot: &str) -> Option<(File, Progress)> {
        if !is_plain(&self.part) {
            return None;
        }
        let mut options = File::options();
        let file = options.read(true).write(true).open(&self.part).ok()?;
        let progress = self.progress(boot, file.metadata().ok()?.len())?;
        Some((file, progress))
    }

    /// How far the fill got whose file is `length` bytes long.
    fn progress(&self, boot: &str, length: u64) -> Option<Progress> {
        let read = |ending| {
            let path = self.note(ending);
            let text = fs::read(Some(path).filter(|path| is_plain(path))?).ok()?;
            Note::read(&text, &self.digest, boot)
        };
        let mut progress = joined(read(RANGES), read(SYNCED))?;
        if progress.size < length {
            return None;
        }
        progress.present = clipped(&progress.present, length);
        Some(progress)
    }

    /// When the newest note was written: seconds since the Unix epoch.
    pub(super) fn touched(&self) -> Option<u64> {
        let stamp = |ending| fs::metadata(self.note(ending)).ok()?.modified().ok();
        let newest = stamp(RANGES).max(stamp(SYNCED))?;
        Some(newest.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }

    /// What the bytes take on the disk: less than the file is long where it has holes.
    pub(super) fn taken(&self) -> u64 {
        let metadata = fs::symlink_metadata(&self.part);
        metadata.map_or(0, |it| it.len().min(it.blocks().saturating_mul(512)))
    }

    /// A new, empty file for the bytes, in place of all that was here.
    pub(super) fn create(&self) -> Result<File, StoreError> {
        self.remove_notes()?;
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        // A client waits for this: it is tried first as it nearly always is.
        options.open(&self.part).or_else(|error| {
            match error.kind() {
                io::ErrorKind::NotFound => make_parent(&self.part),
                // Never truncate: a reader of a dropped fill may still hold the old file open.
                io::ErrorKind::AlreadyExists => remove(&self.part),
                _ => return Err(self.not_made(&error)),
            }?;
            let again = options.open(&self.part);
            again.map_err(|error| self.not_made(&error))
        })
    }

    fn not_made(&self, error: &io::Error) -> StoreError {
        StoreError::io("create", self.part.display(), error)
    }

    /// Notes what was written in `boot`.
    pub(super) fn note_written(&self, progress: &Progress, boot: &str) -> Result<(), StoreError> {
        let (path, new) = (self.note(RANGES), self.note(NEW));
        fs::write(&new, self.text(progress, Some(boot))?)
            .and_then(|()| replace(&new, &path))
            .map_err(|error| {
                // Half a note takes room on a disk that has none.
                let _ = fs::remove_file(&new);
                StoreError::io("write", path.display(), &error)
            })
    }

    /// Notes what was synced, and syncs the note and the names of all.
    pub(super) fn note_synced(&self, progress: &Progress) -> Result<(), StoreError> {
        write_whole(&self.note(SYNCED), &self.text(progress, None)?)
    }

    /// Removes all there is.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        // The notes first: bytes without a note are nobody's, a note without its bytes would be the next fill's.
        self.remove_notes()?;
        remove(&self.part)
    }

    /// Removes the notes: the bytes are content now, or go next.
    pub(super) fn remove_notes(&self) -> Result<(), StoreError> {
        [RANGES, SYNCED, NEW]
            .iter()
            .try_for_each(|ending| remove(&self.note(ending)))
    }

    /// Removes what a crash left half-written.
    pub(super) fn remove_new(&self) -> Result<(), StoreError> {
        remove(&self.note(NEW))
    }

    fn note(&self, ending: &str) -> PathBuf {
        self.part.with_extension(ending)
    }

    fn text(&self, progress: &Progress, boot: Option<&str>) -> Result<String, StoreError> {
        serde_json::to_string(&Note::new(progress, boot)).map_err(|error| {
            let target = self.digest.to_string();
            StoreError::new(StoreErrorKind::Io, "note", target, error.to_string())
        })
    }
}

/// Whether it is a file and nothing else that could be opened under its name: what is read through a link is not
/// ours, and to open a pipe waits for its other end.
fn is_plain(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_file())
}

/// Gives `new` the name `path`, in one step, without a wait for the disk: when a file is renamed over another one,
/// ext4 first writes it out, which takes milliseconds on the thread that downloads. What this boot alone believes need
/// not be on the disk.
fn replace(new: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => fs::remove_file(new),
        // There is none to replace, or the file system cannot exchange names.
        Err(_) => fs::rename(new, path),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path.display(), &error))
        }
        _ => Ok(()),
    }
}
