//! A bundle in several files: `NAME.000`, `NAME.001` and so on, which are the whole when put one behind the other.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Digits of a piece's number.
const DIGITS: usize = 3;

/// The path of the piece of that number.
fn piece(path: &Path, nth: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{nth:0DIGITS$}"));
    name.into()
}

/// Path of the whole and number of a piece, if it is one.
fn numbered(path: &Path) -> Option<(PathBuf, usize)> {
    let text = path.to_str()?;
    let (stem, number) = text.rsplit_once('.')?;
    let is_number = number.len() >= DIGITS && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| Some((PathBuf::from(stem), number.parse().ok()?)))?
}

/// The bundles that are meant by `paths`, each as the files it lies in: pieces of one are put together, in order, and
/// where only the first is named, the others beside it are taken, too.
///
/// Fails when one in between is missing.
pub(super) fn bundles(paths: &[PathBuf]) -> Result<Vec<Vec<PathBuf>>, String> {
    let mut bundles: Vec<Vec<PathBuf>> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    for path in paths {
        let whole = numbered(path).filter(|_| path.is_file());
        let Some((whole, _)) = whole else {
            // The name that was given to the export.
            if !path.exists() && piece(path, 0).is_file() {
                bundles.push(pieces_of(path)?);
            } else {
                bundles.push(vec![path.clone()]);
            }
            continue;
        };
        if !seen.contains(&whole) {
            bundles.push(pieces_of(&whole)?);
            seen.push(whole);
        }
    }
    Ok(bundles)
}

/// All pieces of a bundle that lie side by side.
fn pieces_of(whole: &Path) -> Result<Vec<PathBuf>, String> {
    let first = piece(whole, 0);
    if !first.is_file() {
        return Err(format!("{}: the first piece is missing", first.display()));
    }
    let pieces = (0..).map(|nth| piece(whole, nth));
    Ok(pieces.take_while(|path| path.is_file()).collect())
}

/// Opens files to be read one behind the other.
pub(super) fn open(files: &[PathBuf]) -> io::Result<Box<dyn Read>> {
    let mut whole: Box<dyn Read> = Box::new(io::empty());
    for path in files {
        let file = File::open(path).map_err(|error| named(path, &error))?;
        whole = Box::new(whole.chain(file));
    }
    Ok(whole)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A bundle that is being written. It appears under its name when it is whole; dropped before, it leaves nothing.
pub(super) struct Output {
    path: PathBuf,
    /// Bytes of a piece; none: it is one file.
    limit: Option<u64>,
    current: Option<BufWriter<File>>,
    /// Bytes in the current file.
    written: u64,
    /// The files so far: under which name they are written, and which they get.
    files: Vec<(PathBuf, PathBuf)>,
}

impl Output {
    /// A bundle at `path`, in pieces of `limit` bytes if there is a limit.
    pub(super) fn new(path: &Path, limit: Option<u64>) -> Self {
        Self {
            path: path.to_owned(),
            limit,
            current: None,
            written: 0,
            files: Vec::new(),
        }
    }

    /// It is whole: the files get their names, which are given.
    pub(super) fn finish(mut self) -> io::Result<Vec<PathBuf>> {
        if self.current.is_none() {
            self.next()?;
        }
        self.close()?;
        let files = std::mem::take(&mut self.files);
        for (new, path) in &files {
            fs::rename(new, path).map_err(|error| named(path, &error))?;
        }
        // What a longer bundle left under these names is no part of this one.
        if self.limit.is_some() {
            let left = (files.len()..).map(|nth| piece(&self.path, nth));
            for path in left.take_while(|path| path.is_file()) {
                fs::remove_file(&path).map_err(|error| named(&path, &error))?;
            }
        }
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }

    fn next(&mut self) -> io::Result<()> {
        self.close()?;
        let path = match self.limit {
            Some(_) => piece(&self.path, self.files.len()),
            None => self.path.clone(),
        };
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let file = File::create(&new).map_err(|error| named(&new, &error))?;
        self.files.push((new, path));
        self.current = Some(BufWriter::with_capacity(1024 * 1024, file));
        self.written = 0;
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        if let Some(current) = self.current.take() {
            let file = current
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.current.is_none() || self.limit == Some(self.written) {
            self.next()?;
        }
        let room = self.limit.map_or(u64::MAX, |limit| limit - self.written);
        let most = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let Some(current) = &mut self.current else {
            return Ok(0);
        };
        let written = current.write(&bytes[..most])?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for (new, _) in &self.files {
            // What stays is overwritten by the next try.
            let _ = fs::remove_file(new);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pieces_are_the_whole_when_put_together_and_stale_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.tar");
        let written = |bytes: &[u8], limit| {
            let mut output = Output::new(&path, limit);
            output.write_all(bytes).unwrap();
            output.finish().unwrap().len()
        };
        assert_eq!(written(b"0123456789", Some(3)), 4);
        let read = |paths: &[PathBuf]| {
            let bundles = bundles(paths).unwrap();
            assert_eq!(bundles.len(), 1);
            let mut bytes = Vec::new();
            open(&bundles[0]).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(read(&[piece(&path, 0)]), b"0123456789");
        assert_eq!(read(std::slice::from_ref(&path)), b"0123456789");
        assert_eq!(read(&[piece(&path, 2), piece(&path, 0)]), b"0123456789");
        assert_eq!(written(b"abcdef", Some(3)), 2);
        assert_eq!(read(&[piece(&path, 0)]), b"abcdef");
        fs::remove_file(piece(&path, 0)).unwrap();
        assert!(bundles(&[piece(&path, 1)]).is_err());
        assert_eq!(written(b"whole", None), 1);
        assert_eq!(read(&[path]), b"whole");
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::new(&folder.path().join("b.tar"), Some(2));
        output.write_all(b"abc").unwrap();
        drop(output);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
