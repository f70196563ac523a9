//! Crates that had holes: what is built is at or past the version that closed them.

use std::path::Path;

/// A crate, and the first version without the hole.
const MENDED: &[(&str, [u64; 3])] = &[
    // Requests read in two ways: CVE-2026-2833, CVE-2026-2835, CVE-2025-4366.
    ("pingora", [0, 8, 0]),
    ("pingora-core", [0, 8, 0]),
    // Empty frames of a body without end: RUSTSEC-2026-0258.
    ("h2", [0, 4, 16]),
    // RUSTSEC-2026-0002.
    ("lru", [0, 16, 3]),
];

/// The packages of a lock file: name and version.
fn locked(lock: &str) -> Vec<(&str, [u64; 3])> {
    let mut packages = Vec::new();
    for (name, version) in lock.lines().zip(lock.lines().skip(1)) {
        let (Some(name), Some(version)) =
            (value(name, "name = \""), value(version, "version = \""))
        else {
            continue;
        };
        // What stands behind a hyphen or a plus is older, or of no account.
        let numbers = version.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = numbers.split('.').map(|it| it.parse().expect("a number"));
        let version = [(); 3].map(|()| numbers.next().unwrap_or(0));
        packages.push((name, version));
    }
    packages
}

/// Every locked package that still has a hole.
fn holes(lock: &str) -> Vec<String> {
    let packages = locked(lock);
    let older = |(name, version): &(&str, [u64; 3])| {
        let mended = MENDED.iter().find(|(mended, _)| mended == name);
        mended.is_some_and(|(_, first)| version < first)
    };
    let holes = packages.into_iter().filter(older);
    holes
        .map(|(name, version)| format!("{name} {version:?}"))
        .collect()
}

#[test]
fn incidents_10_11_no_crate_is_older_than_what_closed_its_holes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock = std::fs::read_to_string(file).expect("the lock file");
    for (name, _) in MENDED {
        assert!(
            locked(&lock).iter().any(|(known, _)| known == name),
            "{name} is not used"
        );
    }
    assert_eq!(holes(&lock), Vec::<String>::new());
}

#[test]
fn an_older_crate_is_found() {
    let lock = "[[package]]\nname = \"h2\"\nversion = \"0.4.15\"\n\n[[package]]\nname = \"lru\"\nversion = \"0.16.3\"\n";
    assert_eq!(holes(lock), ["h2 [0, 4, 15]"]);
    assert_eq!(
        holes("name = \"pingora\"\nversion = \"0.7.9-rc.1\"\n").len(),
        1
    );
}

/// The value of a line that begins so.
fn value<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.strip_prefix(key)?.strip_suffix('"')
}
