//! Reading the catalog in order: tags, repositories, and who speaks of a digest.

use std::collections::HashSet;
use std::ops::Bound;

use redb::{Error, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableError};
use redb::{TableDefinition, Value};

use super::catalog::{DiskCatalog, LINKS, RECORDS, failed, parse_link, parse_record_key, prefix};
use crate::oci::{Digest, Repository, Tag};
use crate::store::{Link, Origin, Record, RecordKey, StoreError};

/// The smallest text behind all that begin with a text and a NUL.
const BEHIND: char = '\u{1}';

impl DiskCatalog {
    pub(super) fn tags(
        &self,
        origin: &Origin,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StoreError> {
        let prefix = prefix(origin);
        let first = after.map_or_else(
            || prefix.clone(),
            // A tag may have several records, told apart behind another NUL.
            |tag| format!("{prefix}{tag}{BEHIND}"),
        );
        self.read(|read| {
            let Some(table) = open(read, RECORDS)? else {
                return Ok(Vec::new());
            };
            let mut tags: Vec<Tag> = Vec::new();
            for row in table.range(first.as_str()..)? {
                let row = row?;
                let key = row.0.value();
                if !key.starts_with(&prefix) || tags.len() > limit {
                    break;
                }
                if let Some(key) = parse_record_key(key)
                    && tags.last() != Some(&key.tag)
                {
                    tags.push(key.tag);
                }
            }
            tags.truncate(limit);
            Ok(tags)
        })
    }

    pub(super) fn repositories(
        &self,
        upstream: &str,
        after: Option<&Repository>,
        limit: usize,
    ) -> Result<Vec<Repository>, StoreError> {
        self.read(|read| {
            let records = open(read, RECORDS)?;
            let links = open(read, LINKS)?;
            let mut found: Vec<Repository> = Vec::new();
            while found.len() < limit {
                let first = match found.last().or(after) {
                    Some(last) => format!("{upstream}\0{last}{BEHIND}"),
                    None => format!("{upstream}\0"),
                };
                let next = [
                    next_repository(records.as_ref(), upstream, &first)?,
                    next_repository(links.as_ref(), upstream, &first)?,
                ];
                match next.into_iter().flatten().min() {
                    Some(next) => found.push(next),
                    None => break,
                }
            }
            Ok(found)
        })
    }

    /// What all records name.
    pub(super) fn record_digests(&self) -> Result<Vec<Digest>, StoreError> {
        let mut digests = HashSet::new();
        self.each_record(|_, record| {
            digests.insert(record.digest.clone());
            true
        })?;
        Ok(digests.into_iter().collect())
    }

    /// The records that name one of `digests`, sorted, at most `limit`.
    pub(super) fn records_naming(
        &self,
        digests: &HashSet<Digest>,
        limit: usize,
    ) -> Result<Vec<RecordKey>, StoreError> {
        let mut found = Vec::new();
        self.each_record(|key, record| {
            if digests.contains(&record.digest) {
                found.extend(parse_record_key(key));
            }
            found.len() < limit
        })?;
        Ok(found)
    }

    /// The links of `digest`, at most `limit`.
    pub(super) fn links_of(&self, digest: &Digest, limit: usize) -> Result<Vec<Link>, StoreError> {
        let ending = format!("\0{digest}");
        self.read(|read| {
            let Some(table) = open(read, LINKS)? else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for row in table.iter()? {
                let row = row?;
                if found.len() >= limit {
                    break;
                }
                if row.0.value().ends_with(&ending) {
                    found.extend(parse_link(row.0.value()));
                }
            }
            Ok(found)
        })
    }

    /// Gives each record with its key to `take`, until it has enough.
    fn each_record(&self, take: impl FnMut(&str, &Record) -> bool) -> Result<(), StoreError> {
        let take = std::cell::RefCell::new(take);
        self.read(|read| {
            let Some(table) = open(read, RECORDS)? else {
                return Ok(());
            };
            for row in table.iter()? {
                let row = row?;
                let Ok(record) = serde_json::from_slice(row.1.value()) else {
                    continue;
                };
                if !(*take.borrow_mut())(row.0.value(), &record) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn read<T>(
        &self,
        work: impl Fn(&ReadTransaction) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let done = self.database.run(|database| work(&database.begin_read()?));
        done.map_err(|error| failed("read", &error))
    }
}

fn open<V: Value + 'static>(
    read: &ReadTransaction,
    table: TableDefinition<'static, &'static str, V>,
) -> Result<Option<ReadOnlyTable<&'static str, V>>, Error> {
    match read.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The first repository of `upstream` at `first` or behind.
fn next_repository<V: Value + 'static>(
    table: Option<&ReadOnlyTable<&'static str, V>>,
    upstream: &str,
    first: &str,
) -> Result<Option<Repository>, Error> {
    let Some(table) = table else {
        return Ok(None);
    };
    for row in table.range::<&str>((Bound::Included(first), Bound::Unbounded))? {
        let row = row?;
        let mut parts = row.0.value().split('\0');
        if parts.next() != Some(upstream) {
            break;
        }
        // A key that cannot be read is none.
        if let Some(repository) = parts.next().and_then(|text| text.parse().ok()) {
            return Ok(Some(repository));
        }
    }
    Ok(None)
}
