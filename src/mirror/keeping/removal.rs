//! What goes: by name, or as garbage.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Collected, Garbage, KeepingError, Purged, key};
use crate::mirror::{Mirror, link};
use crate::oci::{Accepts, Digest, Manifest, Reference};
use crate::store::{
    Amount, Fact, Origin, Reason, RecordKey, Role, StoreError, StoreErrorKind, Why,
};

/// The most bytes of a manifest that is looked into.
const MOST_MANIFEST: usize = 16 * 1024 * 1024;

/// What is garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GarbagePolicy {
    /// What no tag and no pin reaches, when it was not used for so long.
    pub unused_for: Duration,
    /// Anything that was not used for so long, unless a pin covers it.
    pub max_age: Option<Duration>,
}

impl Default for GarbagePolicy {
    fn default() -> Self {
        Self {
            unused_for: Duration::from_hours(24),
            max_age: None,
        }
    }
}

impl Mirror {
    /// Forgets what a reference means; what it alone held goes with it. The next pull asks upstream.
    ///
    /// # Errors
    /// [`KeepingError::NotHere`] for a tag that is not known.
    pub fn purge(&self, origin: &Origin, reference: &Reference) -> Result<Purged, KeepingError> {
        self.declared(&origin.upstream)?;
        // What an earlier one could not write down: it is told as not here below.
        self.store.write_down()?;
        let tag = match reference {
            Reference::Tag(tag) => tag,
            Reference::Digest(digest) => {
                let purged = self.purge_digest(digest)?;
                self.unlink_all(origin, std::slice::from_ref(digest))?;
                return Ok(purged);
            }
        };
        let digest = self.record_kept(origin, tag)?.digest;
        let mut records = Vec::new();
        for bits in 0..=u8::MAX {
            let key = RecordKey {
                accepts: Accepts::from_bits(bits),
                ..key(origin, tag)
            };
            if self.store.record(&key)?.is_some() {
                records.push(Fact::Record(key, None));
            }
        }
        self.store.learn(&records);
        self.store.write_down()?;
        let alone = self.alone(&digest)?;
        let gone = self.remove(&alone, Reason::Removed)?;
        self.unlink_all(origin, &alone)?;
        Ok(Purged {
            records: records.len() as u64,
            contents: gone.count,
            bytes: gone.bytes,
        })
    }

    /// Removes the content of a digest, but what is pinned or being read.
    pub fn purge_digest(&self, digest: &Digest) -> Result<Purged, KeepingError> {
        let gone = self.remove(std::slice::from_ref(digest), Reason::Removed)?;
        if gone.count == 0 {
            let pinned = !self.store.explain(digest)?.pins.is_empty();
            return Err(match self.content(digest)? {
                Some(_) if pinned => KeepingError::Kept(digest.clone(), "pinned"),
                Some(_) => KeepingError::Kept(digest.clone(), "being read"),
                None => KeepingError::NotHere(digest.to_string()),
            });
        }
        Ok(Purged {
            records: 0,
            contents: gone.count,
            bytes: gone.bytes,
        })
    }

    /// Forgets that the repository has shown these: what another one brings of them is not given out here again before
    /// upstream has said that this one has it.
    fn unlink_all(&self, origin: &Origin, digests: &[Digest]) -> Result<(), KeepingError> {
        let links = digests.iter().flat_map(|digest| {
            let links = [Role::Manifest, Role::Blob].map(|role| link(origin, digest, role));
            links.map(|link| Fact::Link(link, false))
        });
        self.store.learn(&links.collect::<Vec<_>>());
        // Who is told that it is gone is not told of it again after a restart.
        Ok(self.store.write_down()?)
    }

    /// What `digest` reaches and nothing else keeps, now that no record names it.
    fn alone(&self, digest: &Digest) -> Result<Vec<Digest>, KeepingError> {
        let reached = self.reached(digest)?;
        let garbage = match self.store.collectable(self.clock.now(), 0, None) {
            // What is here is not known yet: it goes with the next collection.
            Err(error) if error.kind() == StoreErrorKind::Unready => return Ok(Vec::new()),
            garbage => garbage?,
        };
        let garbage = garbage.into_iter().map(|it| it.digest);
        Ok(garbage.filter(|it| reached.contains(it)).collect())
    }

    /// The manifest and all that it references, as far as it is here.
    fn reached(&self, digest: &Digest) -> Result<BTreeSet<Digest>, KeepingError> {
        let mut reached = BTreeSet::new();
        let mut next = vec![digest.clone()];
        while let Some(digest) = next.pop() {
            if !reached.insert(digest.clone()) {
                continue;
            }
            let Some(content) = self.content(&digest)? else {
                continue;
            };
            let Some(size) = usize::try_from(content.size())
                .ok()
                .filter(|size| *size <= MOST_MANIFEST)
            else {
                continue;
            };
            let bytes = content.source().read_all(size);
            let bytes =
                bytes.map_err(|error| StoreError::io("read", digest.to_string(), &error))?;
            if let Ok(manifest) = Manifest::parse(&bytes, None) {
                next.extend(manifest.references.into_iter().map(|it| it.digest));
            }
        }
        Ok(reached)
    }

    fn remove(&self, digests: &[Digest], reason: Reason) -> Result<Amount, KeepingError> {
        let gone = self.store.remove(digests, reason)?;
        // Manifests in memory are read again from what is here.
        self.manifests.invalidate_all();
        Ok(gone)
    }

    /// Removes what no tag and no pin reaches and was not used for long. A dry run removes nothing, and tells what
    /// would go.
    pub fn collect_garbage(&self, dry_run: bool) -> Result<Collected, KeepingError> {
        let policy = self.garbage;
        let max_age = policy.max_age.map(|age| age.as_secs());
        let found =
            self.store
                .collectable(self.clock.now(), policy.unused_for.as_secs(), max_age)?;
        let mut bytes = found.iter().map(|it| it.size).sum();
        if !dry_run {
            let digests: Vec<_> = found.iter().map(|it| it.digest.clone()).collect();
            bytes = self.remove(&digests, Reason::Gc)?.bytes;
        }
        let items = found.into_iter().map(|it| Garbage {
            digest: it.digest,
            size: it.size,
            reason: match it.why {
                Why::Unreferenced => "unreferenced",
                Why::Unused => "unused",
            },
        });
        Ok(Collected {
            dry_run,
            items: items.collect(),
            bytes,
        })
    }
}
