//! The room on a file system that is short of it.

use std::cell::Cell;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Ground, Known, Left, Limits, Reservation, Room, SharedRoom, Told, with_room};
use crate::oci::Digest;
use crate::store::{Reason, StoreError, StoreErrorKind};

fn digest(n: u8) -> Digest {
    Digest::sha256_of(&[n])
}

/// A disk of some bytes: what is on it is what the room says, and what others take.
struct Disk {
    room: SharedRoom,
    size: u64,
    others: Cell<u64>,
    /// Takes what is freed, at once.
    is_greedy: bool,
}

impl Disk {
    /// With ten digests of ten bytes.
    fn new(size: u64, min_free: u64) -> Self {
        let limits = Limits {
            min_free,
            ..Limits::default()
        };
        let mut room = Room::new(limits);
        room.known(Known::All);
        for n in 0..10 {
            room.index.admit(&digest(n), 10, u64::from(n));
        }
        Self {
            room: Arc::new(Mutex::new(room)),
            size,
            others: Cell::new(0),
            is_greedy: false,
        }
    }

    fn count(&self) -> u64 {
        self.room.lock().usage().content_count
    }
}

impl Ground for Disk {
    fn free(&self) -> u64 {
        let usage = self.room.lock().usage();
        let used = usage.content_bytes + usage.fills_bytes + self.others.get();
        self.size.saturating_sub(used)
    }

    fn evict(&self, digest: &Digest, reason: Reason) -> Result<Option<u64>, StoreError> {
        let mut room = self.room.lock();
        let size = room.out_of_sight(digest, reason);
        room.removed(size);
        if self.is_greedy {
            self.others.set(self.others.get() + size);
        }
        Ok(Some(size))
    }

    fn drop_left(&self, digest: &Digest) -> Result<(), StoreError> {
        self.room.lock().forget_fill(digest);
        Ok(())
    }
}

#[test]
fn promises_count_against_the_free_space_of_the_file_system() {
    // 100 are taken by content, 20 are left alone: 30 may be promised.
    let disk = Disk::new(150, 20);
    let [one, other] = [11, 12].map(|n| Reservation::open(&disk.room, &digest(n), 0));
    one.reserve(&disk, 20).unwrap();
    assert_eq!(disk.count(), 10);
    // The first has written nothing yet, and shall have its room all the same.
    other.reserve(&disk, 20).unwrap();
    assert_eq!(disk.count(), 9);
    assert_eq!(
        disk.room.lock().usage().evicted.of(Reason::FreeSpace).bytes,
        10
    );
    one.write(&disk, 20).unwrap();
    assert_eq!(disk.count(), 9);
    other.write(&disk, 20).unwrap();
    assert_eq!(disk.free(), 20);
    // More than was promised.
    other.write(&disk, 1).unwrap();
    assert_eq!(disk.count(), 8);
    assert!(
        disk.room.lock().index.size(&digest(1)).is_none(),
        "not the oldest"
    );
}

#[test]
fn what_others_take_faster_than_it_is_freed_does_not_cost_all_that_is_kept() {
    let mut disk = Disk::new(100, 0);
    disk.is_greedy = true;
    let fill = Reservation::open(&disk.room, &digest(11), 0);
    let refused = fill.reserve(&disk, 20).err().unwrap();
    assert_eq!(refused.kind(), StoreErrorKind::Full);
    assert!(disk.count() >= 6, "{} are left", disk.count());
    assert_eq!(disk.room.lock().usage().reserved_bytes, 0);
}

#[test]
fn relief_leaves_as_much_free_as_shall_be() {
    let disk = Disk::new(110, 35);
    let freed = super::relieve(&disk, &disk.room, 100);
    assert_eq!((freed.count, freed.bytes), (3, 30));
    assert_eq!(super::relieve(&disk, &disk.room, 100).count, 0);
}

#[test]
fn a_full_disk_is_cleared_and_tried_once_more() {
    let full = || StoreError::new(StoreErrorKind::Full, "write", "a disk", "full");
    let disk = Disk::new(100, 0);
    let tries = Cell::new(0);
    let fails = |times: u32| {
        tries.set(0);
        let work = || {
            tries.set(tries.get() + 1);
            if tries.get() <= times {
                Err(full())
            } else {
                Ok(())
            }
        };
        with_room(&disk, &disk.room, 1, work)
    };
    fails(0).unwrap();
    assert_eq!((tries.get(), disk.count()), (1, 10));
    fails(1).unwrap();
    // Sixteen megabytes are made free at least, and here is less.
    assert_eq!((tries.get(), disk.count()), (2, 0));
    // There is nothing to clear any more.
    assert!(fails(1).is_err());
    assert_eq!(tries.get(), 1);
    let left = Left {
        bytes: 5,
        touched: 1,
    };
    disk.room.lock().leave_fill(&digest(11), left);
    assert!(fails(2).is_err());
    assert_eq!(tries.get(), 2);
    assert!(!disk.room.lock().is_left(&digest(11)));
}

#[test]
fn what_the_last_process_told_counts_until_it_is_known() {
    let mut room = Room::new(Limits::of(100));
    let told = crate::store::Amount {
        count: 3,
        bytes: 90,
    };
    room.told(told);
    let (token, _) = room.open_fill(&digest(1), 0);
    assert_eq!(room.ask(token, 20, u64::MAX), Told::Full);
    assert_eq!(room.ask(token, 10, u64::MAX), Told::Granted);
    room.found(&digest(2), 40, 1, &[]);
    assert_eq!(room.usage().content_bytes, 90);
    assert_eq!(
        room.ask(token, 20, u64::MAX),
        Told::Full,
        "the rest is not known"
    );
    room.known(Known::All);
    assert_eq!(room.usage().content_bytes, 40);
    assert_eq!(room.ask(token, 60, u64::MAX), Told::Granted);
    assert!(matches!(room.ask(token, 61, u64::MAX), Told::Clear(_)));
    assert_eq!(room.ask(token, 101, u64::MAX), Told::TooLarge);
}
