//! How a job is shown: bars on a terminal, lines in a pipe, a document for machines.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::mirror::warm::{Report, Row, RowState};
use crate::oci::Digest;

/// Blobs shown at once.
const MOST_BLOBS: usize = 8;
/// Characters of a digest that tell it from others.
const SHORT: usize = 19;

/// How progress is shown.
pub(super) enum Show {
    /// Bars that move, on standard error.
    Bars(Bars),
    /// A line for each image that has come to its end, on standard error.
    Lines(Vec<String>),
    /// Nothing before the end.
    Nothing,
}

/// The bars of a job.
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    blobs: HashMap<Digest, ProgressBar>,
    ended: Vec<String>,
}

impl Show {
    /// Bars where somebody looks, and lines elsewhere; nothing when a document is wanted.
    pub(super) fn new(json: bool) -> Self {
        if json {
            return Self::Nothing;
        }
        if !io::stderr().is_terminal() {
            return Self::Lines(Vec::new());
        }
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(0));
        total.set_style(style(
            "{spinner} {prefix} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} {msg}",
        ));
        Self::Bars(Bars {
            all,
            total,
            blobs: HashMap::new(),
            ended: Vec::new(),
        })
    }

    /// Shows how it stands now.
    pub(super) fn update(&mut self, report: &Report) {
        match self {
            Self::Nothing => {}
            Self::Lines(ended) => {
                for row in newly_ended(report, ended) {
                    // Nobody is left to be told when writing fails.
                    let _ = writeln!(io::stderr(), "{}", line(row));
                }
            }
            Self::Bars(bars) => bars.update(report),
        }
    }

    /// Takes the bars away.
    pub(super) fn end(&self) {
        if let Self::Bars(bars) = self {
            for bar in bars.blobs.values() {
                bar.finish_and_clear();
            }
            bars.total.finish_and_clear();
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn update(&mut self, report: &Report) {
        for row in newly_ended(report, &mut self.ended) {
            let _ = self.all.println(line(row));
        }
        let done = report
            .rows
            .iter()
            .filter(|row| row.state.is_final())
            .count();
        self.total
            .set_prefix(format!("{done}/{} images", report.rows.len()));
        self.total.set_length(report.bytes);
        self.total.set_position(report.present);
        let resolving = report
            .rows
            .iter()
            .filter(|row| row.state == RowState::Resolving)
            .count();
        self.total.set_message(match resolving {
            0 => String::new(),
            number => format!("({number} resolving)"),
        });
        self.total.tick();
        let rows = report.rows.iter();
        let fetching: Vec<_> = rows
            .flat_map(|row| row.fetching.iter().map(move |blob| (row, blob)))
            .filter(|(_, blob)| blob.present > 0)
            .take(MOST_BLOBS)
            .collect();
        self.blobs.retain(|digest, bar| {
            let stays = fetching.iter().any(|(_, blob)| blob.digest == *digest);
            if !stays {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
            stays
        });
        for (row, blob) in fetching {
            let bar = self.blobs.entry(blob.digest.clone()).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new(blob.size));
                bar.set_style(style(
                    "  {prefix} [{bar:30}] {binary_bytes}/{binary_total_bytes} {wide_msg}",
                ));
                bar.set_prefix(short(&blob.digest));
                bar.set_message(row.reference.clone());
                bar
            });
            bar.set_position(blob.present);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// The images that have come to their end since the last time, each once.
fn newly_ended<'r>(report: &'r Report, ended: &mut Vec<String>) -> Vec<&'r Row> {
    let rows = report.rows.iter().filter(|row| row.state.is_final());
    let new: Vec<_> = rows.filter(|row| !ended.contains(&row.reference)).collect();
    ended.extend(new.iter().map(|row| row.reference.clone()));
    new
}

fn line(row: &Row) -> String {
    let size = ByteSize::b(row.bytes).display().iec();
    let fetched = ByteSize::b(row.fetched).display().iec();
    let digest = row.digest.as_ref().map_or("-".to_owned(), short);
    let why = row
        .reason
        .as_ref()
        .map_or(String::new(), |why| format!(": {why}"));
    format!(
        "{:<9} {} {digest} {size}, fetched {fetched}{why}",
        row.state.word(),
        row.reference
    )
}

fn short(digest: &Digest) -> String {
    digest.as_str().chars().take(SHORT).collect()
}

/// The whole story, for people: each image on a line, and what came of it all.
pub(super) fn story(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for row in &report.rows {
        let digest = row.digest.as_ref().map_or("-", |digest| digest.as_str());
        let why = row.reason.as_deref().unwrap_or_default();
        writeln!(
            out,
            "{:<9} {} {digest} {} {}{}{why}",
            row.state.word(),
            row.reference,
            row.bytes,
            row.fetched,
            if why.is_empty() { "" } else { " " }
        )?;
    }
    let count = |state| report.rows.iter().filter(|row| row.state == state).count();
    let bytes = |bytes| ByteSize::b(bytes).display().iec();
    writeln!(
        out,
        "{}: {} images: {} done, {} partial, {} failed; {} here of {}, {} fetched",
        report.state.word(),
        report.rows.len(),
        count(RowState::Done),
        count(RowState::Partial),
        count(RowState::Failed),
        bytes(report.present),
        bytes(report.bytes),
        bytes(report.fetched),
    )?;
    if let Some(trouble) = &report.trouble {
        writeln!(out, "{trouble}")?;
    }
    Ok(())
}
