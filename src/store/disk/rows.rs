//! What the catalog keeps of content: sizes, uses, references, pins, sums. All but the pins comes back from the files.

use std::cell::RefCell;

use redb::{Error, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::catalog::{DiskCatalog, failed};
use crate::oci::Digest;
use crate::store::index::{Key, Notes, Row};
use crate::store::{Amount, Pin, StoreError};

/// Digest -> size in bytes, last use in Unix seconds, rank.
const CONTENT: TableDefinition<'_, &[u8], (u64, u32, u32)> = TableDefinition::new("content-v1");
/// Manifest -> what it references.
const GRAPH: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("graph-v1");
/// Name -> what is pinned under it.
const PINS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("pins-v1");
/// Bytes and count of all content, as of the last note.
const TOTALS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("totals-v1");

/// The one row of [`TOTALS`].
const ALL: &str = "all";

impl DiskCatalog {
    /// Writes what is gone and what is here, and the sums.
    pub(super) fn note(&self, notes: &Notes, totals: Amount) -> Result<(), StoreError> {
        self.change(|write| {
            let mut content = write.open_table(CONTENT)?;
            let mut graph = write.open_table(GRAPH)?;
            for key in &notes.gone {
                content.remove(&*key.bytes())?;
                graph.remove(&*key.bytes())?;
            }
            for row in &notes.here {
                let key = row.key.bytes();
                content.insert(&*key, (row.size, row.last_use, row.rank))?;
                if !row.references.is_empty() {
                    graph.insert(&*key, &*joined(&row.references))?;
                }
            }
            let mut sums = write.open_table(TOTALS)?;
            sums.insert(ALL, (totals.bytes, totals.count))?;
            Ok(())
        })
    }

    /// Gives each row to `take`, until it says that it has enough; whether that was all.
    pub(super) fn rows(&self, take: impl FnMut(Row) -> bool) -> Result<bool, StoreError> {
        let take = RefCell::new(take);
        let done = self.database.run(|database| {
            let read = database.begin_read()?;
            let content = match read.open_table(CONTENT) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(true),
                Err(error) => return Err(error.into()),
            };
            let graph = read.open_table(GRAPH)?;
            // Both in the order of their keys, so that one pass does.
            let mut edges = graph.iter()?.peekable();
            for row in content.iter()? {
                let (key, value) = row?;
                let mut references = Vec::new();
                while let Some(edge) = edges.next_if(|edge| {
                    edge.as_ref()
                        .map_or(true, |(from, _)| from.value() <= key.value())
                }) {
                    let (from, to) = edge?;
                    if from.value() == key.value() {
                        references = parted(to.value());
                    }
                }
                // What cannot be read is found anew.
                let Some(key) = Key::from_bytes(key.value()) else {
                    continue;
                };
                let (size, last_use, rank) = value.value();
                let row = Row {
                    key,
                    size,
                    last_use,
                    rank,
                    references,
                };
                if !(*take.borrow_mut())(row) {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        done.map_err(|error| failed("read", &error))
    }

    /// The sums as of the last note.
    pub(super) fn totals(&self) -> Result<Amount, StoreError> {
        let found = self.database.run(|database| {
            let table = match database.begin_read()?.open_table(TOTALS) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Amount::default()),
                Err(error) => return Err(error.into()),
            };
            let (bytes, count) = table.get(ALL)?.map_or((0, 0), |it| it.value());
            Ok(Amount { count, bytes })
        });
        found.map_err(|error| failed("read", &error))
    }

    /// All pins.
    pub(super) fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        let found = self.database.run(|database| {
            let table = match database.begin_read()?.open_table(PINS) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let pins = table.iter()?.map(|pin| {
                let (name, digests) = pin?;
                let digests = parted(digests.value());
                Ok(Pin {
                    name: name.value().to_owned(),
                    digests: digests.iter().map(Key::digest).collect(),
                })
            });
            pins.collect::<Result<_, Error>>()
        });
        found.map_err(|error| failed("read", &error))
    }

    /// Writes the pin `name`, in place of what it was.
    pub(super) fn put_pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError> {
        let keys: Vec<_> = digests.iter().filter_map(Key::of).collect();
        self.change(|write| {
            write.open_table(PINS)?.insert(name, &*joined(&keys))?;
            Ok(())
        })
    }

    /// Forgets the pin `name`.
    pub(super) fn forget_pin(&self, name: &str) -> Result<(), StoreError> {
        self.change(|write| {
            write.open_table(PINS)?.remove(name)?;
            Ok(())
        })
    }
}

/// Each key behind a byte that is its length.
fn joined(keys: &[Key]) -> Vec<u8> {
    let parts = keys.iter().map(Key::bytes);
    let framed = parts.flat_map(|part| {
        let length = u8::try_from(part.len()).unwrap_or_default();
        [vec![length], part].concat()
    });
    framed.collect()
}

/// The keys that [`joined`] wrote, up to the first odd one.
fn parted(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let Some((part, rest)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        let Some(key) = Key::from_bytes(part) else {
            break;
        };
        keys.push(key);
        bytes = rest;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parted_as_they_were_joined_up_to_what_is_odd() {
        let long = format!("sha512:{}", "0123456789abcdef".repeat(8));
        let digests = [Digest::sha256_of(b"a"), long.parse().unwrap()];
        let keys: Vec<_> = digests.iter().filter_map(Key::of).collect();
        let bytes = joined(&keys);
        assert_eq!(bytes.len(), 33 + 65);
        assert_eq!(parted(&bytes), keys);
        assert_eq!(parted(&bytes[..97]), keys[..1]);
        assert_eq!(parted(&bytes[..32]), []);
        assert_eq!(parted(&[0, 0]), []);
    }
}
