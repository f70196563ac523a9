//! House rules that the compiler does not know, held by reading the sources: the directions between
//! rooms, which crates stay in which room, the length of files, names, globals.
//!
//! The rules are functions of sources given as values, so they are tried on trees that break them
//! before they are believed about the tree that is there.

mod bad_trees;
mod house;
mod measured;
mod parts;
mod rooms;
mod source;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// Every breach in a tree, file by file.
fn check(tree: &[Source]) -> Vec<String> {
    tree.iter()
        .flat_map(|source| [rooms::check(source), house::check(source)].concat())
        .collect()
}

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Vec::new();
    for file in rust_files(&root.join("src")) {
        let path = file.strip_prefix(root).expect("inside the package");
        let path = path.to_string_lossy().replace('\\', "/");
        tree.push(Source::new(path, fs::read_to_string(&file).expect("UTF-8")));
    }
    assert!(tree.iter().any(|source| source.path == "src/lib.rs"));
    let faults = check(&tree);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The `.rs` files under `folder`, in order.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| {
            if path.is_dir() {
                rust_files(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    found.sort();
    found
}
