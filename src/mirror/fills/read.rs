//! Reading a fill's file: bytes that are known to be in it.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::task::spawn_blocking;

use super::error::FillError;
use crate::store::{Source, StoreError};

/// Reads up to `length` bytes at `offset`, at least one: most often from the page cache, else on a blocking thread.
pub(super) async fn read(source: Source, offset: u64, length: usize) -> Result<Bytes, FillError> {
    let mut buffer = BytesMut::zeroed(length);
    let read = match source.try_read_at(offset, &mut buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let blocking = spawn_blocking(move || {
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
