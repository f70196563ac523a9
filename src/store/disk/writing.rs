//! What was learnt goes into the tables: all that waits in one change.

use std::io;

use redb::{Error, ReadTransaction, TableDefinition, Value};

use super::catalog::{DiskCatalog, LINKS, PUBLIC, RECORDS, link_key, prefix, record_key};
use super::learnt::{Batch, Word, Words};
use super::pages::open;
use crate::store::{Fact, Record, StoreError};

/// What the tables do not say yet.
struct Changes<'b> {
    records: Vec<(&'b str, Option<Vec<u8>>)>,
    links: Vec<(&'b str, Option<&'b ()>)>,
    public: Vec<(&'b str, Option<&'b ()>)>,
}

impl DiskCatalog {
    pub(super) fn learn(&self, facts: &[Fact]) {
        let mut learnt = self.learnt.lock();
        for fact in facts {
            match fact {
                Fact::Record(key, record) => {
                    learnt.say_record(record_key(key), Word::of(record.clone()));
                }
                Fact::Link(link, is_so) => {
                    let key = link_key(link);
                    // What is known is in the table, and stays there unless there is a word against it.
                    let is_there = learnt.link(&key).is_none() && self.known.contains_key(&key);
                    if !(*is_so && is_there) {
                        learnt.say_link(key, Word::of(is_so.then_some(())));
                    }
                }
                Fact::Public(origin, is_so) => {
                    learnt.say_public(prefix(origin), Word::of(is_so.then_some(())));
                }
            }
        }
    }

    pub(super) fn write_down(&self) -> Result<(), StoreError> {
        self.write_down_by(|batch| self.put(batch))
    }

    /// `put` puts it into the tables.
    pub(super) fn write_down_by(
        &self,
        put: impl FnOnce(&Batch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // Also where nothing waits: it may be in somebody's hands, who is not done.
        let _writing = self.writing.lock();
        let Some(batch) = self.learnt.lock().take() else {
            return Ok(());
        };
        put(&batch)?;
        for (key, word) in batch.records.words() {
            match word {
                Word::Is(record) => self.fresh.insert(key.clone(), record.clone()),
                Word::Not => self.fresh.invalidate(key),
            }
        }
        for (key, word) in batch.links.words() {
            match word {
                Word::Is(()) => self.known.insert(key.clone(), ()),
                Word::Not => self.known.invalidate(key),
            }
        }
        self.learnt.lock().written();
        Ok(())
    }

    /// Nothing is committed where the tables say all of it already.
    fn put(&self, batch: &Batch) -> Result<(), StoreError> {
        let changes = self.read(|read| {
            let same = |row: &[u8], record: &Record| {
                serde_json::from_slice::<Record>(row).is_ok_and(|row| row == *record)
            };
            let records = unsaid(read, RECORDS, batch.records.words(), same)?;
            let records = records.into_iter().map(|(key, record)| {
                let row = record.map(serde_json::to_vec).transpose();
                Ok((key, row.map_err(io::Error::from)?))
            });
            Ok(Changes {
                records: records.collect::<Result<_, Error>>()?,
                links: unsaid(read, LINKS, batch.links.words(), |(), ()| true)?,
                public: unsaid(read, PUBLIC, batch.public.words(), |(), ()| true)?,
            })
        })?;
        let Changes {
            records,
            links,
            public,
        } = changes;
        if records.is_empty() && links.is_empty() && public.is_empty() {
            return Ok(());
        }
        self.change(|write| {
            let mut table = write.open_table(RECORDS)?;
            for (key, row) in &records {
                match row {
                    Some(row) => table.insert(*key, row.as_slice())?,
                    None => table.remove(*key)?,
                };
            }
            for (name, flags) in [(LINKS, &links), (PUBLIC, &public)] {
                let mut table = write.open_table(name)?;
                for (key, flag) in flags {
                    match flag {
                        Some(()) => table.insert(*key, ())?,
                        None => table.remove(*key)?,
                    };
                }
            }
            Ok(())
        })
    }
}

/// The words that a table does not say yet; `None` for what is to be taken out of it.
fn unsaid<'b, T, V: Value + 'static>(
    read: &ReadTransaction,
    table: TableDefinition<'static, &'static str, V>,
    words: &'b Words<T>,
    same: impl Fn(V::SelfType<'_>, &T) -> bool,
) -> Result<Vec<(&'b str, Option<&'b T>)>, Error> {
    let table = open(read, table)?;
    let mut unsaid = Vec::new();
    for (key, word) in words {
        let row = table.as_ref().map(|table| table.get(key.as_str()));
        let row = row.transpose()?.flatten();
        match (word, row) {
            (Word::Is(it), Some(row)) if same(row.value(), it) => {}
            (Word::Is(it), _) => unsaid.push((key.as_str(), Some(it))),
            (Word::Not, Some(_)) => unsaid.push((key.as_str(), None)),
            (Word::Not, None) => {}
        }
    }
    Ok(unsaid)
}
