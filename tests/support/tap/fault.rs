//! What a tap can do to an answer, and where in it.
//!
//! Places are bytes of the blob, not of one answer: a fetch that resumes with a `Range` meets the same fault at the same
//! byte.

use std::fmt;
use std::iter::Peekable;
use std::ops::Range;
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
    /// The upstream is not asked, and nothing is answered; the connection stays.
    Silence,
}

/// Chooses a byte among those of an answer.
#[derive(Clone)]
pub(super) struct Choice(Arc<dyn Fn(Range<u64>) -> Option<u64> + Send + Sync>);

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Choice")
    }
}

/// Where in a blob something happens.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Before this byte of it.
    At(u64),
    /// Before a byte that is chosen anew for each answer, or nowhere in this one.
    Chosen(Choice),
}

/// What a rule asks for, before it is known which bytes the answer brings.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    place: Place,
    fault: Fault,
}

impl Wish {
    /// The status, when the request is to be answered without asking the upstream.
    pub(super) fn answer(&self) -> Option<u16> {
        match self.fault {
            Fault::Answer(status) => Some(status),
            _ => None,
        }
    }

    /// Whether the request is never to be answered at all.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self.fault, Fault::Silence)
    }

    fn trigger(self, bytes: &Range<u64>) -> Option<Trigger> {
        let at = match self.place {
            Place::At(at) => at,
            Place::Chosen(choice) => (choice.0)(bytes.clone())?,
        };
        let fault = self.fault;
        Some(Trigger { at, fault })
    }
}

/// A fault and its place.
#[derive(Debug, Clone)]
pub(super) struct Trigger {
    /// The byte of the blob before which it happens.
    pub(super) at: u64,
    /// What happens.
    pub(super) fault: Fault,
}

/// The triggers that concern an answer with these `bytes` of the blob, in the order of their places.
///
/// A cut or stall before the first of them still holds (this answer breaks at once); a flipped bit or a gate that lies before it is
/// none of its business.
pub(super) fn in_order(
    wishes: Vec<Wish>,
    bytes: &Range<u64>,
) -> Peekable<std::vec::IntoIter<Trigger>> {
    let mut triggers: Vec<_> = wishes
        .into_iter()
        .filter_map(|wish| wish.trigger(bytes))
        .filter(|trigger| {
            trigger.at >= bytes.start || matches!(trigger.fault, Fault::Cut | Fault::Stall)
        })
        .collect();
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
    pub(super) wish: Wish,
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

    /// Each answer is cut before the byte that `choose` names among the bytes of the blob that it brings; not at all
    /// where it names none.
    pub(crate) fn cut_where(
        self,
        choose: impl Fn(Range<u64>) -> Option<u64> + Send + Sync + 'static,
    ) {
        let place = Place::Chosen(Choice(Arc::new(choose)));
        self.add_in(place, Fault::Cut);
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

    /// The request is taken and never answered: a black hole.
    pub(crate) fn never_answer(self) {
        self.add(0, Fault::Silence);
    }

    /// The answer stops before byte `at` of the blob until the gate is released: a barrier for "half-way".
    pub(crate) fn gate_at(self, at: u64) -> Gate {
        let barrier = Arc::new(Barrier::default());
        self.add(at, Fault::Hold(Arc::clone(&barrier)));
        Gate(barrier)
    }

    /// Nothing is changed; it can be seen when byte `at` of the blob is about to go out.
    pub(crate) fn mark_at(self, at: u64) -> Gate {
        let gate = self.gate_at(at);
        gate.release();
        gate
    }

    fn add(self, at: u64, fault: Fault) {
        self.add_in(Place::At(at), fault);
    }

    fn add_in(self, place: Place, fault: Fault) {
        self.rules.lock().push(Rule {
            path: self.path,
            once: self.once,
            wish: Wish { place, fault },
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
