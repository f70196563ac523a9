//! Single flight for small answers: many who ask the same at once are one question.
//!
//! The question is a task of its own on the fetch runtime, so it depends on no client: one that goes away
//! neither stops it nor leaves the others waiting. Nothing is remembered: who asks after the answer asks anew.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// What a question will bring; clones wait for the same.
pub(super) type Answer<V> = Shared<BoxFuture<'static, Option<V>>>;

/// Questions under way, by key.
pub(super) struct Flights<K, V: Clone> {
    runtime: Handle,
    under_way: Arc<Mutex<HashMap<K, Answer<V>>>>,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            under_way: Arc::default(),
        }
    }

    /// The answer to `key`: from the question under way, or by beginning `ask`.
    ///
    /// Returns the answer and whether this call began it; `None` when the task panicked or its runtime went down.
    pub(super) async fn run<F>(&self, key: &K, ask: impl FnOnce() -> F) -> (Option<V>, bool)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (answer, began) = self.begin(key, ask);
        (answer.await, began)
    }

    /// The same without waiting: the question is under way when this returns, whether its answer is awaited or not.
    pub(super) fn begin<F>(&self, key: &K, ask: impl FnOnce() -> F) -> (Answer<V>, bool)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let answer: Answer<V> = receiver.map(Result::ok).boxed().shared();
        let joined = {
            let mut under_way = self.under_way.lock();
            let joined = under_way.get(key).cloned();
            if joined.is_none() {
                under_way.insert(key.clone(), answer.clone());
            }
            joined
        };
        if let Some(answer) = joined {
            return (answer, false);
        }
        // Begun outside the lock: a runtime that is going down drops the task at once, and `Leave` locks.
        let leave = Leave {
            under_way: Arc::clone(&self.under_way),
            key: key.clone(),
        };
        let ask = ask();
        self.runtime.spawn(async move {
            let value = ask.await;
            // Out of the table first, so that who asks after the answer asks anew.
            drop(leave);
            // Nobody may be left to hear it.
            let _ = sender.send(value);
        });
        (answer, true)
    }
}

#[cfg(test)]
impl<K, V: Clone> Flights<K, V> {
    /// Whether no question is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.lock().is_empty()
    }
}

/// Takes the question out of the table when it ends, however it ends.
struct Leave<K: Eq + Hash, V: Clone> {
    under_way: Arc<Mutex<HashMap<K, Answer<V>>>>,
    key: K,
}

impl<K: Eq + Hash, V: Clone> Drop for Leave<K, V> {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_are_one_question() {
        let flights = Arc::new(Flights::<&str, u32>::new(Handle::current()));
        let asked = Arc::new(AtomicU32::new(0));
        let (go, gate) = oneshot::channel::<()>();
        let mut gate = Some(gate);
        let mut waiting = Vec::new();
        for _ in 0..32 {
            let (asked, gate) = (Arc::clone(&asked), gate.take());
            let ask = move || async move {
                asked.fetch_add(1, Ordering::SeqCst);
                gate.unwrap().await.unwrap();
                7
            };
            let flights = Arc::clone(&flights);
            waiting.push(Box::pin(async move { flights.run(&"k", ask).await }));
            // One poll each: all are in the table before the gate opens.
            assert!(waiting.last_mut().unwrap().now_or_never().is_none());
        }
        // The first client leaves; the question goes on.
        drop(waiting.remove(0));
        go.send(()).unwrap();
        for one in waiting {
            assert_eq!(one.await, (Some(7), false));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(flights.run(&"k", || async { 8 }).await, (Some(8), true));
    }

    #[tokio::test]
    async fn a_question_that_panics_ends_and_is_asked_anew() {
        let flights = Flights::<&str, u32>::new(Handle::current());
        assert_eq!(
            flights.run(&"k", || async { panic!("on purpose") }).await,
            (None, true)
        );
        assert_eq!(flights.run(&"k", || async { 9 }).await, (Some(9), true));
    }
}
