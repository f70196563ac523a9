//! The room of a data folder, and what changes names in it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::layout::Layout;
use crate::oci::Digest;
use crate::store::room::{Ground, Limits, Room, SharedRoom, with_room};
use crate::store::{Reason, StoreError};

/// Shared by the store and its fills.
pub(super) struct Space {
    pub(super) layout: Layout,
    pub(super) room: SharedRoom,
    /// Held while content gets its name or loses it, and while unfinished fills are taken up or dropped: what the room
    /// says of them is true as long. Locked before the room, which is never held over I/O: a hit waits for no disk.
    pub(super) changes: Mutex<()>,
}

impl Space {
    pub(super) fn new(layout: Layout, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            layout,
            room: Arc::new(Mutex::new(Room::new(limits))),
            changes: Mutex::default(),
        })
    }

    /// Does `work` that takes some `bytes`; once more, after eviction, if the disk is full.
    pub(super) fn with_room<T>(
        &self,
        bytes: u64,
        work: impl Fn() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        with_room(self, &self.room, bytes, work)
    }

    /// Takes wrong content out of sight; no error when it is not there.
    pub(super) fn set_aside(&self, digest: &Digest) -> Result<(), StoreError> {
        let _changes = self.changes.lock();
        let was_there = self.layout.set_aside(digest)?;
        let mut room = self.room.lock();
        if was_there {
            room.set_aside(digest);
        } else {
            room.index.remove(digest);
        }
        Ok(())
    }

    /// Content that should be here is not: other hands have removed it, if it is true.
    pub(super) fn missing(&self, digest: &Digest) {
        let _changes = self.changes.lock();
        if !is_there(&self.layout.content(digest)) {
            self.room.lock().index.remove(digest);
        }
    }
}

impl Ground for Space {
    fn free(&self) -> u64 {
        self.layout.free()
    }

    fn evict(&self, digest: &Digest, reason: Reason) -> Result<Option<u64>, StoreError> {
        let (content, leaving) = (self.layout.content(digest), self.layout.leaving(digest));
        let changes = self.changes.lock();
        if !self.room.lock().index.may_go(digest) {
            return Ok(None);
        }
        // A rename first: to remove a large file takes its time, and meanwhile the digest may come back.
        rename(&content, &leaving)?;
        let mut room = self.room.lock();
        if !room.index.may_go(digest) {
            drop(room);
            // Somebody began to read it a moment ago.
            rename(&leaving, &content)?;
            return Ok(None);
        }
        let size = room.out_of_sight(digest, reason);
        drop((room, changes));
        match fs::remove_file(&leaving) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // It goes on counting, and the next start tries again.
                Err(StoreError::io("remove", leaving.display(), &error))
            }
            _ => {
                self.room.lock().removed(size);
                Ok(Some(size))
            }
        }
    }

    fn drop_left(&self, digest: &Digest) -> Result<(), StoreError> {
        let _changes = self.changes.lock();
        if self.room.lock().is_left(digest) {
            self.layout.fill(digest).remove()?;
            self.room.lock().forget_fill(digest);
        }
        Ok(())
    }
}

/// What is not there any more has no other name either.
fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("rename", from.display(), &error))
        }
        _ => Ok(()),
    }
}

pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_file())
}
