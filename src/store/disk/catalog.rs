//! Records and links in one redb file.
//!
//! Keys are text, parts divided by NUL, which none of them can hold: `upstream repository tag` for a record,
//! `upstream repository role digest` for a link. A change of
//! form is a new table, never a migration in place: tables carry their version in the name.

use std::fs;
use std::path::Path;

use moka::sync::Cache;
use redb::{DatabaseError, Error, ReadableDatabase, TableDefinition, TableError};

use super::database::Reopening;
use crate::oci::Accepts;
use crate::store::{Link, Origin, Record, RecordKey, Role, StoreError, StoreErrorKind};

pub(super) const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records-v1");
pub(super) const LINKS: TableDefinition<'_, &str, ()> = TableDefinition::new("links-v1");

/// How many known links are kept in memory, so that a hit asks no table (about 200 bytes each).
const LINKS_IN_MEMORY: u64 = 100_000;

pub(super) struct DiskCatalog {
    pub(super) database: Reopening,
    /// Links known to be in the table: only positive answers, so it can never be stale.
    known: Cache<String, ()>,
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
            known: Cache::new(LINKS_IN_MEMORY),
        })
    }

    pub(super) fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let key = record_key(key);
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
        let value = serde_json::to_vec(record).map_err(|error| failed("write", &error))?;
        self.change(|write| {
            let mut table = write.open_table(RECORDS)?;
            table.insert(record_key(key).as_str(), value.as_slice())?;
            Ok(())
        })
    }

    pub(super) fn forget_record(&self, key: &RecordKey) -> Result<(), StoreError> {
        self.change(|write| {
            write
                .open_table(RECORDS)?
                .remove(record_key(key).as_str())?;
            Ok(())
        })
    }

    pub(super) fn linked(&self, link: &Link) -> Result<bool, StoreError> {
        let key = link_key(link);
        if self.known.contains_key(&key) {
            return Ok(true);
        }
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
            self.known.insert(key, ());
        }
        Ok(found)
    }

    pub(super) fn link(&self, links: &[Link]) -> Result<(), StoreError> {
        let new: Vec<String> = links
            .iter()
            .map(link_key)
            .filter(|key| !self.known.contains_key(key))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.change(|write| {
            let mut table = write.open_table(LINKS)?;
            for key in &new {
                table.insert(key.as_str(), ())?;
            }
            Ok(())
        })?;
        // Only after the commit: memory must not know more than the disk.
        for key in new {
            self.known.insert(key, ());
        }
        Ok(())
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
        changed.map_err(|error| failed("write", &error))
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

fn record_key(key: &RecordKey) -> String {
    let tag = format!("{}{}", prefix(&key.origin), key.tag);
    if key.accepts == Accepts::MODERN {
        tag
    } else {
        format!("{tag}\0{:02x}", key.accepts.bits())
    }
}

fn link_key(link: &Link) -> String {
    let role = match link.role {
        Role::Blob => "blob",
        Role::Manifest => "manifest",
    };
    format!("{}{role}\0{}", prefix(&link.origin), link.digest)
}
