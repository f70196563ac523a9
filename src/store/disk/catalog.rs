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
use redb::{DatabaseError, Error, ReadableDatabase, TableDefinition, TableError};

use super::database::Reopening;
use super::learnt::Learnt;
use crate::oci::Accepts;
use crate::store::{Link, Origin, Record, RecordKey, Role, StoreError, StoreErrorKind};

pub(super) const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records-v1");
pub(super) const LINKS: TableDefinition<'_, &str, ()> = TableDefinition::new("links-v1");
const PUBLIC: TableDefinition<'_, &str, ()> = TableDefinition::new("public-v1");

/// How many known links are kept in memory, so that a hit asks no table (about 200 bytes each).
const LINKS_IN_MEMORY: u64 = 100_000;

/// The same for records (about 400 bytes each): a tag that is asked for is written anew once per `ttl`.
const RECORDS_IN_MEMORY: u64 = 20_000;

pub(super) struct DiskCatalog {
    pub(super) database: Reopening,
    /// What is not in the tables yet.
    pub(super) learnt: Mutex<Learnt>,
    /// Links known to be in the table: only positive answers, and none that outlives its row.
    pub(super) known: Cache<String, ()>,
    /// Records as they were last written. Filled by writers only: one who reads could be overtaken between the table and
    /// here.
    pub(super) fresh: Cache<String, Record>,
    /// Held by who changes records or links, until memory says so, too: the next one goes by what memory says.
    pub(super) writing: Mutex<()>,
    /// How many times links were forgotten: who has read the table before that knows nothing for certain.
    forgotten: AtomicU64,
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
            forgotten: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        })
    }

    pub(super) fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let key = record_key(key);
        let learnt = self.learnt.lock().record(&key);
        if let Some(record) = learnt.or_else(|| self.fresh.get(&key)) {
            return Ok(Some(record));
        }
        let found = self.database.run(|database| {
            let table = match database.begin_read()?.open_table(RECORDS) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            // A value we cannot read is a record we do not have: upstream will be asked.
            let value = table.get(key.as_str())?;
            Ok(value.and_then(|value| serde_json::from_slice(value.value()).ok()))
        });
        found.map_err(|error| failed("read", &error))
    }

    pub(super) fn put_record(&self, key: &RecordKey, record: &Record) -> Result<(), StoreError> {
        self.learn(&[], Some((key, record)));
        self.write_down()
    }

    pub(super) fn forget_record(&self, key: &RecordKey) -> Result<(), StoreError> {
        let key = record_key(key);
        let _writing = self.writing.lock();
        self.learnt.lock().forget_record(&key);
        let forgotten = self.change(|write| {
            write.open_table(RECORDS)?.remove(key.as_str())?;
            Ok(())
        });
        // Also when that failed: it is the disk's word then.
        self.fresh.invalidate(&key);
        forgotten
    }

    pub(super) fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        let key = link_key(link);
        if self.learnt.lock().linked(&key) || self.known.contains_key(&key) {
            return Ok(true);
        }
        let before = self.forgotten();
        let found = self.database.run(|database| {
            let table = match database.begin_read()?.open_table(LINKS) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            Ok(table.get(key.as_str())?.is_some())
        });
        let found = found.map_err(|error| failed("read", &error))?;
        if found {
            self.know([key], before);
        }
        Ok(found)
    }

    pub(super) fn link(&self, links: &[Link]) -> Result<(), StoreError> {
        self.learn(links, None);
        self.write_down()
    }

    pub(super) fn unlink(&self, links: &[Link]) -> Result<(), StoreError> {
        let keys: Vec<String> = links.iter().map(link_key).collect();
        let _writing = self.writing.lock();
        self.learnt.lock().unlink(&keys);
        self.change(|write| {
            let mut table = write.open_table(LINKS)?;
            for key in &keys {
                table.remove(key.as_str())?;
            }
            Ok(())
        })?;
        // In this order: who read the table before sees the number, or has put its key where it is taken out now.
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        for key in &keys {
            self.known.invalidate(key);
        }
        Ok(())
    }

    /// How many times links were forgotten so far.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// Keeps in memory what the table was seen to hold, unless links were forgotten since `before` was read.
    pub(super) fn know(&self, keys: impl IntoIterator<Item = String>, before: u64) {
        for key in keys {
            self.known.insert(key.clone(), ());
            if self.forgotten() != before {
                self.known.invalidate(&key);
            }
        }
    }

    pub(super) fn is_public(&self, origin: &Origin) -> Result<bool, StoreError> {
        let key = prefix(origin);
        let found = self.database.run(|database| {
            let table = match database.begin_read()?.open_table(PUBLIC) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            Ok(table.get(key.as_str())?.is_some())
        });
        found.map_err(|error| failed("read", &error))
    }

    pub(super) fn set_public(&self, origin: &Origin, public: bool) -> Result<(), StoreError> {
        self.change(|write| {
            let mut table = write.open_table(PUBLIC)?;
            let key = prefix(origin);
            if public {
                table.insert(key.as_str(), ())?;
            } else {
                table.remove(key.as_str())?;
            }
            Ok(())
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
