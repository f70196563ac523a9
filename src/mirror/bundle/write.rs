//! Writing a bundle: an OCI image layout in a tar, the same bytes for the same content.

use std::io::{self, Read, Write};

use tar::{Builder, EntryType, Header};

use super::{BundleError, Cut};
use crate::oci::{Digest, Verifier};
use crate::store::{Source, Store};

/// Bytes read at once.
const PIECE: usize = 1024 * 1024;

/// Writes a bundle of `cut` and gives the writer back; `tell` hears of the bytes of content that were written. Each digest
/// is proved while it is read: what has gone wrong on our disk goes nowhere.
pub fn write<W: Write>(
    cut: &Cut,
    store: &dyn Store,
    out: W,
    tell: &mut dyn FnMut(u64),
) -> Result<W, BundleError> {
    let mut tar = Builder::new(out);
    let mark = br#"{"imageLayoutVersion":"1.0.0"}"#;
    member(&mut tar, "oci-layout", mark.len() as u64, &mark[..])?;
    let index = cut.index();
    member(&mut tar, "index.json", index.len() as u64, &index[..])?;
    for (digest, &size) in &cut.content {
        let content = store.open(digest)?.filter(|content| content.size() == size);
        let verifier = Verifier::of(digest);
        let (Some(content), Some(verifier)) = (content, verifier) else {
            let gone = format!("{digest} was here a moment ago and is gone");
            return Err(BundleError::Missing(vec![gone]));
        };
        let mut proved = Proved {
            source: content.source().clone(),
            verifier,
            tell,
        };
        let path = path(digest);
        member(&mut tar, &path, size, &mut proved)?;
        proved.verifier.finish()?;
    }
    Ok(tar.into_inner()?)
}

/// Where content lies in a layout.
fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm_name(), digest.encoded())
}

/// Nothing but path, size and bytes: no time, no owner.
fn member<W: Write>(
    tar: &mut Builder<W>,
    path: &str,
    size: u64,
    bytes: impl Read,
) -> Result<(), BundleError> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    Ok(tar.append_data(&mut header, path, bytes.take(size))?)
}

/// Content that is hashed while it is read.
struct Proved<'p> {
    source: Source,
    verifier: Verifier,
    tell: &'p mut dyn FnMut(u64),
}

impl Read for Proved<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(PIECE);
        let read = self
            .source
            .read_at(self.verifier.hashed(), &mut buffer[..most])?;
        self.verifier.update(&buffer[..read]);
        (self.tell)(read as u64);
        Ok(read)
    }
}
