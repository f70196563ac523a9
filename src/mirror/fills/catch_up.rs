//! Hashing what came out of order: read back from the file, behind the fetches.

use std::sync::Arc;

use tokio::task::yield_now;

use super::error::FillError;
use super::fetcher::settle;
use super::fill::Fill;
use super::read::read;
use super::state::Ending;
use super::work::SharedWork;
use crate::oci::Verifier;
use crate::store::Source;

/// Bytes read and hashed at once.
const PIECE: u64 = 256 * 1024;

/// The task that hashes `fill`'s prefix on from where `verifier` stands. `None` when the fill has ended; the hash is
/// then of no more use.
pub(super) fn task(
    fill: &Arc<Fill>,
    verifier: Verifier,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let behind = Behind {
        fill: Arc::clone(fill),
        work: fill.work()?,
        verifier: Some(verifier),
        done: false,
    };
    Some(async move {
        let mut behind = behind;
        if let Err(error) = behind.catch_up().await {
            behind.fill.end(Ending::of(error, None));
        }
        behind.done = true;
    })
}

/// Carries the hash. Dropped, it brings it home and lets the fill go on.
struct Behind {
    fill: Arc<Fill>,
    work: SharedWork,
    verifier: Option<Verifier>,
    done: bool,
}

impl Behind {
    async fn catch_up(&mut self) -> Result<(), FillError> {
        let source = self.work.source();
        let prefix = |fill: &Fill| fill.state().borrow().ground.present().prefix();
        while let Some(hash) = &mut self.verifier {
            let prefix = prefix(&self.fill);
            if hash.hashed() >= prefix {
                break;
            }
            hash_up_to(&source, hash, prefix).await?;
        }
        Ok(())
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        if let Some(verifier) = self.verifier.take() {
            self.work.bring_home(verifier);
        }
        if !self.done {
            self.fill.lost_one();
        }
        settle(&self.fill);
    }
}

/// Carries `hash` on over the bytes of a file up to `until`.
pub(super) async fn hash_up_to(
    source: &Source,
    hash: &mut Verifier,
    until: u64,
) -> Result<(), FillError> {
    while hash.hashed() < until {
        let at = hash.hashed();
        let length = usize::try_from(PIECE.min(until - at)).unwrap_or(usize::MAX);
        hash.update(&read(source.clone(), at, length).await?);
        // A long way: others on this thread have their turn.
        yield_now().await;
    }
    Ok(())
}
