//! One life of a store: fills, evictions, pins, garbage, notes. Errors are taken as they come; what must hold is looked
//! at after every step.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use roadstead::oci::{Accepts, ByteRange, Digest, MediaType, Verifier};
use roadstead::store::{
    Catalog, Contents, DiskStore, Limits, Link, Origin, Progress, Reason, Record, RecordKey,
    Retention, Role, StoreError,
};

/// More than two blobs, less than three.
pub(crate) const CAPACITY: u64 = 5000;

/// Seconds since the Unix epoch, behind all stamps of files.
const LATER: u64 = 4_000_000_000;

/// Some two thousand bytes.
pub(crate) fn blob(n: u8) -> Vec<u8> {
    vec![n; 2000 + usize::from(n)]
}

pub(crate) fn digest(n: u8) -> Digest {
    Digest::sha256_of(&blob(n))
}

/// An image of blob 0.
pub(crate) fn manifest() -> Vec<u8> {
    let layer = digest(0);
    format!(r#"{{"layers":[{{"mediaType":"a/b","size":2000,"digest":"{layer}"}}]}}"#).into_bytes()
}

pub(crate) fn link(digest: Digest) -> Link {
    Link {
        origin: Origin {
            upstream: "docker.io".into(),
            repository: "library/alpine".parse().expect("a repository"),
        },
        digest,
        role: Role::Blob,
    }
}

/// Fills `bytes` from end to end.
pub(crate) fn fill(store: &DiskStore, bytes: &[u8]) -> Result<(), StoreError> {
    let digest = Digest::sha256_of(bytes);
    let mut verifier = Verifier::of(&digest).expect("sha256");
    verifier.update(bytes);
    let proof = verifier.finish().expect("its own digest");
    let begun = store.begin(&digest)?;
    begun.partial.reserve(bytes.len() as u64)?;
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    let done = begun
        .partial
        .write_at(0, head)
        .and_then(|()| begun.partial.write_at(head.len() as u64, tail))
        .and_then(|()| begun.partial.commit(&proof).map(drop));
    if done.is_err() {
        let _ = begun.partial.discard();
    }
    done?;
    store.link(&[link(digest)])
}

/// Leaves a fill of blob `n` with half of its bytes.
fn leave(store: &DiskStore, n: u8) -> Result<(), StoreError> {
    let partial = store.begin(&digest(n))?.partial;
    partial.reserve(2000)?;
    partial.write_at(0, &[n; 1000])?;
    let progress = Progress {
        link: link(digest(n)),
        size: blob(n).len() as u64,
        present: [ByteRange::new(0, 1000)].into_iter().collect(),
        wanted: true,
    };
    partial.checkpoint(&progress, true)
}

/// What must hold at every instant.
pub(crate) fn holds(store: &DiskStore) -> bool {
    let usage = store.usage();
    let total = usage.content_bytes + usage.fills_bytes + usage.reserved_bytes;
    total <= usage.capacity && usage.reserved_bytes == 0
}

/// Says something that outlives a kill.
fn say(what: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(format!("{what}\n").as_bytes());
    let _ = out.flush();
}

/// A step of a life, by its name.
type Step<'a> = (&'a str, &'a dyn Fn() -> Result<(), StoreError>);

pub(crate) fn live(root: &Path) -> ExitCode {
    let store = match DiskStore::open(root, Limits::of(CAPACITY)) {
        Ok(store) => store,
        Err(error) => {
            say(&format!("not opened: {error}"));
            return ExitCode::SUCCESS;
        }
    };
    let head = Digest::sha256_of(&manifest());
    let key = RecordKey {
        origin: link(head.clone()).origin,
        tag: "latest".parse().expect("a tag"),
        accepts: Accepts::MODERN,
    };
    let record = Record {
        digest: head.clone(),
        media_type: MediaType::OCI_MANIFEST,
        size: manifest().len() as u64,
        checked_at: LATER,
    };
    let pinned = std::slice::from_ref(&head);
    let steps: [Step<'_>; 15] = [
        ("scan", &|| store.scan(|_| true).map(drop)),
        ("layer", &|| fill(&store, &blob(0))),
        ("manifest", &|| fill(&store, &manifest())),
        ("record", &|| store.put_record(&key, &record)),
        ("leave", &|| leave(&store, 1)),
        ("drops the rest of 1", &|| fill(&store, &blob(2))),
        ("note", &|| store.note_uses()),
        ("pin", &|| {
            store.pin("kept", pinned)?;
            let is_here = store.open(&head)?.is_some() && store.open(&digest(0))?.is_some();
            say(if is_here { "pinned" } else { "pinned in vain" });
            Ok(())
        }),
        ("evicts 2", &|| fill(&store, &blob(3))),
        ("evicts 3", &|| fill(&store, &blob(4))),
        ("set aside", &|| store.set_aside(&digest(4))),
        ("verify", &|| {
            store.verify(&digest(0), &mut |_| ()).map(drop)
        }),
        ("unpin", &|| {
            say("unpinning");
            store.unpin("kept")?;
            say("unpinned");
            Ok(())
        }),
        ("garbage", &|| {
            let garbage = store.collectable(LATER, 0, Some(0))?;
            let garbage: Vec<_> = garbage.into_iter().map(|it| it.digest).collect();
            store.remove(&garbage[..garbage.len().min(1)], Reason::Gc)?;
            Ok(())
        }),
        ("last note", &|| {
            store.relieve(LATER);
            fill(&store, &blob(5))?;
            store.note_uses()
        }),
    ];
    for (name, step) in steps {
        if let Err(error) = step() {
            say(&format!("{name}: {error}"));
        }
        if !holds(&store) {
            say(&format!("{name}: {:?}", store.usage()));
            return ExitCode::FAILURE;
        }
    }
    say("the end");
    ExitCode::SUCCESS
}
