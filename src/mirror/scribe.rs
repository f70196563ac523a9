//! Writes down what was learnt, behind those for whom it was asked.

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;

use crate::store::{Link, Record, RecordKey, Store};

/// One for a store: however many learn, one thread at most waits for the disk, and writes for all of them. Its task ends
/// with it.
pub(super) struct Scribe {
    store: Arc<dyn Store>,
    /// Holds one word: who finds it there is served by the turn that has not begun.
    call: Sender<()>,
}

impl Scribe {
    pub(super) fn new(store: Arc<dyn Store>, runtime: &Handle) -> Self {
        let (call, calls) = channel(1);
        runtime.spawn(write(Arc::downgrade(&store), calls));
        Self { store, call }
    }

    /// Knows these links, and what a tag is, from now on. A catalog that cannot be written costs a later question.
    pub(super) fn learn(&self, links: &[Link], record: Option<(&RecordKey, &Record)>) {
        self.store.learn(links, record);
        // When it is full, or nobody listens any more: the last note of a process that ends takes this along.
        let _ = self.call.try_send(());
    }
}

/// Does not keep the store: whoever waits for its end waits for one turn at most.
async fn write(store: Weak<dyn Store>, mut calls: Receiver<()>) {
    while calls.recv().await.is_some() {
        let Some(store) = store.upgrade() else { return };
        let _ = spawn_blocking(move || write_down(&*store)).await;
    }
}

/// Where that fails it is tried again with the next.
pub(super) fn write_down(store: &dyn Store) {
    if let Err(error) = store.write_down() {
        tracing::warn!(%error, "what was learnt is not written down yet");
    }
}
