//! Bytes to be served, and reading a blob to its end.

use bytes::Bytes;

use crate::mirror::{Blob, FillError};
use crate::oci::ByteRange;

/// `length` bytes that differ from place to place.
pub(crate) fn noise(length: usize) -> Bytes {
    (0..length)
        .map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap())
        .collect()
}

/// Reads `range` of a blob until its end or its error; what came before the error is in the first half.
pub(crate) async fn drain(blob: &Blob, range: ByteRange) -> (Vec<u8>, Option<FillError>) {
    let mut bytes = Vec::new();
    match blob {
        Blob::Content(content) => {
            bytes = content
                .source()
                .read_all(usize::try_from(content.size()).unwrap())
                .unwrap();
            bytes.truncate(usize::try_from(range.end).unwrap());
            bytes.drain(..usize::try_from(range.start).unwrap());
        }
        Blob::Fill(joined, _) => {
            let mut follower = joined.follow(vec![range]);
            loop {
                match follower.next(10_000).await {
                    Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                    Ok(None) => break,
                    Err(error) => return (bytes, Some(error)),
                }
            }
        }
    }
    (bytes, None)
}

/// All of a blob.
pub(crate) async fn drain_all(blob: &Blob) -> (Vec<u8>, Option<FillError>) {
    drain(blob, ByteRange::new(0, blob.size())).await
}
