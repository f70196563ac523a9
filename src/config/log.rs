//! `[log]`: how much the program tells, and in which form.

use tracing::Level;

use super::reading::Reported;
use super::section::Section;
use super::setting::{Refusal, Setting, Value};

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: Level,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl Setting for LogFormat {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a log format: write text or json";
        match value.text(reason)? {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(reason.into()),
        }
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Result<Log, Reported> {
    let format = section.or("format", LogFormat::Text);
    let level = section.or("level", Level::INFO);
    Ok(Log {
        format: format?,
        level: level?,
    })
}
