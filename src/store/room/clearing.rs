//! Making room: what [`Room`](super::Room) decides, carried out.

use super::fills::Token;
use super::{Going, SharedRoom, Told};
use crate::oci::Digest;
use crate::store::retention::{Amount, Reason};
use crate::store::{StoreError, StoreErrorKind};

/// How often room is made for one who asks: each time others may have taken it.
const ROUNDS: usize = 64;

/// How much room is made at least when the disk says that it is full, in bytes.
const FULL_DISK: u64 = 16 * 1024 * 1024;

/// Where content and fills lie: what removes them.
pub(in crate::store) trait Ground {
    /// Bytes that the file system would still take; as many as there are when that cannot be told.
    fn free(&self) -> u64;

    /// Takes content out of sight, then its bytes away, if the room still says that it may go. Gives its bytes.
    fn evict(&self, digest: &Digest, reason: Reason) -> Result<Option<u64>, StoreError>;

    /// Removes what an unfinished fill left, if none uses it.
    fn drop_left(&self, digest: &Digest) -> Result<(), StoreError>;
}

/// Sees to it that fill `token` of `digest` may have `whole` bytes: evicts just what must go for that.
///
/// Fails with [`StoreErrorKind::TooLarge`] when it never can, and with [`StoreErrorKind::Full`] when it cannot now.
pub(super) fn reserve(
    ground: &impl Ground,
    room: &SharedRoom,
    token: Token,
    whole: u64,
    digest: &Digest,
) -> Result<(), StoreError> {
    let refused = |kind, reason: &str| {
        let operation = "make room for";
        Err(StoreError::new(kind, operation, digest.to_string(), reason))
    };
    let mut stalled = false;
    for _ in 0..ROUNDS {
        let free = ground.free();
        let told = room.lock().ask(token, whole, free);
        match told {
            Told::Granted => return Ok(()),
            Told::TooLarge => {
                let reason = format!("its {whole} bytes are more than the capacity");
                return refused(StoreErrorKind::TooLarge, &reason);
            }
            Told::Full => break,
            Told::Clear(going) => {
                clear(ground, &going);
                // Space that others take as fast as it is made would cost all that is kept.
                let in_vain = going.reason == Reason::FreeSpace && ground.free() <= free;
                if in_vain && std::mem::replace(&mut stalled, in_vain) {
                    break;
                }
            }
        }
    }
    refused(
        StoreErrorKind::Full,
        "not enough of what is kept may go now",
    )
}

/// Evicts down to the low mark where the high one is passed, and until as much of the disk is free as shall be.
pub(in crate::store) fn relieve(ground: &impl Ground, room: &SharedRoom, now: u64) -> Amount {
    room.lock().hear(now);
    let free = ground.free();
    let going = room.lock().relief(free);
    going.map_or_else(Amount::default, |going| clear(ground, &going))
}

/// Does `work` that takes `bytes` of the disk; once more, after eviction, if the disk is full.
pub(in crate::store) fn with_room<T>(
    ground: &impl Ground,
    room: &SharedRoom,
    bytes: u64,
    work: impl Fn() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match work() {
        Err(error) if error.kind() == StoreErrorKind::Full => {
            let going = room.lock().going(bytes.max(FULL_DISK), Reason::FreeSpace);
            let Some((going, _)) = going else {
                return Err(error);
            };
            clear(ground, &going);
            work()
        }
        done => done,
    }
}

/// Removes `digests`, as far as they are here, neither pinned nor being read. What cannot be removed stays, and is told.
pub(in crate::store) fn remove(ground: &impl Ground, digests: &[Digest], reason: Reason) -> Amount {
    let going = Going {
        fills: Vec::new(),
        content: digests.to_vec(),
        reason,
    };
    clear(ground, &going)
}

fn clear(ground: &impl Ground, going: &Going) -> Amount {
    let mut freed = Amount::default();
    for digest in &going.fills {
        match ground.drop_left(digest) {
            Ok(()) => {
                tracing::info!(%digest, "an unfinished download was dropped: its room was needed");
            }
            Err(error) => tracing::warn!(%error, "an unfinished download stays"),
        }
    }
    for digest in &going.content {
        match ground.evict(digest, going.reason) {
            Ok(Some(bytes)) => {
                tracing::debug!(%digest, bytes, reason = going.reason.name(), "evicted");
                freed.add(bytes);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "content stays that was to be evicted"),
        }
    }
    freed
}
