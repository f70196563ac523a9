//! What must hold of a data folder that a life has left, however it ended.

use std::fs;
use std::path::{Path, PathBuf};

use roadstead::oci::Digest;
use roadstead::store::{Contents, DiskStore, Limits, Retention, Scrub, Verdict};

use crate::life::{CAPACITY, blob, digest, fill, holds, manifest};

type Outcome = Result<(), String>;

fn ensure(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = file.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn bytes_of(files: &[PathBuf]) -> u64 {
    let sizes = files.iter().filter_map(|file| fs::metadata(file).ok());
    sizes.map(|it| it.len()).sum()
}

/// Looks at what a life left that said `said`, then goes on with it.
pub(crate) fn check(root: &Path, said: &str) -> Outcome {
    let parts = files_below(&root.join("fills"));
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|it| it.extension().is_some_and(|it| it == "part"))
        .collect();
    let content = bytes_of(&files_below(&root.join("content")));
    let evicted = bytes_of(&files_below(&root.join("evicted")));
    ensure(
        content + evicted + bytes_of(&parts) <= CAPACITY,
        "more than the cap is on the disk",
    )?;
    // By the files alone, without the catalog.
    if let Ok(scrub) = Scrub::open(root) {
        for digest in scrub.digests() {
            let digest = digest.map_err(|error| error.to_string())?;
            let verdict = scrub.verify(&digest, &mut |_| ());
            let is_right = matches!(verdict, Ok(Verdict::Right(_)));
            ensure(is_right, &format!("{digest}: {verdict:?}"))?;
        }
    }
    let open = || DiskStore::open(root, Limits::of(CAPACITY)).map_err(|error| error.to_string());
    let store = open()?;
    ensure(
        files_below(&root.join("evicted")).is_empty(),
        "what was evicted is still there",
    )?;
    ensure(
        store.scan(|_| true).map_err(|error| error.to_string())?,
        "the scan stopped",
    )?;
    let usage = store.usage();
    ensure(usage.wrong == 0, "something has changed its size")?;
    let files = files_below(&root.join("content"));
    ensure(
        usage.content_bytes == bytes_of(&files) && usage.content_count == files.len() as u64,
        &format!("miscounted: {usage:?}, {files:?}"),
    )?;
    ensure(holds(&store), &format!("{usage:?}"))?;
    let is_pinned = said.contains("pinned\n") && !said.contains("unpinning");
    let head = Digest::sha256_of(&manifest());
    if is_pinned {
        for digest in [&head, &digest(0)] {
            let found = store.open(digest).map_err(|error| error.to_string())?;
            ensure(found.is_some(), "what is pinned is gone")?;
        }
        ensure(store.pins().len() == 1, "the pin is gone")?;
    }
    // Whatever it was, the store goes on.
    store.unpin("kept").map_err(|error| error.to_string())?;
    for n in [1, 2, 3, 0] {
        fill(&store, &blob(n)).map_err(|error| format!("cannot go on: {error}"))?;
        ensure(holds(&store), "the cap does not hold any more")?;
    }
    drop(store);
    let store = open()?;
    let found = store.open(&digest(0)).map_err(|error| error.to_string())?;
    ensure(found.is_some(), "what was kept is gone")
}
