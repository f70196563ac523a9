//! The whole demo in this process, read from what it shows.
#![allow(clippy::unwrap_used)]

use std::future::ready;
use std::path::PathBuf;

use super::*;

const ANY: Ports = Ports {
    registry: 0,
    admin: 0,
};

#[test]
fn once_it_shows_a_hit_for_each_second_pull_and_ends() {
    let mut out = Vec::new();
    give(ANY, true, &mut out, || Ok(pending())).unwrap();
    let shown = String::from_utf8(out).unwrap();
    let rows: Vec<Vec<&str>> = (shown.lines())
        .filter(|line| line.starts_with("  library/"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 7, "{shown}");
    for (first, second) in [(0, 1), (2, 3), (4, 5)] {
        let (first, second) = (&rows[first], &rows[second]);
        assert_eq!(
            (first[1], *first.last().unwrap()),
            ("1st", "miss"),
            "{shown}"
        );
        // What came to the client came over the uplink.
        assert_eq!(first[2..4], first[4..6], "{shown}");
        assert_eq!(
            (second[1], *second.last().unwrap()),
            ("2nd", "hit"),
            "{shown}"
        );
        assert_eq!(second[4..6], ["0", "B"], "{shown}");
    }
    assert_eq!(rows[6][..4], ["library/herd", "8", "at", "once"]);
    assert_eq!(rows[6][6..8], ["8.0", "MiB"], "{shown}");
    assert!(shown.lines().all(|line| line.len() < 80), "{shown}");
}

#[test]
fn asked_to_end_it_ends_at_once_and_leaves_no_folder() {
    let mut out = Seen::default();
    let asked = std::sync::Arc::clone(&out.asked);
    let stop = move || Ok(async move { asked.notified().await });
    give(ANY, false, &mut out, stop).unwrap();
    let folder = out.folder().unwrap();
    assert!(folder.starts_with(std::env::temp_dir()));
    assert!(!folder.exists());
}

#[test]
fn nobody_is_pulled_for_when_the_end_comes_first() {
    let mut out = Vec::new();
    give(ANY, false, &mut out, || Ok(ready(()))).unwrap();
    assert!(!String::from_utf8(out).unwrap().contains("Try it"));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = Ports {
        registry: taken.local_addr().unwrap().port(),
        admin: 0,
    };
    let error = give(ports, true, &mut Vec::new(), || Ok(pending())).unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"));
}

/// Keeps what is shown, and asks for the end when all of it was.
#[derive(Default)]
struct Seen {
    shown: Vec<u8>,
    asked: std::sync::Arc<tokio::sync::Notify>,
}

impl Seen {
    /// The folder of the demo, which was there while it was shown.
    fn folder(&self) -> Option<PathBuf> {
        let shown = str::from_utf8(&self.shown).unwrap();
        let line = shown.lines().find(|line| line.starts_with("    /"))?;
        Some(PathBuf::from(line.trim()))
    }
}

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shown.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(folder) = self.folder() {
            assert!(folder.join("registries.conf").exists());
            assert!(folder.join("data").exists());
            self.asked.notify_one();
        }
        Ok(())
    }
}
