//! What a tap can do to an answer, and where in it.
//!
//! Places are bytes of the blob, not of one answer: a fetch that resumes with a `Range` meets the same fault at the same
//! byte.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::support::bound::within;

/// A fault, or a barrier.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Both connections end here.
    Cut,
    /// The next byte goes out with one bit changed.
    Flip,
    /// Nothing more goes out; the connection stays.
    Stall,
    /// Nothing more goes out until the test releases the gate.
    Hold(Arc<Barrier>),
    /// The upstream is not asked: this status is the answer.
    Answer(u16),
}

/// A fault and its place.
#[derive(Debug, Clone)]
pub(super) struct Trigger {
    /// The byte of the blob before which it happens.
    pub(super) at: u64,
    /// What happens.
    pub(super) fault: Fault,
}

impl Trigger {
    /// The status, when the request is to be answered without asking the upstream.
    pub(super) fn answer(&self) -> Option<u16> {
        match self.fault {
            Fault::Answer(status) => Some(status),
            _ => None,
        }
    }
}

/// The triggers that concern an answer beginning at byte `first`, in the order of their places.
///
/// A cut or stall before `first` still holds (this answer breaks at once); a flipped bit or a gate that lies before it is
/// none of its business.
pub(super) fn in_order(
    mut triggers: Vec<Trigger>,
    first: u64,
) -> Peekable<std::vec::IntoIter<Trigger>> {
    triggers.retain(|trigger| {
        trigger.at >= first || matches!(trigger.fault, Fault::Cut | Fault::Stall)
    });
    triggers.sort_by_key(|trigger| trigger.at);
    triggers.into_iter().peekable()
}

/// A rule of a tap.
#[derive(Debug)]
pub(super) struct Rule {
    /// The requests it is for: those whose path contains this.
    pub(super) path: String,
    /// Whether it is used up by the first such request.
    pub(super) once: bool,
    /// What happens to them.
    pub(super) trigger: Trigger,
}

/// A rule being said. It holds from the moment it is complete.
#[derive(Debug)]
#[must_use = "a rule without a fault does nothing"]
pub(crate) struct RuleBuilder<'t> {
    rules: &'t Mutex<Vec<Rule>>,
    path: String,
    once: bool,
}

impl<'t> RuleBuilder<'t> {
    pub(super) fn new(rules: &'t Mutex<Vec<Rule>>, path: &str) -> Self {
        Self {
            rules,
            path: path.to_owned(),
            once: false,
        }
    }

    /// Only for the next such request.
    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// The connection is cut before byte `at` of the blob.
    pub(crate) fn cut_at(self, at: u64) {
        self.add(at, Fault::Cut);
    }

    /// Byte `at` of the blob goes out with its lowest bit flipped.
    pub(crate) fn flip_at(self, at: u64) {
        self.add(at, Fault::Flip);
    }

    /// The answer stops before byte `at` of the blob, and the connection stays open.
    pub(crate) fn stall_at(self, at: u64) {
        self.add(at, Fault::Stall);
    }

    /// The upstream is not asked; the answer is this status without a body.
    pub(crate) fn answer(self, status: u16) {
        self.add(0, Fault::Answer(status));
    }

    /// The answer stops before byte `at` of the blob until the gate is released: a barrier for "half-way".
    pub(crate) fn gate_at(self, at: u64) -> Gate {
        let barrier = Arc::new(Barrier::default());
        self.add(at, Fault::Hold(Arc::clone(&barrier)));
        Gate(barrier)
    }

    fn add(self, at: u64, fault: Fault) {
        self.rules.lock().push(Rule {
            path: self.path,
            once: self.once,
            trigger: Trigger { at, fault },
        });
    }
}

/// The tap's side of a gate.
#[derive(Debug, Default)]
pub(super) struct Barrier {
    reached: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Barrier {
    /// Says that an answer is here, and waits until the gate is open. An open gate stays open.
    pub(super) async fn pass(&self) {
        self.reached.send_replace(true);
        opened(&self.released).await;
    }
}

/// The test's side of a gate. Dropping it opens it, so that a failing test does not hang on its own barrier.
#[derive(Debug)]
pub(crate) struct Gate(Arc<Barrier>);

impl Gate {
    /// Waits until an answer stands at the gate.
    pub(crate) async fn reached(&self) {
        within(
            "an answer at the gate",
            Duration::from_mins(1),
            opened(&self.0.reached),
        )
        .await;
    }

    /// Lets everything through, now and later.
    pub(crate) fn release(&self) {
        self.0.released.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.release();
    }
}

async fn opened(flag: &watch::Sender<bool>) {
    // The sender lives as long as the borrow of it, so the wait can only end by the flag.
    let _ = flag.subscribe().wait_for(|open| *open).await;
}
