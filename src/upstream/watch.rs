//! How an upstream stands, learnt from how it answers: every question passes here, and is turned away at once where
//! asking is known to be vain.
//!
//! What counts is what the upstream itself says, and the token realm it names. What redirect targets do says nothing
//! about it. The decisions are next door ([`Breaker`], [`Silence`], [`Budget`]); here they meet the clock.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderName, Method};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::answer::Answer;
use super::breaker::{Breaker, FAILURES, Pass, Position};
use super::budget::{Budget, Class, Permit, Quota};
use super::failure;
use super::metrics::{Kind, Meter};
use super::silence::{Silence, Wait};
use super::{ErrorKind, Phase, Standing, UpstreamError};

const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");

/// What is known of one upstream.
#[derive(Debug)]
pub(super) struct Watch {
    upstream: String,
    state: Mutex<State>,
    meter: Meter,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    budget: Budget,
    /// The registry itself, which goes on answering with challenges while its realm is silent.
    registry: Silence,
    realm: Silence,
}

impl State {
    fn silence(&mut self, kind: Kind) -> &mut Silence {
        match kind {
            Kind::Token => &mut self.realm,
            _ => &mut self.registry,
        }
    }
}

impl Watch {
    /// `reserve` is in requests, as in [`Settings::rate_reserve`](super::Settings::rate_reserve).
    pub(super) fn new(upstream: &str, reserve: u64, meter: Meter) -> Self {
        let state = State {
            breaker: Breaker::new(),
            budget: Budget::new(reserve),
            registry: Silence::default(),
            realm: Silence::default(),
        };
        Self {
            upstream: upstream.to_owned(),
            state: Mutex::new(state),
            meter,
        }
    }

    /// Lets a question through. Registries count by account: of questions in a client's own name (not `is_ours`)
    /// nothing is learnt about our budget, and it holds none of them up.
    ///
    /// # Errors
    /// [`AssumedOffline`](ErrorKind::AssumedOffline), [`TooManyRequests`](ErrorKind::TooManyRequests).
    pub(super) fn enter(
        &self,
        kind: Kind,
        method: &Method,
        is_ours: bool,
    ) -> Result<Question<'_>, ErrorKind> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(retry_after) = state.breaker.wait(now) {
            return Err(ErrorKind::AssumedOffline { retry_after });
        }
        let permit = if is_ours {
            let permit = state.budget.enter(class(kind, method), now);
            permit.map_err(|left| ErrorKind::TooManyRequests {
                retry_after: Some(left),
            })?
        } else {
            Permit::default()
        };
        let pass = state.breaker.enter();
        self.show(&state);
        Ok(Question {
            watch: self,
            pass,
            permit,
            is_ours,
            is_answered: AtomicBool::new(false),
            is_failed: AtomicBool::new(false),
        })
    }

    /// See [`Registry::standing`](super::Registry::standing).
    pub(super) fn standing(&self) -> Standing {
        let now = Instant::now();
        let state = self.state.lock();
        Standing {
            is_slow: state.registry.is_slow(now) || state.realm.is_slow(now),
            is_down: state.breaker.wait(now).is_some(),
            is_spent: state.budget.is_spent(now),
        }
    }

    /// Changes the breaker, and tells where that leads to.
    fn change(&self, state: &mut State, change: impl FnOnce(&mut Breaker)) {
        let before = state.breaker.position();
        change(&mut state.breaker);
        match (before, state.breaker.position()) {
            (Position::Closed, Position::Open) => {
                tracing::warn!(
                    upstream = self.upstream,
                    "the upstream is assumed to be out"
                );
            }
            (Position::Open | Position::HalfOpen, Position::Closed) => {
                tracing::info!(upstream = self.upstream, "the upstream is back");
            }
            _ => {}
        }
        self.show(state);
    }

    fn show(&self, state: &State) {
        self.meter.position(state.breaker.position());
    }
}

/// One question on its way. What it meets is told here; when it is dropped it has left.
#[derive(Debug)]
pub(super) struct Question<'a> {
    watch: &'a Watch,
    pass: Pass,
    permit: Permit,
    /// It is asked in the mirror's name.
    is_ours: bool,
    /// The upstream has said something, if only that it wants to know who asks.
    is_answered: AtomicBool,
    is_failed: AtomicBool,
}

