//! Reading the catalog in order: tags and repositories; and the pins.

use std::collections::BTreeSet;

use redb::ReadableDatabase;
use redb::{Error, ReadableTable, TableDefinition, TableError};

use super::catalog::{DiskCatalog, LINKS, RECORDS, failed, prefix};
use crate::oci::{Digest, Repository, Tag};
use crate::store::{Origin, Pin, StoreError};

const PINS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("pins-v1");

impl DiskCatalog {
    pub(super) fn tags(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StoreError> {
        let prefix = prefix(origin);
        let keys = self.keys(RECORDS, &prefix)?;
        // A tag may have several records, told apart behind another NUL.
        let tags = keys.iter().filter_map(|key| {
            let tag = key.strip_prefix(&prefix)?.split('\0').next()?;
            tag.parse().ok()
        });
        Ok(page(tags.collect(), after, limit))
    }

    pub(super) fn repositories(
        &self,
        upstream: &str,
        after: Option<&Repository>,
        limit: usize,
    ) -> Result<Vec<Repository>, StoreError> {
        let prefix = format!("{upstream}\0");
        let mut keys = self.keys(RECORDS, &prefix)?;
        keys.extend(self.keys(LINKS, &prefix)?);
        let repositories = keys.iter().filter_map(|key| {
            let repository = key.strip_prefix(&prefix)?.split('\0').next()?;
            repository.parse().ok()
        });
        Ok(page(repositories.collect(), after, limit))
    }

    pub(super) fn pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError> {
        let digests: BTreeSet<_> = digests.iter().collect();
        let value = serde_json::to_vec(&digests).map_err(|error| failed("write", &error))?;
        self.change(|write| {
            write.open_table(PINS)?.insert(name, value.as_slice())?;
            Ok(())
        })
    }

    pub(super) fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        let found = self.database.run(|database| {
            let table = match database.begin_read()?.open_table(PINS) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut pins = Vec::new();
            for row in table.iter()? {
                let (name, digests) = row?;
                pins.push(Pin {
                    name: name.value().to_owned(),
                    digests: serde_json::from_slice(digests.value()).unwrap_or_default(),
                });
            }
            Ok(pins)
        });
        found.map_err(|error| failed("read", &error))
    }

    /// The keys that begin so, in order.
    fn keys<V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'static, &'static str, V>,
        prefix: &str,
    ) -> Result<Vec<String>, StoreError> {
        let found = self.database.run(|database| {
            let table = match database.begin_read()?.open_table(table) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(Error::from(error)),
            };
            let mut keys = Vec::new();
            for row in table.range(prefix..)? {
                let (key, _) = row?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                keys.push(key.value().to_owned());
            }
            Ok(keys)
        });
        found.map_err(|error| failed("read", &error))
    }
}

fn page<T: Ord>(all: BTreeSet<T>, after: Option<&T>, limit: usize) -> Vec<T> {
    let rest = all
        .into_iter()
        .filter(|it| after.is_none_or(|after| it > after));
    rest.take(limit).collect()
}
