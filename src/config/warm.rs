//! `[[warm]]`: lists of images that are brought before anybody asks, and when.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::reading::{Placed, Reported};
use super::section::Section;
use super::setting::{Refusal, Setting, Value};
use crate::oci::{Wanted, WantedPlatform};

/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 64 * 1024 * 1024;
/// The shortest time between two runs: each asks upstream about every tag on its list.
const SHORTEST: Duration = Duration::from_mins(1);
/// The longest name of a list, in bytes.
const MAX_NAME: usize = 63;

/// One of `[[warm]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmList {
    /// What it is called; no other has that name.
    pub name: String,
    /// What is on it by the config itself.
    pub images: Vec<Wanted>,
    /// A file with more, one on each line; read anew for each run.
    pub file: Option<PathBuf>,
    /// The platforms of indexes; none: all.
    pub platforms: Vec<WantedPlatform>,
    /// Whether what refers to the images is wanted, too.
    pub referrers: bool,
    /// Of the tags that a pattern matches only so many, the newest.
    pub latest: Option<NonZeroUsize>,
    /// Under which name it is pinned.
    pub pin: Option<String>,
    /// Warmed when the process starts.
    pub on_start: bool,
    /// Warmed again and again.
    pub beat: Option<WarmBeat>,
    /// Each run is put off by up to so long.
    pub jitter: Duration,
}

/// When a list is warmed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarmBeat {
    /// So long after the last run began.
    Every(Duration),
    /// At these times, in UTC.
    Cron(Box<Cron>),
}

impl WarmList {
    /// All that is on the list now, each once.
    ///
    /// Fails when its file cannot be read, or has what means no image.
    pub fn wanted(&self) -> Result<Vec<Wanted>, String> {
        let mut wanted = self.images.clone();
        if let Some(path) = &self.file {
            let failed = |why: String| format!("{}: {why}", path.display());
            let text = read_list(path).map_err(|error| failed(error.to_string()))?;
            for line in references(&text) {
                let read = line.parse();
                wanted.push(read.map_err(|error| failed(format!("{line}: {error}")))?);
            }
        }
        let mut each: Vec<Wanted> = Vec::new();
        for it in wanted {
            if !each.contains(&it) {
                each.push(it);
            }
        }
        if each.is_empty() {
            return Err("no image is on it".to_owned());
        }
        Ok(each)
    }
}

fn read_list(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_LIST).read_to_string(&mut text)?;
    Ok(text)
}

/// The references in the text of a list: one on each line; `#` begins a comment.
pub fn references(text: &str) -> Vec<&str> {
    // Within a reference a `#` cannot occur.
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect()
}

pub(super) fn read(root: &mut Section<'_>) -> Result<Vec<WarmList>, Reported> {
    let mut names: Vec<String> = Vec::new();
    root.table_list("warm", |section| {
        let list = read_one(section)?;
        if names.contains(&list.name) {
            return Err(section.refuse("name", "is the name of another list"));
        }
        names.push(list.name.clone());
        Ok(list)
    })
}

fn read_one(section: &mut Section<'_>) -> Result<WarmList, Reported> {
    let name = section.required::<ListName>("name");
    let images = section.list::<Wanted>("images");
    let file = section.optional::<PathBuf>("list");
    let platforms = section.list::<WantedPlatform>("platforms");
    let referrers = section.or("referrers", false);
    let latest = section.optional("latest");
    let pin = section.optional::<ListName>("pin");
    let on_start = section.or("on_start", false);
    let every = section.optional::<Duration>("every");
    let cron = section.optional::<Cron>("cron");
    let jitter = section.optional::<Duration>("jitter");

    let values = |list: Option<Vec<Placed<_>>>| -> Vec<_> {
        let list = list.unwrap_or_default().into_iter();
        list.map(|it| it.value).collect()
    };
    let (images, file, on_start) = (values(images?), file?, on_start?);
    if images.is_empty() && file.is_none() {
        return Err(section.own_error("names no image: say images or list"));
    }
    let beat = match (every?, cron?) {
        (Some(_), Some(_)) => return Err(section.error("cron", "has no effect beside every")),
        (Some(every), None) if every < SHORTEST => {
            return Err(section.refuse("every", "is too often: at least \"1m\""));
        }
        (Some(every), None) => Some(WarmBeat::Every(every)),
        (None, Some(cron)) => Some(WarmBeat::Cron(Box::new(cron))),
        (None, None) if !on_start => {
            return Err(section.own_error("is never warmed: say on_start = true, every or cron"));
        }
        (None, None) => None,
    };
    let mut platforms: Vec<_> = (platforms?.unwrap_or_default().into_iter())
        .map(|it| it.value)
        .collect();
    platforms.sort();
    platforms.dedup();
    Ok(WarmList {
        name: name?.0,
        images,
        file: file.map(|path| section.reading().resolve(&path)),
        platforms,
        referrers: referrers?,
        latest: latest?,
        pin: pin?.map(|it| it.0),
        on_start,
        beat,
        jitter: jitter?.unwrap_or_default(),
    })
}

/// A name that may stand as a label of a metric, and in a log.
struct ListName(String);

impl Setting for ListName {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a name: write at most 63 letters, digits, and any of - _ . /";
        let text = value.text(reason)?;
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        if text.len() > MAX_NAME || !text.bytes().all(legal) {
            return Err(reason.into());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Setting for Wanted {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not an image: write such as \"alpine\", \"ghcr.io/o/r:1\", \"alpine@sha256:...\", or a pattern over tags, \"alpine:3.*\"";
        Ok(value.text(reason)?.parse().map_err(|_| reason)?)
    }
}

impl Setting for WantedPlatform {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a platform: write such as \"linux/amd64\" or \"linux/arm/v7\"";
        Ok(value.text(reason)?.parse().map_err(|_| reason)?)
    }
}

impl Setting for Cron {
    /// The five fields that everybody knows: runs more often than once a minute would not end before the next.
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a cron expression of five fields (minute, hour, day, month, weekday; in UTC), such as \"0 3 * * *\"";
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        Ok(parser.parse(value.text(reason)?).map_err(|_| reason)?)
    }
}
