//! Where a job writes how it stands, and others read it.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::report::{BlobRow, JobState, Report, Row, RowState, verdict};
use crate::oci::{Digest, ImageReference};

/// The place of one image on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowId(usize);

/// How a job stands.
pub(super) struct Board {
    told: Mutex<Told>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

struct Told {
    report: Report,
    /// Size of each blob and manifest, and how much of it is here: those of all images, each once.
    content: HashMap<Digest, (u64, u64)>,
    /// Of each row: what belongs to it.
    parts: Vec<Vec<Digest>>,
    /// What came from upstream for this job. Rows that wait for the same manifest all see it come.
    came: HashMap<Digest, u64>,
}

impl Board {
    pub(super) fn new(id: u64, began_at: u64, list: Option<String>, pin: Option<String>) -> Self {
        let report = Report {
            id,
            state: JobState::Running,
            began_at,
            ended_at: None,
            list,
            pin,
            trouble: None,
            bytes: 0,
            present: 0,
            fetched: 0,
            rows: Vec::new(),
        };
        Self {
            told: Mutex::new(Told {
                report,
                content: HashMap::new(),
                parts: Vec::new(),
                came: HashMap::new(),
            }),
            changes: watch::Sender::new(0),
        }
    }

    /// How it stands now.
    pub(super) fn report(&self) -> Report {
        let told = self.told.lock();
        let mut report = told.report.clone();
        for (row, parts) in report.rows.iter_mut().zip(&told.parts) {
            let parts = || parts.iter().filter_map(|it| told.content.get(it));
            row.bytes = parts().map(|(size, _)| size).sum();
            row.present = parts().map(|(_, present)| present).sum();
        }
        report.bytes = told.content.values().map(|(size, _)| size).sum();
        report.present = told.content.values().map(|(_, present)| present).sum();
        report.fetched = report.rows.iter().map(|row| row.fetched).sum();
        report
    }

    /// Tells whenever something has changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A row for what was asked for, whose turn has not come.
    pub(super) fn add(&self, reference: String) -> RowId {
        self.change(|told| {
            told.report.rows.push(Row {
                reference,
                state: RowState::Waiting,
                digest: None,
                bytes: 0,
                present: 0,
                fetched: 0,
                fetching: Vec::new(),
                reason: None,
            });
            told.parts.push(Vec::new());
            RowId(told.parts.len() - 1)
        })
    }

    /// Puts the images that a pattern stands for in its place: the first into its row, the others behind all.
    pub(super) fn expand(
        &self,
        row: RowId,
        found: Vec<ImageReference>,
    ) -> Vec<(RowId, ImageReference)> {
        let mut rows = Vec::new();
        for image in found {
            if rows.is_empty() {
                self.change(|told| told.report.rows[row.0].reference = image.to_string());
                rows.push((row, image));
            } else {
                rows.push((self.add(image.to_string()), image));
            }
        }
        rows
    }

    pub(super) fn resolving(&self, row: RowId) {
        self.change(|told| told.report.rows[row.0].state = RowState::Resolving);
    }

    pub(super) fn resolved(&self, row: RowId, digest: &Digest) {
        self.change(|told| told.report.rows[row.0].digest = Some(digest.clone()));
    }

    /// Part of the row's image is this digest, of which so much is here.
    pub(super) fn part(&self, row: RowId, digest: &Digest, size: u64, present: u64) {
        self.change(|told| {
            let known = told.content.entry(digest.clone()).or_insert((size, 0));
            known.1 = known.1.max(present);
            if !told.parts[row.0].contains(digest) {
                told.parts[row.0].push(digest.clone());
            }
        });
    }

    /// All blobs of the image are known.
    pub(super) fn fetching(&self, row: RowId) {
        self.change(|told| told.report.rows[row.0].state = RowState::Fetching);
    }

    /// So many bytes of a blob are here.
    pub(super) fn present(&self, row: RowId, digest: &Digest, present: u64) {
        self.change(|told| {
            let Some(known) = told.content.get_mut(digest) else {
                return;
            };
            known.1 = present.min(known.0);
            let blob = BlobRow {
                digest: digest.clone(),
                size: known.0,
                present: known.1,
            };
            let fetching = &mut told.report.rows[row.0].fetching;
            match fetching.iter_mut().find(|it| it.digest == *digest) {
                Some(there) => *there = blob,
                None => fetching.push(blob),
            }
        });
    }

    /// A blob is here, or will not come. Rows that waited for it together have each seen some of it come,
    /// and one all: each byte counts for the row that tells of it first.
    pub(super) fn settled(&self, row: RowId, digest: &Digest, fetched: u64) {
        self.change(|told| {
            let row = &mut told.report.rows[row.0];
            let came = told.came.entry(digest.clone()).or_default();
            row.fetched += fetched.saturating_sub(*came);
            *came = fetched.max(*came);
            row.fetching.retain(|it| it.digest != *digest);
        });
    }

    pub(super) fn ends(&self, row: RowId, state: RowState, reason: Option<String>) {
        self.change(|told| {
            let row = &mut told.report.rows[row.0];
            row.state = state;
            row.reason = reason;
            row.fetching.clear();
        });
    }

    /// What its images are named by, of those that are here with all or some of their parts.
    pub(super) fn found(&self) -> Vec<Digest> {
        let told = self.told.lock();
        let rows = told.report.rows.iter();
        let here = rows.filter(|row| matches!(row.state, RowState::Done | RowState::Partial));
        here.filter_map(|row| row.digest.clone()).collect()
    }

    /// Whether all that was asked for is here, as it is now.
    pub(super) fn is_whole(&self) -> bool {
        let told = self.told.lock();
        let mut rows = told.report.rows.iter();
        told.report.trouble.is_none() && rows.all(|row| row.state == RowState::Done)
    }

    /// The job could not do all it was to do beside the images.
    pub(super) fn trouble(&self, reason: String) {
        self.change(|told| {
            let trouble = &mut told.report.trouble;
            *trouble = Some(match trouble.take() {
                Some(before) if before.contains(&reason) => before,
                Some(before) => format!("{before}; {reason}"),
                None => reason,
            });
        });
    }

    /// The job has ended; what had not by then never will. Gives how.
    pub(super) fn end(&self, now: u64) -> JobState {
        self.change(|told| {
            for row in &mut told.report.rows {
                if !row.state.is_final() {
                    row.state = RowState::Cancelled;
                    row.fetching.clear();
                }
            }
            let state = verdict(told.report.rows.iter().map(|row| row.state));
            told.report.state = match state {
                JobState::Complete if told.report.trouble.is_some() => JobState::Partial,
                state => state,
            };
            told.report.ended_at = Some(now);
            told.report.state
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        let changed = change(&mut self.told.lock());
        self.changes.send_modify(|count| *count += 1);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_rows_waited_for_together_is_fetched_once() {
        let board = Board::new(1, 0, None, None);
        let rows = ["a", "b"].map(|it| board.add(it.to_owned()));
        let digest = Digest::sha256_of(b"manifest");
        // The first came to it when some was here already.
        for (row, fetched) in rows.into_iter().zip([5, 8]) {
            board.part(row, &digest, 8, 8);
            board.settled(row, &digest, fetched);
        }
        let report = board.report();
        let fetched: Vec<_> = report.rows.iter().map(|row| row.fetched).collect();
        assert_eq!(
            (report.bytes, report.fetched, &*fetched),
            (8, 8, &[5, 3][..])
        );
    }
}
