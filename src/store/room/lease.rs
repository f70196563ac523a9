//! What keeps content from being evicted while it is read.

use parking_lot::Mutex;

use std::sync::Arc;

use super::{Room, SharedRoom};
use crate::oci::Digest;
use crate::store::index::Id;

/// One reader of content. As long as one lives, its content is no victim.
pub(in crate::store) struct Lease {
    room: SharedRoom,
    id: Id,
}

impl Lease {
    /// Counts a reader of `digest`; `None` for a digest that is never kept.
    pub(in crate::store) fn take(room: &SharedRoom, digest: &Digest) -> Option<Self> {
        let id = room.lock().index.read(digest)?;
        Some(Self::of(room, id))
    }

    /// The reader that was counted as `id`.
    pub(in crate::store) fn of(room: &Arc<Mutex<Room>>, id: Id) -> Self {
        Self {
            room: Arc::clone(room),
            id,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.room.lock().index.left(self.id);
    }
}
