//! What the demo shows of its pulls: a table, and whether each row is as promised.

use std::io::{self, Write};
use std::time::Duration;

use bytesize::ByteSize;

use super::outcomes::Outcomes;

/// Which pull of an image a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// The first one: nothing is here yet.
    First,
    /// The second one, by another client.
    Second,
    /// The first ones, by as many clients at once.
    Herd(usize),
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The repository.
    pub(super) image: &'static str,
    pub(super) round: Round,
    /// The outcomes of all answers.
    pub(super) outcomes: Outcomes,
    /// Bytes of bodies that the clients got, all of them together.
    pub(super) received: u64,
    /// Bytes of bodies that the upstream sent.
    pub(super) uplink: u64,
    /// Until the last client had all.
    pub(super) time: Duration,
}

impl Row {
    /// What is not as promised, if something is not.
    pub(super) fn fault(&self) -> Option<String> {
        let (outcome, uplink) = match self.round {
            Round::First => ("miss", self.received),
            Round::Second => ("hit", 0),
            Round::Herd(clients) => ("miss", self.received / clients.max(1) as u64),
        };
        let place = format!("{}, {}", self.image, self.round.name());
        if self.uplink != uplink {
            return Some(format!(
                "{place}: {} bytes came over the uplink instead of {uplink}",
                self.uplink
            ));
        }
        if self.outcomes.dearest() != outcome {
            let outcomes = &self.outcomes;
            return Some(format!("{place}: {outcomes} instead of {outcome}"));
        }
        None
    }

    /// Writes the row as a line of the table.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let outcome = match self.round {
            // What a herd is about is that one fetches and the others join.
            Round::Herd(_) => self.outcomes.to_string(),
            Round::First | Round::Second => self.outcomes.dearest().to_owned(),
        };
        line(
            out,
            [
                self.image,
                &self.round.name(),
                &size(self.received),
                &size(self.uplink),
                &time(self.time),
                &outcome,
            ],
        )
    }
}

impl Round {
    fn name(self) -> String {
        match self {
            Self::First => "1st".to_owned(),
            Self::Second => "2nd".to_owned(),
            Self::Herd(clients) => format!("{clients} at once"),
        }
    }
}

/// Writes the names of the columns.
pub(super) fn head(out: &mut dyn Write) -> io::Result<()> {
    let names = [
        "image",
        "pull",
        "to clients",
        "over uplink",
        "time",
        "outcome",
    ];
    line(out, names)
}

fn line(out: &mut dyn Write, cells: [&str; 6]) -> io::Result<()> {
    let [image, pull, received, uplink, time, outcome] = cells;
    writeln!(
        out,
        "  {image:<14} {pull:<9} {received:>10}  {uplink:>11}  {time:>8}  {outcome}"
    )?;
    // Each row is seen when it is known, also through a pipe.
    out.flush()
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis().max(1))
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn row(round: Round, words: &[&str], received: u64, uplink: u64) -> Row {
        let mut outcomes = Outcomes::default();
        for word in words {
            outcomes.note(word);
        }
        Row {
            image: "library/big",
            round,
            outcomes,
            received,
            uplink,
            time: Duration::from_millis(12),
        }
    }

    #[test]
    fn the_promises() {
        for kept in [
            row(Round::First, &["miss"], 10, 10),
            row(Round::Second, &["hit"], 10, 0),
            row(Round::Herd(8), &["miss", "join"], 80, 10),
        ] {
            assert_eq!(kept.fault(), None);
        }
        for (broken, fault) in [
            (
                row(Round::First, &["miss"], 10, 20),
                "library/big, 1st: 20 bytes came over the uplink instead of 10",
            ),
            (
                row(Round::First, &["bypass"], 10, 10),
                "library/big, 1st: bypass instead of miss",
            ),
            (
                row(Round::Second, &["hit"], 10, 1),
                "library/big, 2nd: 1 bytes came over the uplink instead of 0",
            ),
            (
                row(Round::Second, &["revalidated"], 10, 0),
                "library/big, 2nd: revalidated instead of hit",
            ),
            (
                row(Round::Herd(8), &["miss"], 80, 80),
                "library/big, 8 at once: 80 bytes came over the uplink instead of 10",
            ),
        ] {
            assert_eq!(broken.fault().as_deref(), Some(fault));
        }
    }

    #[test]
    fn the_table_is_in_columns() {
        let mut out = Vec::new();
        head(&mut out).unwrap();
        row(Round::First, &["miss", "hit"], 64 << 20, 64 << 20)
            .write(&mut out)
            .unwrap();
        row(Round::Herd(8), &["miss", "join", "hit"], 999, 0)
            .write(&mut out)
            .unwrap();
        let table = "  \
  image          pull      to clients  over uplink      time  outcome
  library/big    1st         64.0 MiB     64.0 MiB     12 ms  miss
  library/big    8 at once      999 B          0 B     12 ms  miss, join, hit
";
        assert_eq!(String::from_utf8(out).unwrap(), table);
        assert!(table.lines().all(|line| line.len() < 80));
    }

    #[test]
    fn times_are_short() {
        for (millis, text) in [
            (0, "1 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (61_000, "61.0 s"),
        ] {
            assert_eq!(time(Duration::from_millis(millis)), text);
        }
    }
}
