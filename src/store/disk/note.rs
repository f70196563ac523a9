//! What is written beside a fill's bytes, as text: a note of how far it got.
//!
//! A note is believed as a whole or not at all. Absent on purpose: the digest, which the file's name says.

use serde::{Deserialize, Serialize};

use crate::oci::{ByteRange, Digest, RangeSet};
use crate::store::{Link, Origin, Progress, Role};

/// The version of the form. Another one is not read: what it told is fetched again.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    version: u32,
    upstream: String,
    repository: String,
    role: Role,
    size: u64,
    wanted: bool,
    /// The boot in which the runs were written without a sync: after another one they may not be on the disk.
    /// `None` when they were synced.
    boot: Option<String>,
    /// First offset and offset behind the last, in order, none empty, none over another.
    runs: Vec<(u64, u64)>,
}

impl Note {
    /// Notes `progress`, synced or written in `boot`.
    pub(super) fn new(progress: &Progress, boot: Option<&str>) -> Self {
        let runs = progress.present.iter().map(|run| (run.start, run.end));
        Self {
            version: VERSION,
            upstream: progress.link.origin.upstream.to_string(),
            repository: progress.link.origin.repository.to_string(),
            role: progress.link.role,
            size: progress.size,
            wanted: progress.wanted,
            boot: boot.map(str::to_owned),
            runs: runs.collect(),
        }
    }

    /// What `text` tells of the fill of `digest` in the boot `now`; `None` when any of it is odd.
    /// Runs that were not synced count in the boot only that wrote them.
    pub(super) fn read(text: &[u8], digest: &Digest, now: &str) -> Option<Progress> {
        let note: Self = serde_json::from_slice(text).ok()?;
        let mut behind = 0;
        for &(start, end) in &note.runs {
            if start < behind || end <= start {
                return None;
            }
            behind = end;
        }
        if note.version != VERSION || note.size < behind {
            return None;
        }
        let count = note.boot.is_none_or(|boot| boot == now);
        let runs = note.runs.iter().filter(|_| count);
        let origin = Origin {
            upstream: note.upstream.into(),
            repository: note.repository.parse().ok()?,
        };
        Some(Progress {
            link: Link {
                origin,
                digest: digest.clone(),
                role: note.role,
            },
            size: note.size,
            present: runs
                .map(|&(start, end)| ByteRange::new(start, end))
                .collect(),
            wanted: note.wanted,
        })
    }
}

/// What two notes of one fill tell together: `newer` says for whom, both say which bytes are here.
/// `None` when they cannot be of the same bytes.
pub(super) fn joined(newer: Option<Progress>, synced: Option<Progress>) -> Option<Progress> {
    let (Some(newer), Some(synced)) = (&newer, &synced) else {
        return newer.or(synced);
    };
    let runs = newer.present.iter().chain(synced.present.iter());
    let present: RangeSet = runs.collect();
    (newer.size == synced.size).then(|| Progress {
        present,
        ..newer.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(runs: &[(u64, u64)]) -> Progress {
        let runs = runs.iter().map(|&(start, end)| ByteRange::new(start, end));
        Progress {
            link: Link {
                origin: Origin {
                    upstream: "docker.io".into(),
                    repository: "library/alpine".parse().unwrap(),
                },
                digest: Digest::sha256_of(b"noted"),
                role: Role::Blob,
            },
            size: 100,
            present: runs.collect(),
            wanted: true,
        }
    }

    fn text(progress: &Progress, boot: Option<&str>) -> String {
        serde_json::to_string(&Note::new(progress, boot)).unwrap()
    }

    fn read(text: &str, now: &str) -> Option<Progress> {
        Note::read(text.as_bytes(), &Digest::sha256_of(b"noted"), now)
    }

    #[test]
    fn the_form_is_kept() {
        let expected = r#"{"version":1,"upstream":"docker.io","repository":"library/alpine","role":"blob","size":100,"wanted":true,"boot":"a","runs":[[0,10],[20,100]]}"#;
        let progress = progress(&[(0, 10), (20, 100)]);
        assert_eq!(text(&progress, Some("a")), expected);
        assert_eq!(read(expected, "a"), Some(progress));
    }

    #[test]
    fn runs_that_were_not_synced_count_in_their_boot_only() {
        let known = progress(&[(0, 10)]);
        assert_eq!(read(&text(&known, Some("a")), "a"), Some(known.clone()));
        assert_eq!(read(&text(&known, Some("a")), "b"), Some(progress(&[])));
        assert_eq!(read(&text(&known, None), "b"), Some(known));
    }

    #[test]
    fn an_odd_note_is_none() {
        let good = text(&progress(&[(0, 10), (20, 100)]), None);
        assert!(read(&good, "a").is_some());
        for (what, with) in [
            (r#""version":1"#, r#""version":2"#),
            (r#""size":100"#, r#""size":99"#),
            (r#""size":100"#, r#""size":-1"#),
            (r#""role":"blob""#, r#""role":"tree""#),
            (r#""repository":"library/alpine""#, r#""repository":"../x""#),
            ("[20,100]", "[9,100]"),
            ("[20,100]", "[20,20]"),
            ("[20,100]", "[100,20]"),
            ("[0,10],[20,100]", "[20,100],[0,10]"),
            (r#""wanted":true,"#, ""),
        ] {
            let odd = good.replace(what, with);
            assert_ne!(odd, good);
            assert_eq!(read(&odd, "a"), None, "{odd}");
        }
        for length in 0..good.len() {
            assert_eq!(read(&good[..length], "a"), None, "cut at {length}");
        }
    }

    #[test]
    fn two_notes_tell_together_what_is_here() {
        let (some, more) = (progress(&[(0, 10)]), progress(&[(5, 20), (30, 40)]));
        let elsewhere = Progress {
            size: 101,
            ..some.clone()
        };
        let unwanted = Progress {
            wanted: false,
            ..more.clone()
        };
        let both = progress(&[(0, 20), (30, 40)]);
        assert_eq!(joined(Some(some.clone()), Some(unwanted)), Some(both));
        assert_eq!(joined(Some(some.clone()), None), Some(some.clone()));
        assert_eq!(joined(None, Some(some)), Some(progress(&[(0, 10)])));
        assert_eq!(joined(Some(elsewhere), Some(more)), None);
        assert_eq!(joined(None, None), None);
    }
}
