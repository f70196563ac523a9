//! Past the store: when the disk fails, each follower reads on from upstream by itself, from where it stands.
//!
//! It takes no lane: its client sets its pace, and a slow one must not stand in the way of what is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::StreamExt;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::error::FillError;
use super::fill::Fill;
use super::patience::Patience;
use crate::oci::{ByteRange, RangeSpec, Verifier};

/// Pieces on their way between the download and a slow client.
const PIECES: usize = 4;

/// The rest of one range, straight from upstream.
pub(super) struct Past {
    pieces: mpsc::Receiver<Result<Bytes, FillError>>,
    rest: Bytes,
}

impl Past {
    /// Begins a download of `range`, of a blob of `size` bytes. With `hash`, which is of all bytes before the range
    /// as the reader was given them, the range reaches to the blob's end and its last bytes wait for the digest.
    pub(super) fn begin(
        fill: &Arc<Fill>,
        range: ByteRange,
        size: u64,
        hash: Option<Verifier>,
    ) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        let stream = Stream {
            fill: Arc::clone(fill),
            range,
            size,
            hash,
            held: VecDeque::new(),
            sender,
        };
        fill.fetcher().fills.runtime.spawn(stream.run());
        Self {
            pieces,
            rest: Bytes::new(),
        }
    }

    /// The next bytes, at most `most` and at least one.
    pub(super) async fn next(&mut self, most: usize) -> Result<Bytes, FillError> {
        while self.rest.is_empty() {
            let piece = self.pieces.recv().await;
            self.rest = piece.unwrap_or(Err(FillError::Abandoned))?;
        }
        Ok(self.rest.split_to(most.min(self.rest.len())))
    }
}

/// The download's side.
struct Stream {
    fill: Arc<Fill>,
    /// What is still to be brought.
    range: ByteRange,
    size: u64,
    hash: Option<Verifier>,
    /// Bytes that wait for the digest.
    held: VecDeque<Bytes>,
    sender: mpsc::Sender<Result<Bytes, FillError>>,
}

/// The reader has gone away.
struct Gone;

impl Stream {
    /// Ends at once when the reader goes away, also while it waits for upstream.
    async fn run(mut self) {
        let reader = self.sender.clone();
        let end = async {
            match self.bring().await? {
                Ok(()) => self.release().await,
                Err(error) => self.send(Err(error)).await,
            }
        };
        tokio::select! {
            biased;
            () = reader.closed() => {}
            // Nobody may be left to tell.
            _ = end => {}
        }
    }

    async fn bring(&mut self) -> Result<Result<(), FillError>, Gone> {
        let mut patience = Patience::default();
        while !self.range.is_empty() {
            let from = self.range.start;
            let Err(error) = self.download().await? else {
                continue;
            };
            let Some(pause) = patience.pause(&error, self.range.start - from, true) else {
                return Ok(Err(error));
            };
            sleep(pause).await;
        }
        Ok(Ok(()))
    }

    async fn download(&mut self) -> Result<Result<(), FillError>, Gone> {
        let fill = Arc::clone(&self.fill);
        let fetcher = fill.fetcher();
        let ByteRange { start, end } = self.range;
        let part = (start > 0 || end < self.size).then(|| RangeSpec::FromTo(start, end - 1));
        let mut body = match fetcher.ask(part).await {
            Ok(body) => body,
            Err(error) => return Ok(Err(error.into())),
        };
        if let Some(now) = body.size.filter(|size| *size != self.size) {
            let before = self.size;
            return Ok(Err(FillError::SizeChanged { before, now }));
        }
        let mut over = start.saturating_sub(body.offset);
        while !self.range.is_empty() {
            let chunk = match body.stream.next().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Ok(Err(error.into())),
                None => {
                    let (announced, sent) = (end, self.range.start);
                    return Ok(Err(FillError::Length { announced, sent }));
                }
            };
            let skipped = usize::try_from(over).map_or(chunk.len(), |over| over.min(chunk.len()));
            over -= skipped as u64;
            self.take(chunk.slice(skipped..)).await?;
        }
        Ok(Ok(()))
    }

    /// Hashes the next piece, and sends of it what the reader may have.
    async fn take(&mut self, mut piece: Bytes) -> Result<(), Gone> {
        piece.truncate(usize::try_from(self.range.len()).unwrap_or(usize::MAX));
        let start = self.range.start;
        self.range.start += piece.len() as u64;
        let Some(hash) = &mut self.hash else {
            return self.send_piece(piece).await;
        };
        hash.update(&piece);
        let measures = self.fill.fetcher().fills.policy.measures;
        let released = self.size.saturating_sub(measures.hold_back);
        let now = usize::try_from(released.saturating_sub(start)).unwrap_or(usize::MAX);
        let held = piece.split_off(now.min(piece.len()));
        if !held.is_empty() {
            self.held.push_back(held);
        }
        self.send_piece(piece).await
    }

    /// All is here: the bytes that waited for the digest go out if it matches.
    async fn release(&mut self) -> Result<(), Gone> {
        if let Some(hash) = self.hash.take()
            && let Err(mismatch) = hash.finish()
        {
            self.fill.fetcher().fills.mismatched(self.fill.link());
            return self.send(Err(mismatch.into())).await;
        }
        while let Some(piece) = self.held.pop_front() {
            self.send_piece(piece).await?;
        }
        Ok(())
    }

    async fn send_piece(&mut self, piece: Bytes) -> Result<(), Gone> {
        if piece.is_empty() {
            return Ok(());
        }
        self.send(Ok(piece)).await
    }

    async fn send(&mut self, piece: Result<Bytes, FillError>) -> Result<(), Gone> {
        self.sender.send(piece).await.map_err(|_| Gone)
    }
}
