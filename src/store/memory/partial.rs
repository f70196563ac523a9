//! A fill's bytes in memory.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};

use super::{Remembered, Shared};
use crate::oci::{Digest, Verified};
use crate::store::examine::references;
use crate::store::partial::{Stage, check_proof};
use crate::store::progress::check_progress;
use crate::store::room::Reservation;
use crate::store::{Content, Partial, Progress, Source, StoreError, StoreErrorKind};

pub(super) struct MemoryPartial {
    pub(super) digest: Digest,
    pub(super) bytes: Arc<RwLock<Vec<u8>>>,
    pub(super) reservation: Reservation,
    pub(super) shared: Arc<Shared>,
    pub(super) stage: Mutex<Stage>,
}

/// The stamp that a file system gives, in Unix seconds.
fn stamp() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

impl Partial for MemoryPartial {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let too_far = || {
            StoreError::new(
                StoreErrorKind::Full,
                "write",
                self.digest.to_string(),
                "too far",
            )
        };
        let from = usize::try_from(offset).map_err(|_| too_far())?;
        let end = from.checked_add(bytes.len()).ok_or_else(too_far)?;
        self.reservation.write(&*self.shared, bytes.len() as u64)?;
        let mut file = self.bytes.write();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn reserve(&self, size: u64) -> Result<(), StoreError> {
        self.reservation.reserve(&*self.shared, size)
    }

    fn source(&self) -> Source {
        Source::memory(Arc::clone(&self.bytes))
    }

    fn checkpoint(&self, progress: &Progress, _durable: bool) -> Result<(), StoreError> {
        check_progress(progress, &self.digest)?;
        let mut stage = self.stage.lock();
        if *stage == Stage::Gone {
            return Ok(());
        }
        let remembered = Remembered {
            bytes: Arc::clone(&self.bytes),
            progress: progress.clone(),
            touched: stamp(),
        };
        let unfinished = &mut self.shared.kept.lock().unfinished;
        unfinished.insert(self.digest.clone(), remembered);
        *stage = Stage::Remembered;
        Ok(())
    }

    fn discard(&self) -> Result<(), StoreError> {
        let mut stage = self.stage.lock();
        if *stage == Stage::Remembered {
            self.shared.kept.lock().unfinished.remove(&self.digest);
        }
        *stage = Stage::Gone;
        self.reservation.close(None);
        Ok(())
    }

    fn commit(&self, verified: &Verified) -> Result<Content, StoreError> {
        let mut stage = self.stage.lock();
        let size = self.bytes.read().len() as u64;
        check_proof(verified, &self.digest, size, *stage)?;
        let source = self.source();
        let references = references(&source, size);
        let mut kept = self.shared.kept.lock();
        let content = (source.clone(), size);
        kept.content.insert(self.digest.clone(), content);
        if *stage == Stage::Remembered {
            kept.unfinished.remove(&self.digest);
        }
        *stage = Stage::Gone;
        let lease = self.reservation.admit(size, stamp(), &references);
        Ok(Content::new(source, size, lease))
    }
}

impl Drop for MemoryPartial {
    fn drop(&mut self) {
        if *self.stage.get_mut() == Stage::Remembered {
            // Locked, so that nobody looks at the one without the other.
            let kept = self.shared.kept.lock();
            let left = kept.unfinished.get(&self.digest);
            self.reservation.close(left.map(|left| left.touched));
        }
    }
}
