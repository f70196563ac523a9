//! Reading the catalog in order: tags, repositories, and who speaks of a digest. What was learnt and is not in the tables
//! yet is read with them: looked at before they are, for it only ever goes from there to them.

use std::collections::HashSet;
use std::ops::Bound;

use redb::{Error, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableError};
use redb::{TableDefinition, Value};

use super::catalog::{DiskCatalog, LINKS, RECORDS, failed, parse_link, parse_record_key, prefix};
use super::learnt::Words;
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
        let learnt = self.learnt.lock().records(&prefix);
        self.read(|read| {
            let table = open(read, RECORDS)?;
            let mut tags: Vec<Tag> = Vec::new();
            for row in rows(table.as_ref(), &learnt, &first, record)? {
                let (key, _) = row?;
                if !key.starts_with(&prefix) || tags.len() > limit {
                    break;
                }
                if let Some(key) = parse_record_key(&key)
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
        let ours = format!("{upstream}\0");
        let (learnt_records, learnt_links) = {
            let learnt = self.learnt.lock();
            (learnt.records(&ours), learnt.links(&ours))
        };
        self.read(|read| {
            let records = open(read, RECORDS)?;
            let links = open(read, LINKS)?;
            let mut found: Vec<Repository> = Vec::new();
            while found.len() < limit {
                let first = match found.last().or(after) {
                    Some(last) => format!("{ours}{last}{BEHIND}"),
                    None => ours.clone(),
                };
                let records = rows(records.as_ref(), &learnt_records, &first, record)?;
                let links = rows(links.as_ref(), &learnt_links, &first, Some)?;
                let next = [
                    first_repository(records, &ours)?,
                    first_repository(links, &ours)?,
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
        let learnt = self.learnt.lock().links("");
        self.read(|read| {
            let table = open(read, LINKS)?;
            let mut found = Vec::new();
            for row in rows(table.as_ref(), &learnt, "", Some)? {
                let (key, ()) = row?;
                if found.len() >= limit {
                    break;
                }
                if key.ends_with(&ending) {
                    found.extend(parse_link(&key));
                }
            }
            Ok(found)
        })
    }

    /// Gives each record with its key to `take`, until it has enough.
    fn each_record(&self, take: impl FnMut(&str, &Record) -> bool) -> Result<(), StoreError> {
        let take = std::cell::RefCell::new(take);
        let learnt = self.learnt.lock().records("");
        self.read(|read| {
            let table = open(read, RECORDS)?;
            for row in rows(table.as_ref(), &learnt, "", record)? {
                let (key, record) = row?;
                if !(*take.borrow_mut())(&key, &record) {
                    break;
                }
            }
            Ok(())
        })
    }

    pub(super) fn read<T>(
        &self,
        work: impl Fn(&ReadTransaction) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let done = self.database.run(|database| work(&database.begin_read()?));
        done.map_err(|error| failed("read", &error))
    }
}

pub(super) fn open<V: Value + 'static>(
    read: &ReadTransaction,
    table: TableDefinition<'static, &'static str, V>,
) -> Result<Option<ReadOnlyTable<&'static str, V>>, Error> {
    match read.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A record as its row has it; one that cannot be read is none: upstream will be asked.
pub(super) fn record(row: &[u8]) -> Option<Record> {
    serde_json::from_slice(row).ok()
}

/// What a table holds at `first` or behind, in order, and what was learnt in its place. `read` reads a row.
fn rows<'a, T: Clone, V: Value + 'static>(
    table: Option<&'a ReadOnlyTable<&'static str, V>>,
    learnt: &'a Words<T>,
    first: &'a str,
    read: impl Fn(V::SelfType<'_>) -> Option<T> + 'a,
) -> Result<impl Iterator<Item = Result<(String, T), Error>> + 'a, Error> {
    let rows = table.map(|table| table.range(first..)).transpose()?;
    let mut rows = rows.into_iter().flatten().peekable();
    let words = learnt.range::<str, _>((Bound::Included(first), Bound::Unbounded));
    let mut words = words.peekable();
    Ok(std::iter::from_fn(move || {
        loop {
            let row = match rows.peek() {
                Some(Ok((key, _))) => Some(key.value()),
                Some(Err(_)) => return Some(Err(rows.next()?.err()?.into())),
                None => None,
            };
            let word = words.peek().map(|(key, _)| key.as_str());
            match (row, word) {
                (None, None) => return None,
                (Some(row), Some(word)) if row == word => drop(rows.next()),
                (Some(row), word) if word.is_none_or(|word| row < word) => {
                    let Ok((key, value)) = rows.next()? else {
                        continue;
                    };
                    if let Some(value) = read(value.value()) {
                        return Some(Ok((key.value().to_owned(), value)));
                    }
                }
                _ => {
                    let (key, word) = words.next()?;
                    if let Some(value) = word.clone().said() {
                        return Some(Ok((key.clone(), value)));
                    }
                }
            }
        }
    }))
}

/// The first repository among `rows` whose keys begin with `prefix`.
fn first_repository<T>(
    rows: impl Iterator<Item = Result<(String, T), Error>>,
    prefix: &str,
) -> Result<Option<Repository>, Error> {
    for row in rows {
        let (key, _) = row?;
        let Some(rest) = key.strip_prefix(prefix) else {
            break;
        };
        // A key that cannot be read is none.
        if let Some(repository) = rest.split('\0').next().and_then(|text| text.parse().ok()) {
            return Ok(Some(repository));
        }
    }
    Ok(None)
}
