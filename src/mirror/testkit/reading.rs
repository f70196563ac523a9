//! Bytes to be served, and reading a blob to its end.

use bytes::Bytes;

use crate::mirror::{Blob, FillError, Follower, Run};
use crate::oci::ByteRange;
use crate::store::Source;

/// Bytes asked for at once.
const PIECE: u16 = 10_000;

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
            // By bytes and by runs in turn: both must give the same.
            for turn in 0.. {
                let piece = if turn % 2 == 0 {
                    follower.next(PIECE.into()).await
                } else {
                    by_run(&mut follower).await
                };
                match piece {
                    Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                    Ok(None) => break,
                    Err(error) => return (bytes, Some(error)),
                }
            }
        }
    }
    (bytes, None)
}

/// The next bytes, wherever they are.
async fn by_run(follower: &mut Follower) -> Result<Option<Bytes>, FillError> {
    let run = follower.next_run(PIECE.into()).await?;
    Ok(run.map(|run| read_run(&run)))
}

/// All bytes of `run`, whenever they are asked for.
pub(crate) fn read_run(run: &Run) -> Bytes {
    match run {
        Run::File(source, range) => read_range(source, *range),
        Run::Bytes(bytes) => bytes.clone(),
    }
}

/// All bytes of `range`, which are there.
fn read_range(source: &Source, range: ByteRange) -> Bytes {
    let mut bytes = vec![0; usize::try_from(range.len()).unwrap()];
    let mut filled = 0;
    while filled < bytes.len() {
        let at = range.start + filled as u64;
        let read = source.read_at(at, &mut bytes[filled..]).unwrap();
        assert!(read > 0, "{range:?} ends at {at}");
        filled += read;
    }
    bytes.into()
}

/// All of a blob.
pub(crate) async fn drain_all(blob: &Blob) -> (Vec<u8>, Option<FillError>) {
    drain(blob, ByteRange::new(0, blob.size())).await
}
