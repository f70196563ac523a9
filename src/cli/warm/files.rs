//! Reading the files that say which images are meant.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::lists;
use crate::config::references;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// The references in a list; `-` is standard input.
pub(in crate::cli) fn list(path: &Path) -> Result<Vec<String>, String> {
    let text = read(path)?;
    Ok(references(&text).into_iter().map(str::to_owned).collect())
}

/// The images of a compose file.
pub(super) fn compose(path: &Path) -> Result<Vec<String>, String> {
    let images = lists::of_compose(&read(path)?, &|name| std::env::var(name).ok());
    images.map_err(|why| format!("{}: {why}", path.display()))
}

/// The images of Kubernetes manifests: of one file, or of all in a folder and below it.
pub(super) fn kubernetes(path: &Path) -> Result<Vec<String>, String> {
    let mut images = Vec::new();
    for file in manifests(path)? {
        let found = lists::of_kubernetes(&read(&file)?);
        images.extend(found.map_err(|why| format!("{}: {why}", file.display()))?);
    }
    Ok(images)
}

fn manifests(path: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        entries.push(entry.map_err(failed)?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        let (kind, path) = (entry.file_type().map_err(failed)?, entry.path());
        let ending = path.extension().and_then(|it| it.to_str());
        // A link to a folder could lead round in a circle.
        if kind.is_dir() {
            files.extend(manifests(&path)?);
        } else if matches!(ending, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let file: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(path).map_err(failed)?)
    };
    let mut text = String::new();
    let mut file = file.take(MAX_FILE + 1);
    file.read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!(
            "{}: it has more than {MAX_FILE} bytes",
            path.display()
        ));
    }
    Ok(text)
}
