//! A blob that is to be here whole, for nobody who reads it: the fill is the one that clients would join.

use std::sync::Arc;

use super::access::Right;
use super::fills::{Entered, Feed, FillError, watch, with_time};
use super::{Mirror, MirrorError};
use crate::oci::Digest;
use crate::store::{Link, StoreError, StoreErrorKind};

/// How many fills of others may break before it is given up.
const BROKEN_FILLS_OF_OTHERS: u32 = 16;

/// What it took to have a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Brought {
    /// The blob's size in bytes.
    pub(super) size: u64,
    /// How many of them came from upstream meanwhile.
    pub(super) fetched: u64,
}

impl Mirror {
    /// Sees to it that the blob of `link` is content; `tell` hears how many bytes of it are here. It waits behind the
    /// clients for a lane.
    ///
    /// Dropped, it leaves a fill that goes on by itself.
    pub(super) async fn bring_blob(
        self: &Arc<Self>,
        right: &Right,
        link: &Link,
        tell: impl Fn(u64) + Send,
    ) -> Result<Brought, MirrorError> {
        let mut fetched = 0;
        for _ in 0..=BROKEN_FILLS_OF_OTHERS {
            if let Some(content) = self.content(&link.digest)? {
                if !self.linked(link) {
                    self.prove(right, link).await?;
                }
                let size = content.size();
                tell(size);
                return Ok(Brought { size, fetched });
            }
            let way = self.fetcher(right, link, Feed::Blob)?;
            let (fill, began) = match self.fills.enter(&way, true) {
                Entered::Began(seat) => {
                    with_time(&seat);
                    (Arc::clone(seat.fill()), true)
                }
                Entered::Joined(seat) => {
                    seat.finish_alone();
                    (Arc::clone(seat.fill()), false)
                }
                // Between the look and now.
                Entered::Content(_) => continue,
                Entered::Held(wait) => {
                    return Err(MirrorError::Quarantined(link.digest.clone(), wait));
                }
            };
            let own = fill.is_of(&way);
            match watch(&fill, began, &tell).await {
                Ok(more) => {
                    fetched += more;
                    if self.content(&link.digest)?.is_none() {
                        return Err(not_kept(&link.digest).into());
                    }
                }
                Err(error) if own => return Err(error.into()),
                // It broke under another's right: its trouble need not be ours.
                Err(_) => {}
            }
        }
        Err(FillError::Abandoned.into())
    }
}

fn not_kept(digest: &Digest) -> StoreError {
    let reason = "it came whole, and the disk did not take it; the log says why";
    StoreError::new(StoreErrorKind::Io, "keep", digest.to_string(), reason)
}
