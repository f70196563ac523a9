//! An upstream that does what upstreams do on bad days, by the dice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::time::sleep;

use super::dice::Dice;
use crate::oci::{Accepts, ByteRange, Digest, RangeSpec, Reference, Repository};
use crate::upstream::{
    BlobBody, BlobHead, ErrorKind, ListBody, Listing, ManifestBody, ManifestHead, Phase, Registry,
    UpstreamError,
};

/// What an upstream may do wrong, in times out of a hundred requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moods {
    pub(super) cuts: u64,
    pub(super) stalls: u64,
    pub(super) refuses: u64,
    pub(super) panics: u64,
    /// Answers with fewer bytes than asked for, and says so.
    pub(super) falls_short: u64,
    pub(super) flips_bits: u64,
    pub(super) lies_about_size: u64,
    pub(super) tells_no_size: u64,
    /// Of a hundred requests for a part, so many are answered with the whole.
    pub(super) ignores_ranges: u64,
    /// Milliseconds between two pieces, at most.
    pub(super) slowness: u64,
}

impl Moods {
    /// Whether each request ends well if it is repeated often enough, and nothing wrong is ever sent.
    pub(super) fn honest(&self) -> bool {
        self.flips_bits == 0 && self.lies_about_size == 0 && self.panics == 0 && self.refuses == 0
    }

    /// Whether nothing at all goes wrong.
    pub(super) fn calm(&self) -> bool {
        self.honest() && self.cuts == 0 && self.stalls == 0
    }
}

pub(super) struct Wild {
    pub(super) blob: Bytes,
    pub(super) moods: Moods,
    pub(super) dice: Dice,
    /// Bytes that were taken from it.
    pub(super) given: Arc<AtomicU64>,
    pub(super) requests: AtomicU64,
}

impl Wild {
    fn error(kind: ErrorKind) -> UpstreamError {
        UpstreamError::new(kind, "wild")
    }

    async fn linger(&self) {
        if self.moods.slowness > 0 {
            sleep(Duration::from_millis(self.dice.below(self.moods.slowness))).await;
        }
    }

    fn range(&self, part: Option<RangeSpec>) -> Result<ByteRange, UpstreamError> {
        let size = self.blob.len() as u64;
        let all = ByteRange::new(0, size);
        match part {
            Some(_) if self.dice.happens(self.moods.ignores_ranges) => Ok(all),
            Some(part) => part
                .resolve(size)
                .ok_or_else(|| Self::error(ErrorKind::Unsatisfiable { size })),
            None => Ok(all),
        }
    }

    /// The bytes of `range` in random pieces, and what goes wrong on their way.
    fn pieces(&self, range: ByteRange) -> Vec<Piece> {
        let index = |offset| usize::try_from(offset).unwrap();
        let mut bytes = self.blob[index(range.start)..index(range.end)].to_vec();
        if !bytes.is_empty() && self.dice.happens(self.moods.flips_bits) {
            let at = index(self.dice.below(range.len()));
            bytes[at] ^= 1;
        }
        let mut end = None;
        if self.dice.happens(self.moods.cuts) {
            end = Some(Piece::Cut);
        } else if self.dice.happens(self.moods.stalls) {
            end = Some(Piece::Stall);
        } else if self.dice.happens(self.moods.panics) {
            end = Some(Piece::Panic);
        }
        if end.is_some() {
            bytes.truncate(index(self.dice.below(range.len() + 1)));
        }
        let largest = self.dice.pick(&[100, 1_000, 10_000, 100_000]);
        let mut left = Bytes::from(bytes);
        let mut pieces = Vec::new();
        while !left.is_empty() {
            let length = index(1 + self.dice.below(largest)).min(left.len());
            pieces.push(Piece::Bytes(left.split_to(length)));
        }
        pieces.extend(end);
        pieces
    }
}

enum Piece {
    Bytes(Bytes),
    Cut,
    Stall,
    Panic,
}

#[async_trait]
impl Registry for Wild {
    async fn get_blob(
        &self,
        _: &Repository,
        _: &Digest,
        part: Option<RangeSpec>,
    ) -> Result<BlobBody, UpstreamError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.linger().await;
        if self.dice.happens(self.moods.refuses) {
            return Err(Self::error(ErrorKind::Status(503)));
        }
        let mut range = self.range(part)?;
        if part.is_some() && range.len() > 1 && self.dice.happens(self.moods.falls_short) {
            range.end = range.start + 1 + self.dice.below(range.len() - 1);
        }
        let mut size = Some(self.blob.len() as u64);
        if self.dice.happens(self.moods.lies_about_size) {
            size = size.map(|size| size + 1 + self.dice.below(3));
        }
        let whole = range.len() == self.blob.len() as u64;
        let silent = whole && self.dice.happens(self.moods.tells_no_size);
        let (dice, slowness) = (self.dice.clone(), self.moods.slowness);
        let given = Arc::clone(&self.given);
        let stream = stream::iter(self.pieces(range)).then(move |piece| {
            let (dice, given) = (dice.clone(), Arc::clone(&given));
            async move {
                if slowness > 0 && dice.happens(30) {
                    sleep(Duration::from_millis(dice.below(slowness))).await;
                }
                match piece {
                    Piece::Bytes(bytes) => {
                        given.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        Ok(bytes)
                    }
                    Piece::Cut => Err(Self::error(ErrorKind::Cut)),
                    Piece::Stall => {
                        sleep(Duration::from_secs(30)).await;
                        Err(Self::error(ErrorKind::Timeout(Phase::Idle)))
                    }
                    Piece::Panic => panic!("wild upstream"),
                }
            }
        });
        Ok(BlobBody {
            offset: range.start,
            end: (!silent).then_some(range.end),
            size: size.filter(|_| !silent),
            sends_parts: self.moods.ignores_ranges < 100,
            stream: stream.boxed(),
        })
    }

    async fn head_blob(&self, _: &Repository, _: &Digest) -> Result<BlobHead, UpstreamError> {
        self.linger().await;
        Ok(BlobHead {
            size: self.blob.len() as u64,
        })
    }

    async fn head_manifest(
        &self,
        _: &Repository,
        _: &Reference,
        _: Accepts,
    ) -> Result<ManifestHead, UpstreamError> {
        Err(Self::error(ErrorKind::NotFound { code: None }))
    }

    async fn get_manifest(
        &self,
        _: &Repository,
        _: &Reference,
        _: Accepts,
    ) -> Result<ManifestBody, UpstreamError> {
        Err(Self::error(ErrorKind::NotFound { code: None }))
    }

    async fn list(&self, _: &Listing, _: Option<&str>) -> Result<ListBody, UpstreamError> {
        Err(Self::error(ErrorKind::NotFound { code: None }))
    }
}
