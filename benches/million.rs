//! A store of a million blobs: `cargo bench --bench million [-- COUNT]`.
//!
//! Makes a data folder of so many tiny blobs (each a file of its own; every tenth a manifest of nine others), and one of
//! a thousand, and prints what either costs: the start, the first hit, look-ups of what is here and what is not, the
//! scan without and with a catalog, and the memory of the process.

#![allow(clippy::cast_precision_loss, clippy::print_stdout, missing_docs)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use roadstead::oci::Digest;
use roadstead::store::{Contents, DiskStore, Limits, Retention};

/// The bytes of the `n`-th blob.
fn blob(n: u64) -> Vec<u8> {
    format!("blob number {n}").into_bytes()
}

fn digest(n: u64) -> Digest {
    Digest::sha256_of(&blob(n))
}

/// Writes `count` blobs as content, without the store: that would sync each of them.
fn make(root: &Path, count: u64) {
    let content = root.join("content/sha256");
    for shard in 0..=255_u8 {
        fs::create_dir_all(content.join(format!("{shard:02x}"))).expect("a folder");
    }
    let write = |bytes: &[u8]| {
        let digest = Digest::sha256_of(bytes);
        let name = digest.encoded();
        fs::write(content.join(&name[..2]).join(name), bytes).expect("a file");
    };
    for n in 0..count {
        if n % 10 > 0 {
            write(&blob(n));
            continue;
        }
        let layers = (n + 1..n + 10).map(|n| {
            let digest = digest(n);
            format!(r#"{{"mediaType":"a/b","size":20,"digest":"{digest}"}}"#)
        });
        let layers: Vec<_> = layers.collect();
        write(format!(r#"{{"layers":[{}]}}"#, layers.join(",")).as_bytes());
    }
    fs::write(root.join("VERSION"), "1\n").expect("a file");
}

/// Resident memory of this process in MB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1));
    kb.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// The time of one look-up, on average over many.
fn look_up(store: &DiskStore, digests: &[Digest], present: bool) -> Duration {
    let begin = Instant::now();
    for digest in digests {
        let found = store.open(digest).expect("a look-up").is_some();
        assert_eq!(found, present, "{digest}");
    }
    begin.elapsed() / u32::try_from(digests.len()).expect("few")
}

fn figures(root: &Path, count: u64, what: &str) {
    println!("{what}:");
    let begin = Instant::now();
    let store = DiskStore::open(root, Limits::default()).expect("a store");
    let opened = begin.elapsed();
    assert!(store.open(&digest(1)).expect("a look-up").is_some());
    println!(
        "  open {opened:.1?}, with the first hit {:.1?}",
        begin.elapsed()
    );
    // Spread over all, and in no order.
    let present: Vec<_> = (0..20_000)
        .map(|n| (n * 7919) % count)
        .filter(|n| n % 10 > 0)
        .map(digest)
        .collect();
    let absent: Vec<_> = (0..20_000).map(|n| digest(count + n)).collect();
    let look = |when: &str| {
        let (here, gone) = (
            look_up(&store, &present, true),
            look_up(&store, &absent, false),
        );
        println!("  look-ups {when} the scan: present {here:.1?}, absent {gone:.1?}");
    };
    look("before");
    let before = resident();
    let begin = Instant::now();
    assert!(store.scan(|_| true).expect("a scan"));
    let usage = store.usage();
    assert_eq!(usage.content_count, count);
    println!(
        "  scan {:.1?}, memory before {before} MB, after {} MB",
        begin.elapsed(),
        resident()
    );
    look("after");
    let begin = Instant::now();
    for digest in &present {
        store.used(digest, 4_000_000_000);
    }
    let each = begin.elapsed() / u32::try_from(present.len()).expect("few");
    println!("  a use {each:.1?}");
    let begin = Instant::now();
    store.note_uses().expect("a note");
    println!("  note of {} uses {:.1?}", present.len(), begin.elapsed());
}

fn main() {
    // cargo hands on what it was given, and a flag of its own.
    let told = std::env::args().skip(1).find_map(|it| it.parse().ok());
    let count: u64 = told.unwrap_or(1_000_000);
    for count in [1000, count] {
        let folder = tempfile::tempdir().expect("a folder");
        let begin = Instant::now();
        make(folder.path(), count);
        println!("{count} blobs made in {:.1?}", begin.elapsed());
        figures(folder.path(), count, "without a catalog");
        figures(folder.path(), count, "with the catalog");
    }
    println!("memory at the end {} MB", resident());
}
