//! What is known already and goes to disk behind whoever waits for it: all that came meanwhile in one change.

use std::collections::{HashMap, HashSet};

use super::catalog::{DiskCatalog, LINKS, RECORDS, failed, link_key, record_key};
use crate::store::{Link, Record, RecordKey, StoreError};

/// How much may wait for a disk that takes nothing: then all of it is forgotten, which costs questions.
const MOST: usize = 10_000;

/// By the keys of the tables. What is in here is believed before the tables are.
#[derive(Clone, Default)]
pub(super) struct Learnt {
    records: HashMap<String, Record>,
    links: HashSet<String>,
}

impl Learnt {
    pub(super) fn record(&self, key: &str) -> Option<Record> {
        self.records.get(key).cloned()
    }

    pub(super) fn linked(&self, key: &str) -> bool {
        self.links.contains(key)
    }

    pub(super) fn forget_record(&mut self, key: &str) {
        self.records.remove(key);
    }

    pub(super) fn unlink(&mut self, keys: &[String]) {
        for key in keys {
            self.links.remove(key);
        }
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.links.is_empty()
    }

    /// Takes out what has been written, unless something newer has come in its place.
    fn written(&mut self, batch: &Self) {
        self.links.retain(|key| !batch.links.contains(key));
        self.records
            .retain(|key, record| batch.records.get(key) != Some(record));
    }
}

impl DiskCatalog {
    /// Knows all this from now on.
    ///
    /// Also what the tables may have: somebody may be taking it out of them at this moment.
    pub(super) fn learn(&self, links: &[Link], record: Option<(&RecordKey, &Record)>) {
        let mut learnt = self.learnt.lock();
        if learnt.links.len() + learnt.records.len() >= MOST {
            tracing::warn!("too much waits for the catalog to be written: it is forgotten");
            *learnt = Learnt::default();
        }
        learnt.links.extend(links.iter().map(link_key));
        let record = record.map(|(key, record)| (record_key(key), record.clone()));
        learnt.records.extend(record);
    }

    /// Writes down all that was learnt, by whoever, durably and in one step. Where that fails it stays known, and
    /// is tried again with the next.
    pub(super) fn write_down(&self) -> Result<(), StoreError> {
        if self.learnt.lock().is_empty() {
            return Ok(());
        }
        let _writing = self.writing.lock();
        // It is believed from here until the tables and what stands before them say so.
        let batch = self.learnt.lock().clone();
        let links = batch.links.iter();
        let links: Vec<_> = links.filter(|key| !self.known.contains_key(*key)).collect();
        let rows = batch.records.iter();
        let rows: Vec<_> = rows
            .map(|(key, record)| Ok((key, serde_json::to_vec(record)?)))
            .collect::<serde_json::Result<_>>()
            .map_err(|error| failed("write", &error))?;
        let before = self.forgotten();
        // Another one may have written it meanwhile.
        if !links.is_empty() || !rows.is_empty() {
            self.change(|write| {
                let mut table = write.open_table(LINKS)?;
                for key in &links {
                    table.insert(key.as_str(), ())?;
                }
                let mut table = write.open_table(RECORDS)?;
                for (key, value) in &rows {
                    table.insert(key.as_str(), value.as_slice())?;
                }
                Ok(())
            })?;
        }
        self.know(batch.links.iter().cloned(), before);
        for (key, record) in &batch.records {
            self.fresh.insert(key.clone(), record.clone());
        }
        self.learnt.lock().written(&batch);
        Ok(())
    }
}
