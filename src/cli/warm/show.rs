//! How a job is shown: bars on a terminal, lines in a pipe, a document for machines.

use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::figures::counted;
use crate::mirror::warm::{Report, Row, RowState};
use crate::oci::Digest;

/// Blobs shown at once.
const MOST_BLOBS: usize = 8;
/// Characters of a digest that tell it from others.
const SHORT: usize = 19;

/// How a job is shown while it is under way: each image on a line of its own, on standard output, when it has come to its
/// end; and bars on standard error, where somebody looks.
pub(super) struct Show {
    bars: Option<Bars>,
    lines: Option<Lines>,
}

/// The images that were told of, by their places in the report.
struct Lines {
    told: HashSet<usize>,
    /// Digests are short, where lines must be.
    is_short: bool,
}

/// The bars of a job.
struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    blobs: HashMap<Digest, ProgressBar>,
}

impl Show {
    /// Nothing is shown when a document is wanted in the end.
    pub(super) fn new(json: bool) -> Self {
        let lines = || Lines {
            told: HashSet::new(),
            is_short: io::stdout().is_terminal(),
        };
        Self {
            bars: (!json && io::stderr().is_terminal()).then(Bars::new),
            lines: (!json).then(lines),
        }
    }

    /// Shows how it stands now.
    pub(super) fn update(&mut self, report: &Report) {
        if let Some(lines) = &mut self.lines {
            let new = lines.new_ones(report);
            // Nobody is left to be told when writing fails.
            let write = || io::stdout().lock().write_all(new.as_bytes()).is_ok();
            match &self.bars {
                _ if new.is_empty() => {}
                Some(bars) => _ = bars.all.suspend(write),
                None => _ = write(),
            }
        }
        if let Some(bars) = &mut self.bars {
            bars.update(report);
        }
    }

    /// Takes the bars away.
    pub(super) fn end(&self) {
        if let Some(bars) = &self.bars {
            for bar in bars.blobs.values() {
                bar.finish_and_clear();
            }
            bars.total.finish_and_clear();
            let _ = bars.all.clear();
        }
    }
}

impl Lines {
    /// The images that have come to their end since the last time, each on a line.
    fn new_ones(&mut self, report: &Report) -> String {
        let rows = report.rows.iter().enumerate();
        let ended = rows.filter(|(_, row)| row.state.is_final());
        let new = ended.filter(|(at, _)| self.told.insert(*at));
        new.map(|(_, row)| line(row, self.is_short)).collect()
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(0));
        total.set_style(style(
            "{spinner} {prefix} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} {msg}",
        ));
        Self {
            all,
            total,
            blobs: HashMap::new(),
        }
    }

    fn update(&mut self, report: &Report) {
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

fn line(row: &Row, is_short: bool) -> String {
    let bytes = |bytes| ByteSize::b(bytes).display().iec();
    let found = row.digest.as_ref().map(|digest| {
        let shown = if is_short {
            short(digest)
        } else {
            digest.to_string()
        };
        let (all, fetched) = (bytes(row.bytes), bytes(row.fetched));
        format!(" {shown} {all}, {fetched} fetched")
    });
    let why = row.reason.as_ref().map(|why| format!(": {why}"));
    format!(
        "{:<9} {}{}{}\n",
        row.state.word(),
        row.reference,
        found.unwrap_or_default(),
        why.unwrap_or_default(),
    )
}

fn short(digest: &Digest) -> String {
    digest.as_str().chars().take(SHORT).collect()
}

/// What came of it all, in a line, and what could not be done beside it in another.
pub(super) fn summary(report: &Report) -> String {
    let bytes = |bytes| ByteSize::b(bytes).display().iec();
    let states = [
        RowState::Done,
        RowState::Partial,
        RowState::Failed,
        RowState::Cancelled,
    ];
    let counts = states.iter().filter_map(|state| {
        let count = report.rows.iter().filter(|row| row.state == *state);
        let count = count.count();
        (count > 0).then(|| format!("{count} {}", state.word()))
    });
    let counts: Vec<_> = counts.collect();
    let trouble = report.trouble.as_ref();
    format!(
        "{}: {} ({}); {} of {} here, {} fetched\n{}",
        report.state.word(),
        counted(report.rows.len(), "image"),
        counts.join(", "),
        bytes(report.present),
        bytes(report.bytes),
        bytes(report.fetched),
        trouble.map_or(String::new(), |trouble| format!("{trouble}\n")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::warm::JobState;

    fn row(name: &str, state: RowState, reason: Option<&str>) -> Row {
        Row {
            reference: format!("docker.io/library/{name}:1"),
            state,
            digest: (state == RowState::Done).then(|| Digest::sha256_of(b"")),
            bytes: 2048,
            present: 2048,
            fetched: 1024,
            fetching: Vec::new(),
            reason: reason.map(str::to_owned),
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        Report {
            id: 1,
            state: JobState::Running,
            began_at: 0,
            ended_at: None,
            list: None,
            pin: None,
            trouble: None,
            bytes: 2048,
            present: 2048,
            fetched: 1024,
            rows,
        }
    }

    #[test]
    fn each_image_is_told_of_once_and_what_came_of_it_all_at_the_end() {
        let mut lines = Lines {
            told: HashSet::new(),
            is_short: true,
        };
        let mut report = report(vec![
            row("a", RowState::Fetching, None),
            row("b", RowState::Failed, Some("it is gone")),
        ]);
        let failed = "failed    docker.io/library/b:1: it is gone\n";
        assert_eq!(lines.new_ones(&report), failed);
        assert_eq!(lines.new_ones(&report), "");
        report.rows[0] = row("a", RowState::Done, None);
        report.state = JobState::Partial;
        assert_eq!(
            lines.new_ones(&report),
            "done      docker.io/library/a:1 sha256:e3b0c44298fc 2.0 KiB, 1.0 KiB fetched\n"
        );
        assert_eq!(
            summary(&report),
            "partial: 2 images (1 done, 1 failed); 2.0 KiB of 2.0 KiB here, 1.0 KiB fetched\n"
        );
        report.rows.truncate(1);
        report.trouble = Some("not pinned".to_owned());
        let told = summary(&report);
        assert!(told.starts_with("partial: 1 image (1 done);"), "{told}");
        assert!(told.ends_with("fetched\nnot pinned\n"), "{told}");
    }
}
