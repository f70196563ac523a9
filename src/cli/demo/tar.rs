//! A tar archive of a few regular files: the least that a layer can be.
//!
//! The same files give the same bytes, so that digests are the same in every run: no owners, no times.
//! Absent: folders, links, and names or sizes that need an extension of the format.

/// The unit of the format: headers are one long, bodies are filled up to a multiple of it.
const BLOCK: usize = 512;

/// A file of the root folder, owned by root.
pub(super) struct File<'a> {
    /// Its name, at most 100 bytes, without a leading slash.
    pub(super) name: &'a str,
    /// Its permissions, such as `0o755`.
    pub(super) mode: u32,
    /// What is in it.
    pub(super) bytes: &'a [u8],
}

/// The archive of `files` (POSIX.1-2001, pax, "ustar Interchange Format").
pub(super) fn archive(files: &[File<'_>]) -> Vec<u8> {
    let room: usize = files.iter().map(|file| file.bytes.len() + 2 * BLOCK).sum();
    let mut archive = Vec::with_capacity(room + 2 * BLOCK);
    for file in files {
        archive.extend_from_slice(&header(file));
        archive.extend_from_slice(file.bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    // Two blocks of zeros are the end.
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

fn header(file: &File<'_>) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, file.name);
    put(100, &format!("{:07o}", file.mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", file.bytes.len()));
    put(136, "00000000000");
    // The checksum is taken as if its own field held spaces.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn tar_reads_it() {
        let archive = archive(&[
            File {
                name: "run",
                mode: 0o755,
                bytes: b"x",
            },
            File {
                name: "block",
                mode: 0o644,
                bytes: &[7; BLOCK],
            },
        ]);
        assert_eq!(archive.len(), 6 * BLOCK);
        let mut tar = Command::new("tar")
            .args(["--list", "--verbose", "--numeric-owner", "--utc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(&archive).unwrap();
        let listed = tar.wait_with_output().unwrap();
        assert!(listed.status.success());
        let listed = String::from_utf8(listed.stdout).unwrap();
        let words: Vec<Vec<&str>> = (listed.lines())
            .map(|line| line.split_whitespace().collect())
            .collect();
        let [run, block] = words.as_slice() else {
            panic!("{listed}");
        };
        assert_eq!(
            run.as_slice(),
            ["-rwxr-xr-x", "0/0", "1", "1970-01-01", "00:00", "run"]
        );
        assert_eq!(
            block.as_slice(),
            ["-rw-r--r--", "0/0", "512", "1970-01-01", "00:00", "block"]
        );
    }
}
