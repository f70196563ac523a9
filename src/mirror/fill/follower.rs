//! One reader of a fill: waits for bytes at its own offset and reads them from the fill's file.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::fetch::Fetcher;
use super::state::{FillError, Opening, Phase, State, Step};
use super::table::Fill;
use crate::oci::ByteRange;
use crate::store::{Source, StoreError};

/// A fill that this request takes part in, whoever began it.
#[derive(Clone)]
pub struct Joined {
    fill: Arc<Fill>,
    /// How to go on fetching, should the fill be orphaned: with this request's own right.
    fetcher: Fetcher,
}

impl Joined {
    pub(in crate::mirror) fn new(fill: Arc<Fill>, fetcher: Fetcher) -> Self {
        Self { fill, fetcher }
    }

    /// Waits until an answer may begin, and gives the blob's size in bytes.
    ///
    /// Bounded by the fetch, whose every wait is bounded.
    pub(in crate::mirror) async fn opened(&self) -> Result<u64, FillError> {
        let mut states = self.fill.state().subscribe();
        loop {
            let opening = states.borrow_and_update().opening();
            match opening {
                Opening::Ready(size) => return Ok(size),
                Opening::Failed(error) => return Err(error),
                Opening::TakeOver => self.take_over(),
                Opening::Wait => {}
            }
            // The sender lives in the fill that we hold.
            if states.changed().await.is_err() {
                return Err(FillError::Abandoned);
            }
        }
    }

    /// A reader of `ranges` in their order; each lies within the size. An empty one adds nothing.
    pub fn follow(&self, ranges: Vec<ByteRange>) -> Follower {
        Follower {
            joined: self.clone(),
            left: ranges.into(),
        }
    }

    fn take_over(&self) {
        if self.fill.claim() {
            self.fetcher.clone().begin(Arc::clone(&self.fill));
        }
    }
}

/// One client's reader of ranges of a fill. Nothing but its own `next` moves it.
pub struct Follower {
    joined: Joined,
    /// What is still to be given out; the first range shrinks from its start.
    left: VecDeque<ByteRange>,
}

impl Follower {
    /// The next bytes, at most `most` and at least one; `None` when all ranges have been given whole. They never
    /// reach from one range into the next.
    ///
    /// Waits for bytes that are not here yet. An error means that the rest will not come: what was given out
    /// before must not be passed off as complete.
    pub async fn next(&mut self, most: usize) -> Result<Option<Bytes>, FillError> {
        while self.left.pop_front_if(|range| range.is_empty()).is_some() {}
        let Some(&wanted) = self.left.front() else {
            return Ok(None);
        };
        let (source, range) = self.released(wanted).await?;
        let length = usize::try_from(range.len()).unwrap_or(usize::MAX).min(most);
        let bytes = read(source, range.start, length).await?;
        if let Some(range) = self.left.front_mut() {
            range.start += bytes.len() as u64;
        }
        Ok(Some(bytes))
    }

    /// Waits until some bytes at the start of `wanted` may be given out.
    async fn released(&self, wanted: ByteRange) -> Result<(Source, ByteRange), FillError> {
        let mut states = self.joined.fill.state().subscribe();
        loop {
            // A statement of its own: the borrow must end before anything changes the state.
            let look = Self::look(wanted, &states.borrow_and_update())?;
            match look {
                Look::Read(source, range) => return Ok((source, range)),
                Look::TakeOver => self.joined.take_over(),
                Look::Wait => {}
            }
            if states.changed().await.is_err() {
                return Err(FillError::Abandoned);
            }
        }
    }

    fn look(wanted: ByteRange, state: &State) -> Result<Look, FillError> {
        match (state.step(wanted), &state.source, &state.phase) {
            (Step::Read(range), Some(source), _) => Ok(Look::Read(source.clone(), range)),
            (Step::Fail, _, Phase::Failed(error)) => Err(error.clone()),
            (Step::TakeOver, ..) => Ok(Look::TakeOver),
            _ => Ok(Look::Wait),
        }
    }
}

enum Look {
    Read(Source, ByteRange),
    TakeOver,
    Wait,
}

/// Reads bytes that are known to be in the file: most often from the page cache, else on a blocking thread.
async fn read(source: Source, offset: u64, length: usize) -> Result<Bytes, FillError> {
    let mut buffer = BytesMut::zeroed(length);
    let read = match source.try_read_at(offset, &mut buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let blocking = tokio::task::spawn_blocking(move || {
                let read = source.read_at(offset, &mut buffer);
                (buffer, read)
            });
            let (read_into, read) = blocking.await.map_err(|_| FillError::Abandoned)?;
            buffer = read_into;
            read
        }
        read => read,
    };
    match read {
        Ok(0) => Err(unreadable(&io::ErrorKind::UnexpectedEof.into())),
        Ok(read) => {
            buffer.truncate(read);
            Ok(buffer.freeze())
        }
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &io::Error) -> FillError {
    FillError::Store(StoreError::io("read", "a fill's file", error))
}
