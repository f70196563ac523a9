//! Writes down what was learnt, behind those for whom it was asked.

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};

use crate::store::{Fact, Link, Store, StoreError, StoreErrorKind};

/// One for a store: however many learn, one thread at most waits for the disk, and writes for all of them. Its task ends
/// with it.
pub(super) struct Scribe {
    store: Arc<dyn Store>,
    /// How many times somebody has learnt something.
    asked: watch::Sender<u64>,
    turns: watch::Receiver<Turn>,
}

/// One time that everything was written down, or was tried to be.
#[derive(Clone, Default)]
struct Turn {
    /// What `asked` said when it began.
    asked: u64,
    trouble: Option<StoreError>,
}

impl Scribe {
    pub(super) fn new(store: Arc<dyn Store>, runtime: &Handle) -> Self {
        let (asked, asks) = watch::channel(0);
        let (told, turns) = watch::channel(Turn::default());
        runtime.spawn(write(Arc::downgrade(&store), asks, told));
        Self {
            store,
            asked,
            turns,
        }
    }

    /// Knows this from now on. A catalog that cannot be written costs a later question.
    pub(super) fn learn(&self, facts: &[Fact]) {
        self.store.learn(facts);
        self.asked.send_modify(|asked| *asked += 1);
    }

    /// Knows from now on that the repositories of these links have shown what they name.
    pub(super) fn shown(&self, links: impl IntoIterator<Item = Link>) {
        let links = links.into_iter().map(|link| Fact::Link(link, true));
        self.learn(&links.collect::<Vec<_>>());
    }

    /// Waits until all that was learnt before is written down, or could not be. The wait is for the disk only; the caller
    /// bounds it.
    pub(super) async fn written(&self) -> Result<(), StoreError> {
        let mut until = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            until = *asked;
        });
        let mut turns = self.turns.clone();
        match turns.wait_for(|turn| turn.asked >= until).await {
            Ok(turn) => turn.trouble.clone().map_or(Ok(()), Err),
            Err(_) => Err(broken("the process is ending")),
        }
    }
}

/// Does not keep the store: whoever waits for its end waits for one turn at most.
async fn write(store: Weak<dyn Store>, mut asks: watch::Receiver<u64>, told: watch::Sender<Turn>) {
    while asks.changed().await.is_ok() {
        let asked = *asks.borrow_and_update();
        let Some(store) = store.upgrade() else { return };
        let written = spawn_blocking(move || store.write_down()).await;
        let trouble = match written {
            Ok(written) => written.err(),
            // The process is ending.
            Err(error) if error.is_cancelled() => return,
            Err(error) => Some(panicked(&error)),
        };
        told.send_modify(|turn| {
            // Once for as long as it lasts: it is tried with everything that is learnt.
            match (&turn.trouble, &trouble) {
                (None, Some(error)) => {
                    tracing::warn!(%error, "what was learnt is not written down yet");
                }
                (Some(_), None) => tracing::info!("what was learnt is written down again"),
                _ => {}
            }
            *turn = Turn { asked, trouble };
        });
    }
}

fn panicked(error: &JoinError) -> StoreError {
    broken(&error.to_string())
}

fn broken(reason: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Io, "write", "the catalog", reason)
}
