//! Fills that no client waits for: a manifest's blobs ahead of the client, and what an earlier process left.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::access::{Asker, Right};
use super::fills::{Entered, Feed, ahead};
use super::{HeldManifest, Mirror};
use crate::oci::{Manifest, ManifestKind};
use crate::store::{Link, Role, Unfinished};

/// How often unfinished fills are looked through for those too old or too much.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// The most blobs that one manifest has fetched ahead: what comes after them is fetched when it is asked for. Each
/// fill holds a file open, and images have no more layers than this.
const MOST_BLOBS: usize = 128;

impl Mirror {
    /// Takes up what an earlier process left and somebody wanted whole; then drops, now and from time to time, what
    /// is too old or too much. Never ends.
    pub async fn tend_fills(self: Arc<Self>) {
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        for left in self.sweep().await {
            if left.progress.wanted {
                // In the mirror's name: whoever it was for is not here any more.
                let link = &left.progress.link;
                if let Ok(right) = self.right(&Asker::Mirror, &link.origin) {
                    self.fetch_ahead(&right, link);
                }
            }
        }
        loop {
            ticks.tick().await;
            self.sweep().await;
        }
    }

    async fn sweep(&self) -> Vec<Unfinished> {
        let (fills, now) = (Arc::clone(&self.fills), self.clock.now());
        let swept = tokio::task::spawn_blocking(move || fills.sweep(now)).await;
        swept.unwrap_or(Ok(Vec::new())).unwrap_or_else(|error| {
            tracing::warn!(%error, "unfinished downloads cannot be looked through");
            Vec::new()
        })
    }

    /// Begins to fetch the blobs of an image that a client has just been given the manifest of. It is going to ask
    /// for them, in most cases for all; not for those that are made to be read in parts.
    pub(super) fn fetch_blobs_ahead(&self, right: &Right, link: &Link, manifest: &HeldManifest) {
        let eager = self
            .upstream(&link.origin.upstream)
            .is_ok_and(|it| it.eager);
        if !eager {
            return;
        }
        // It was parsed when it came.
        let Ok(manifest) = Manifest::parse(&manifest.bytes, None) else {
            return;
        };
        if manifest.kind != ManifestKind::Image {
            return;
        }
        let blobs = manifest.references.into_iter();
        let blobs = blobs.filter(|it| !it.has_urls && !it.lazy && it.digest.is_verifiable());
        for blob in blobs.take(MOST_BLOBS) {
            if self.fetch_ahead(right, &right.link(&blob.digest, Role::Blob)) {
                self.unasked.remember(&blob.digest);
            }
        }
    }

    /// Begins a fill for nobody, unless there is one, or content. Whether it did.
    fn fetch_ahead(&self, right: &Right, link: &Link) -> bool {
        let feed = match link.role {
            Role::Blob => Feed::Blob,
            Role::Manifest => Feed::Manifest,
        };
        let fetcher = self.fetcher(right, link, feed);
        // Else it is here, under way, or not to be had now: nobody waits for it.
        let Ok(Entered::Began(seat)) = fetcher.map(|it| self.fills.enter(&it, true)) else {
            return false;
        };
        ahead(&seat);
        true
    }
}
