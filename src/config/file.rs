//! Files that the config names, read whole and within a bound.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The text of the file at `path`, of at most `longest` bytes. An error continues a sentence that begins with the
/// path.
pub(super) fn read(path: &Path, longest: u64) -> Result<String, String> {
    let mut text = String::new();
    File::open(path)
        // One byte more than is allowed tells a file that is too long, or has no end, from one that fits.
        .and_then(|file| file.take(longest + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > longest {
        return Err(format!("is longer than {longest} bytes"));
    }
    Ok(text)
}
