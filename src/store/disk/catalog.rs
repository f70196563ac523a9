//! Records and links in one redb file.
//!
//! Keys are text, parts divided by NUL, which none of them can hold: `upstream repository tag` for a record,
//! `upstream repository role digest` for a link, `upstream repository` for what is public. A change of
//! form is a new table, never a migration in place: tables carry their version in the name.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::sync::Cache;
use parking_lot::Mutex;
use redb::{DatabaseError, Error, TableDefinition};

use super::database::Reopening;
use super::learnt::Learnt;
use super::pages::{open, record};
use crate::oci::Accepts;
use crate::store::{Link, Origin, Record, RecordKey, Role, StoreError, StoreErrorKind};

pub(super) const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records-v1");
pub(super) const LINKS: TableDefinition<'_, &str, ()> = TableDefinition::new("links-v1");
pub(super) const PUBLIC: TableDefinition<'_, &str, ()> = TableDefinition::new("public-v1");

/// How many known links are kept in memory, so that a hit asks no table (about 200 bytes each).
const LINKS_IN_MEMORY: u64 = 100_000;

/// The same for records (about 400 bytes each): a tag that is asked for is written anew once per `ttl`.
const RECORDS_IN_MEMORY: u64 = 20_000;

pub(super) struct DiskCatalog {
    pub(super) database: Reopening,
    /// What is not in the tables yet, and is believed before them.
    pub(super) learnt: Mutex<Learnt>,
    /// Links that are in the table, unless something else was learnt of them. Who has read the table adds those that there is
    /// no word on, with `learnt` locked; who writes changes those that there is a word on.
    pub(super) known: Cache<String, ()>,
    /// Records as they were last written. Filled by who writes only: one who reads could be overtaken between the table
    /// and here.
    pub(super) fresh: Cache<String, Record>,
    /// Held by who writes down what was learnt, until memory says what the tables say.
    pub(super) writing: Mutex<()>,
    /// How many changes were committed.
    commits: AtomicU64,
}

impl DiskCatalog {
    /// Opens or makes the file. One that cannot be read is put aside and begun anew: what it knew
    /// comes back from upstream.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = match Reopening::open(path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(StoreError::new(
                    StoreErrorKind::Locked,
                    "open",
                    path.display().to_string(),
                    "another process holds this data folder",
                ));
            }
            Err(DatabaseError::Storage(redb::StorageError::Io(error)))
                if error.kind() != std::io::ErrorKind::InvalidData
                    && error.kind() != std::io::ErrorKind::UnexpectedEof =>
            {
                return Err(StoreError::io("open", path.display(), &error));
            }
            Err(broken) => {
                let aside = path.with_extension("redb.broken");
                tracing::warn!(path = %path.display(), error = %broken, "catalog is unreadable; beginning anew");
                fs::rename(path, &aside)
                    .map_err(|error| StoreError::io("move aside", path.display(), &error))?;
                Reopening::open(path).map_err(|error| failed("create", &error))?
            }
        };
        Ok(Self {
            database,
            learnt: Mutex::default(),
            known: Cache::new(LINKS_IN_MEMORY),
            fresh: Cache::new(RECORDS_IN_MEMORY),
            writing: Mutex::default(),
            commits: AtomicU64::new(0),
        })
    }

    pub(super) fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let key = record_key(key);
        let word = self.learnt.lock().record(&key).cloned();
        if let Some(word) = word {
            return Ok(word.said());
        }
        if let Some(record) = self.fresh.get(&key) {
            return Ok(Some(record));
        }
        self.read(|read| {
            let Some(table) = open(read, RECORDS)? else {
                return Ok(None);
            };
            let row = table.get(key.as_str())?;
            Ok(row.and_then(|row| record(row.value())))
        })
    }

    pub(super) fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        let key = link_key(link);
        let before = {
            let learnt = self.learnt.lock();
            if let Some(word) = learnt.link(&key) {
                return Ok(word.is_so());
            }
            learnt.unlinked()
        };
        if self.known.contains_key(&key) {
            return Ok(true);
        }
        let found = self.has(LINKS, &key)?;
        if found {
            let learnt = self.learnt.lock();
            // The table was read before: it may say something else by now.
            if learnt.link(&key).is_none() && learnt.unlinked() == before {
                self.known.insert(key, ());
            }
        }
        Ok(found)
    }

    pub(super) fn is_public(&self, origin: &Origin) -> Result<bool, StoreError> {
        let key = prefix(origin);
        if let Some(word) = self.learnt.lock().public(&key) {
            return Ok(word.is_so());
        }
        self.has(PUBLIC, &key)
    }

    fn has(
        &self,
        table: TableDefinition<'static, &'static str, ()>,
        key: &str,
    ) -> Result<bool, StoreError> {
        self.read(|read| {
            let Some(table) = open(read, table)? else {
                return Ok(false);
            };
            Ok(table.get(key)?.is_some())
        })
    }

    /// Changes tables in one step, durably.
    pub(super) fn change(
        &self,
        apply: impl Fn(&redb::WriteTransaction) -> Result<(), Error>,
    ) -> Result<(), StoreError> {
        let room = self.database.has_room();
        room.map_err(|error| StoreError::io("write", "the catalog", &error))?;
        let changed = self.database.run(|database| {
            let write = database.begin_write()?;
            apply(&write)?;
            Ok(write.commit()?)
        });
        changed.map_err(|error| failed("write", &error))?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

pub(super) fn failed(operation: &'static str, error: &dyn std::error::Error) -> StoreError {
    StoreError::new(
        StoreErrorKind::Io,
        operation,
        "the catalog",
        error.to_string(),
    )
}

pub(super) fn prefix(origin: &Origin) -> String {
    format!("{}\0{}\0", origin.upstream, origin.repository)
}

pub(super) fn record_key(key: &RecordKey) -> String {
    let tag = format!("{}{}", prefix(&key.origin), key.tag);
    if key.accepts == Accepts::MODERN {
        tag
    } else {
        format!("{tag}\0{:02x}", key.accepts.bits())
    }
}

pub(super) fn link_key(link: &Link) -> String {
    let role = match link.role {
        Role::Blob => "blob",
        Role::Manifest => "manifest",
    };
    format!("{}{role}\0{}", prefix(&link.origin), link.digest)
}

/// The key that [`record_key`] wrote.
pub(super) fn parse_record_key(text: &str) -> Option<RecordKey> {
    let mut parts = text.split('\0');
    Some(RecordKey {
        origin: parse_origin(&mut parts)?,
        tag: parts.next()?.parse().ok()?,
        accepts: match parts.next() {
            None => Accepts::MODERN,
            Some(bits) => Accepts::from_bits(u8::from_str_radix(bits, 16).ok()?),
        },
    })
}

/// The link whose key [`link_key`] wrote.
pub(super) fn parse_link(text: &str) -> Option<Link> {
    let mut parts = text.split('\0');
    Some(Link {
        origin: parse_origin(&mut parts)?,
        role: match parts.next()? {
            "blob" => Role::Blob,
            "manifest" => Role::Manifest,
            _ => return None,
        },
        digest: parts.next()?.parse().ok()?,
    })
}

fn parse_origin<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Option<Origin> {
    Some(Origin {
        upstream: parts.next()?.into(),
        repository: parts.next()?.parse().ok()?,
    })
}
