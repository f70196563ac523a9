//! Hashing content anew.

use std::io;

use super::Source;
use crate::oci::{Digest, Verifier};

/// What hashing content anew has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what its digest says; its size in bytes.
    Right(u64),
    /// It is not, and is out of sight now.
    Wrong,
    /// It is not here.
    Gone,
}

/// Bytes read at once.
const PIECE: usize = 256 * 1024;

/// The size in bytes, if they all match `digest`. `pace` is told after each piece how many bytes were read.
pub(super) fn matches(
    source: &Source,
    digest: &Digest,
    pace: &mut dyn FnMut(u64),
) -> io::Result<Option<u64>> {
    let Some(mut verifier) = Verifier::of(digest) else {
        return Ok(None);
    };
    let mut piece = vec![0; PIECE];
    loop {
        match source.read_at(verifier.hashed(), &mut piece)? {
            0 => return Ok(verifier.finish().ok().map(|verified| verified.size())),
            read => {
                verifier.update(&piece[..read]);
                pace(read as u64);
            }
        }
    }
}
