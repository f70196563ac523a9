//! Where things lie in the data folder, and which version of that we speak.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::fill_files::FillFiles;
use crate::oci::Digest;
use crate::store::{StoreError, StoreErrorKind};

/// The version of the tree described in the [`disk`](super) module.
const VERSION: u32 = 1;

/// The names that tell a data folder, even when some are gone.
const OURS: [&str; 6] = [
    "VERSION",
    "content",
    "wrong",
    "fills",
    "catalog.redb",
    "catalog.redb.broken",
];

/// The data folder's paths. Made only for a folder whose version we know.
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the folder where it is missing and checks its version.
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        let layout = Self {
            root: root.to_owned(),
        };
        layout.refuse_foreign()?;
        for folder in [
            layout.root.clone(),
            layout.fills(),
            layout.root.join("content"),
        ] {
            fs::create_dir_all(&folder)
                .map_err(|error| StoreError::io("make folder", folder.display(), &error))?;
        }
        layout.check_version()?;
        Ok(layout)
    }

    /// The layout of a folder that is there; makes nothing.
    pub(super) fn existing(root: &Path) -> Result<Self, StoreError> {
        let layout = Self {
            root: root.to_owned(),
        };
        if layout.root.join("VERSION").exists() {
            layout.check_version()?;
            return Ok(layout);
        }
        let root = layout.root.display().to_string();
        let reason = "it is not a data folder";
        Err(StoreError::new(StoreErrorKind::Misuse, "use", root, reason))
    }

    /// The folders that content lies in, in order; those of shards that are there.
    pub(super) fn shards(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let content = self.root.join("content");
        ["sha256", "sha512"].into_iter().flat_map(move |algorithm| {
            let folder = content.join(algorithm);
            let shards = (0..=255_u8).map(move |shard| folder.join(format!("{shard:02x}")));
            shards.map(move |shard| (algorithm, shard))
        })
    }

    /// A folder with things in it, none of which is ours, is somebody else's: most likely a mistake in the config.
    fn refuse_foreign(&self) -> Result<(), StoreError> {
        let files = match fs::read_dir(&self.root) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::io("use", self.root.display(), &error)),
        };
        let names: Vec<_> = files.flatten().map(|file| file.file_name()).collect();
        // What a new file system brings along is nobody's.
        let foreign = names.iter().any(|name| name != "lost+found");
        if foreign
            && !names
                .iter()
                .any(|name| OURS.iter().any(|ours| name == ours))
        {
            let reason = "it is not empty, and nothing in it is of a data folder";
            let root = self.root.display().to_string();
            return Err(StoreError::new(StoreErrorKind::Misuse, "use", root, reason));
        }
        Ok(())
    }

    fn check_version(&self) -> Result<(), StoreError> {
        let path = self.root.join("VERSION");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(StoreError::io("read", path.display(), &error)),
        };
        if text.trim().is_empty() {
            // Never written, or a crash came in between.
            return write_whole(&path, &format!("{VERSION}\n"));
        }
        if text.trim().parse() == Ok(VERSION) {
            return Ok(());
        }
        let reason = format!(
            "the folder's layout is {:?}, this program knows {VERSION}",
            text.trim()
        );
        Err(StoreError::new(
            StoreErrorKind::Version,
            "use",
            self.root.display().to_string(),
            reason,
        ))
    }

    /// The files of every fill that left any, and of nothing else that may lie there.
    pub(super) fn fills_left(&self) -> Result<Vec<FillFiles>, StoreError> {
        let mut left = BTreeMap::new();
        for algorithm in ["sha256", "sha512"] {
            let folder = self.fills().join(algorithm);
            let failed = |error| StoreError::io("list", folder.display(), &error);
            let files = match fs::read_dir(&folder) {
                Ok(files) => files,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            for file in files {
                let path = file.map_err(failed)?.path();
                if let Some(files) = FillFiles::owning(&path, algorithm) {
                    left.insert(files.digest().clone(), files);
                }
            }
        }
        Ok(left.into_values().collect())
    }

    pub(super) fn content(&self, digest: &Digest) -> PathBuf {
        let encoded = digest.encoded();
        let shard = &encoded[..2];
        self.root
            .join("content")
            .join(digest.algorithm_name())
            .join(shard)
            .join(encoded)
    }

    pub(super) fn wrong(&self, digest: &Digest) -> PathBuf {
        let folder = self.root.join("wrong").join(digest.algorithm_name());
        folder.join(digest.encoded())
    }

    /// The files of a fill of `digest`.
    pub(super) fn fill(&self, digest: &Digest) -> FillFiles {
        FillFiles::new(&self.fills().join(digest.algorithm_name()), digest.clone())
    }

    pub(super) fn catalog(&self) -> PathBuf {
        self.root.join("catalog.redb")
    }

    /// A name that nothing else uses, for a trial write.
    pub(super) fn probe(&self) -> PathBuf {
        self.root.join(".probe")
    }

    fn fills(&self) -> PathBuf {
        self.root.join("fills")
    }
}

/// Writes a small file so that it is there with all of `text` or as it was before, also after a power loss.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| StoreError::io("write", path.display(), &error))?;
    sync_parent(path)
}

/// Makes the folders above `path`.
pub(super) fn make_parent(path: &Path) -> Result<(), StoreError> {
    let parent = parent(path);
    fs::create_dir_all(parent)
        .map_err(|error| StoreError::io("make folder", parent.display(), &error))
}

/// Makes a rename into the folder of `path` survive a power loss.
pub(super) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = parent(path);
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StoreError::io("sync folder", parent.display(), &error))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
