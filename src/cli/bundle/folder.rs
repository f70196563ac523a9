//! The files of a folder: a layout that is not packed, or a registry's storage.

use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::mirror::bundle::{BundleError, Given, Supply, Take};

/// How deep folders may lie: those of a registry's storage, with the longest of names.
const MAX_DEPTH: usize = 300;

/// A folder. Nothing in it is followed that leads elsewhere.
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    fn walk(&self, below: &str, depth: usize, take: &mut Take<'_>) -> Result<(), BundleError> {
        let refused = |path: &str, why: String| BundleError::Entry {
            path: path.to_owned(),
            why,
        };
        let failed = |path: &str, error: &io::Error| refused(path, error.to_string());
        if depth > MAX_DEPTH {
            return Err(refused(
                below,
                format!("it lies more than {MAX_DEPTH} folders deep"),
            ));
        }
        let entries = fs::read_dir(self.root.join(below)).map_err(|error| failed(below, &error))?;
        let mut entries: Vec<DirEntry> = entries
            .collect::<Result<_, _>>()
            .map_err(|error| failed(below, &error))?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| {
                let shown = entry.path().display().to_string();
                refused(&shown, "its name is not UTF-8".to_owned())
            })?;
            let path = if below.is_empty() {
                name.to_owned()
            } else {
                format!("{below}/{name}")
            };
            let kind = entry.file_type().map_err(|error| failed(&path, &error))?;
            if kind.is_dir() {
                self.walk(&path, depth + 1, take)?;
            } else if kind.is_file() {
                let opened = File::open(entry.path()).and_then(|file| {
                    let size = file.metadata()?.len();
                    Ok((file, size))
                });
                let (mut file, size) = opened.map_err(|error| failed(&path, &error))?;
                take(Given::File(&path, size, &mut file))?;
            } else {
                return Err(refused(
                    &path,
                    "it is neither a file nor a folder".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

impl Supply for Folder {
    fn each(&self, take: &mut Take<'_>) -> Result<(), BundleError> {
        self.walk("", 0, take)
    }
}
