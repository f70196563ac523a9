//! What is wrong with a config file: every fault of one reading, in the order of the file.
//!
//! A message may quote what the file says. What came out of an environment variable is quoted only
//! when it was understood as an address or a host name, what came out of a password file never.

use std::fmt;

/// Every fault found in one reading of a config; at least one.
///
/// Shown as one line per fault, `SOURCE:LINE:COLUMN: KEY.PATH: what is wrong`, sorted by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    source: String,
    errors: Vec<ConfigError>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where in the text; none when the fault is that something is not there.
    pub position: Option<Position>,
    /// The key the fault is about, as TOML writes it (`upstreams."docker.io".tags.ttl`);
    /// empty when it is about the text as a whole.
    pub path: String,
    /// What is wrong, and where it is not plain, what would be right.
    pub message: String,
}

/// A place in the text; both counts begin at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl ConfigErrors {
    /// Sorts `errors`; `source` is what the lines begin with, usually the name of the file.
    pub(super) fn new(source: impl Into<String>, mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by(|a, b| {
            let order = |e: &ConfigError| (e.position.is_none(), e.position);
            order(a)
                .cmp(&order(b))
                .then_with(|| a.path.cmp(&b.path))
                .then_with(|| a.message.cmp(&b.message))
        });
        Self {
            source: source.into(),
            errors,
        }
    }

    /// The same faults under another source name.
    pub(super) fn of(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// The faults, in the order of the file; those without a position come last.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }
}

impl Position {
    /// The place of byte `offset` of `text`.
    pub(super) fn of(offset: usize, text: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.source)?;
            if let Some(Position { line, column }) = error.position {
                write!(f, "{line}:{column}:")?;
            }
            if !error.path.is_empty() {
                write!(f, " {}:", error.path)?;
            }
            write!(f, " {}", error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "a = 1\nbä = 2\n";
        assert_eq!(Position::of(0, text), Position { line: 1, column: 1 });
        assert_eq!(Position::of(6, text), Position { line: 2, column: 1 });
        // 'ä' is two bytes and one column.
        assert_eq!(Position::of(9, text), Position { line: 2, column: 3 });
        assert_eq!(Position::of(999, text), Position { line: 3, column: 1 });
    }

    #[test]
    fn faults_are_shown_in_the_order_of_the_file() {
        let error = |position: Option<(usize, usize)>, path: &str| ConfigError {
            position: position.map(|(line, column)| Position { line, column }),
            path: path.to_owned(),
            message: "is wrong".to_owned(),
        };
        let errors = ConfigErrors::new(
            "r.toml",
            vec![
                error(None, "store.capacity"),
                error(Some((10, 1)), "z"),
                error(Some((2, 7)), ""),
            ],
        );
        assert_eq!(
            errors.to_string(),
            "r.toml:2:7: is wrong\nr.toml:10:1: z: is wrong\nr.toml: store.capacity: is wrong"
        );
    }
}
