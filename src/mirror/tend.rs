//! What the store needs from time to time: the time, room, and its uses noted.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Mirror;
use crate::oci::Digest;

/// How often room is made ahead of those who need it.
const RELIEVE_EVERY: Duration = Duration::from_secs(5);

/// How many of those turns pass between two notes of what was used.
const NOTE_EVERY: u32 = 12;

impl Mirror {
    /// Evicts what must go, and notes what was used, from time to time. Never ends.
    pub async fn tend_store(self: Arc<Self>) {
        let mut ticks = interval(RELIEVE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0_u32;
        loop {
            ticks.tick().await;
            turn = turn.wrapping_add(1);
            let (store, now) = (Arc::clone(&self.store), self.clock.now());
            let evicted = tokio::task::spawn_blocking(move || store.relieve(now)).await;
            if let Ok(evicted) = evicted
                && evicted.count > 0
            {
                tracing::info!(digests = evicted.count, bytes = evicted.bytes, "evicted");
            }
            if turn.is_multiple_of(NOTE_EVERY) {
                self.uses_noted().await;
            }
        }
    }

    /// Notes what was learnt and what was used: now and then, and when the process ends. Losing it costs questions and the
    /// order of eviction.
    pub async fn uses_noted(&self) {
        let store = Arc::clone(&self.store);
        let noted = tokio::task::spawn_blocking(move || {
            let written = store.write_down();
            written.and(store.note_uses())
        })
        .await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(%error, "not all that was learnt and used is noted");
        }
    }

    /// A client was given this, or told that it is here.
    pub(super) fn used(&self, digest: &Digest) {
        self.store.used(digest, self.clock.now());
    }
}