impl Question<'_> {
    /// A request is sent to the upstream or its realm.
    pub(super) fn begins(&self, kind: Kind, method: &Method) -> Waiting<'_> {
        let wait = self.watch.state.lock().silence(kind).began(Instant::now());
        Waiting {
            question: self,
            kind,
            class: class(kind, method),
            wait,
        }
    }

    /// The question had its last answer, or ended in an error.
    pub(super) fn ends(self, error: Option<&UpstreamError>) {
        // The error may be another's, who asked for the token that this one waited for, too.
        let is_failed =
            self.is_failed.load(Ordering::Relaxed) || error.is_some_and(UpstreamError::is_outage);
        // A challenge that was not met, and nothing behind it that failed: the upstream is there.
        if self.is_answered.load(Ordering::Relaxed) && !is_failed {
            self.watch
                .change(&mut self.watch.state.lock(), Breaker::answered);
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut state = self.watch.state.lock();
        let now = Instant::now();
        self.watch
            .change(&mut state, |breaker| breaker.left(self.pass, now));
    }
}

/// One request that waits for the head of its answer, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    question: &'a Question<'a>,
    kind: Kind,
    class: Class,
    wait: Wait,
}

impl Waiting<'_> {
    /// The head is here.
    pub(super) fn answered(&self, answer: &Answer) {
        let now = Instant::now();
        let watch = self.question.watch;
        let state = &mut *watch.state.lock();
        state.silence(self.kind).heard(now);
        let is_ours = self.question.is_ours;
        if let Some(limit) = quota(answer, &RATELIMIT_LIMIT).filter(|_| is_ours) {
            watch.meter.limit(limit.number);
        }
        if let Some(remaining) = quota(answer, &RATELIMIT_REMAINING).filter(|_| is_ours) {
            watch.meter.remaining(remaining.number);
            state.budget.told(remaining, now);
        }
        match (answer.status(), self.kind) {
            (status, _) if is_broken(status) => self.counts(state, 1, now),
            // A page for people under the registry's name: a captive portal, a gateway.
            (200, Kind::Manifest | Kind::Blob | Kind::Tags | Kind::Catalog | Kind::Referrers)
                if answer.is_html() =>
            {
                self.counts(state, 1, now);
            }
            (429, _) => {
                if is_ours {
                    let retry_after = failure::retry_after(answer);
                    state.budget.refused(self.class, retry_after, now);
                }
                watch.change(state, Breaker::answered);
            }
            // A challenge, or what the realm says to it: only what comes of it says whether questions are answered.
            (401, _) | (_, Kind::Token) => {
                self.question.is_answered.store(true, Ordering::Relaxed);
            }
            _ => {
                state.budget.granted(self.question.permit);
                watch.change(state, Breaker::answered);
            }
        }
    }

    /// There is no answer.
    pub(super) fn failed(&self, kind: &ErrorKind) {
        let now = Instant::now();
        let state = &mut *self.question.watch.state.lock();
        let count = match kind {
            // Our own policy: nobody was asked.
            ErrorKind::Refused => return,
            // Nothing at all was heard in so long a time. That is as good as several quick failures, and clients
            // would have to bear each further wait.
            ErrorKind::Timeout(Phase::Header)
                if state.silence(self.kind).lasts_since(self.wait) =>
            {
                FAILURES
            }
            _ => 1,
        };
        self.counts(state, count, now);
    }

    fn counts(&self, state: &mut State, failures: u32, now: Instant) {
        let question = self.question;
        question.is_failed.store(true, Ordering::Relaxed);
        let change = |breaker: &mut Breaker| breaker.failed(question.pass, failures, now);
        question.watch.change(state, change);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.question.watch.state.lock();
        state.silence(self.kind).ended(self.wait);
    }
}

fn class(kind: Kind, method: &Method) -> Class {
    if kind == Kind::Manifest && method == Method::GET {
        Class::Counted
    } else {
        Class::Other
    }
}

/// Whether a status says that the server does not work. 501 says what it does not do.
fn is_broken(status: u16) -> bool {
    status >= 500 && status != 501
}

fn quota(answer: &Answer, name: &HeaderName) -> Option<Quota> {
    Quota::parse(answer.header(name)?)
}
