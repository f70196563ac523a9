//! How many downloads one upstream bears at once, and how many of them may run ahead of the clients.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::way::Way;
use crate::mirror::metrics::{InGauge, LaneGauges};

/// One upstream's lanes. A download holds a lane from its request to its last byte.
pub(in crate::mirror) struct Lanes {
    all: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    /// Lanes that one download may have.
    for_one: usize,
    gauges: LaneGauges,
    /// Who has a lane shares the uplink with the others.
    pub(super) way: Arc<Way>,
}

/// The right to one connection.
pub(super) struct Lane {
    _all: OwnedSemaphorePermit,
    ahead: Option<OwnedSemaphorePermit>,
    _busy: InGauge,
}

impl Lanes {
    /// `all` lanes, of which at most `ahead` are for downloads that no client waits for, told of in `gauges`; one
    /// download may have `for_one` of them.
    pub(in crate::mirror) fn new(
        all: usize,
        ahead: usize,
        for_one: usize,
        gauges: LaneGauges,
    ) -> Self {
        let lanes = |number: usize| Arc::new(Semaphore::new(number.min(Semaphore::MAX_PERMITS)));
        Self {
            all: lanes(all),
            ahead: lanes(ahead),
            for_one,
            gauges,
            way: Way::new(),
        }
    }

    /// How many lanes one download may have in all; none while there is no lane free, or others wait for one.
    pub(super) fn for_one_blob(&self) -> usize {
        let free = self.all.available_permits() > 0 && self.gauges.waiting.get() == 0;
        if free { self.for_one } else { 0 }
    }

    /// Whether all lanes are taken, and somebody waits for one.
    pub(super) fn are_wanted(&self) -> bool {
        self.all.available_permits() == 0 && self.gauges.waiting.get() > 0
    }

    /// A lane without a wait, if one is free and nobody waits.
    pub(super) fn now(&self) -> Option<Lane> {
        if self.gauges.waiting.get() > 0 {
            return None;
        }
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Lane {
            _all: all,
            ahead: None,
            _busy: InGauge::of(&self.gauges.busy),
        })
    }

    /// Waits for a lane; in the order of asking, but behind those with clients until `joined` tells that a client
    /// has come.
    pub(super) async fn lane(&self, joined: impl Future<Output = ()>) -> Option<Lane> {
        let waiting = InGauge::of(&self.gauges.waiting);
        let ahead = tokio::select! {
            biased;
            () = joined => None,
            ahead = Arc::clone(&self.ahead).acquire_owned() => Some(ahead.ok()?),
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        drop(waiting);
        Some(Lane {
            _all: all,
            ahead,
            _busy: InGauge::of(&self.gauges.busy),
        })
    }
}

impl Lane {
    /// A client has come: another download may run ahead of the clients.
    pub(super) fn joined(&mut self) {
        self.ahead = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt;

    use prometheus::IntGauge;

    use super::*;

    fn lanes(all: usize, ahead: usize) -> Lanes {
        let gauge = || IntGauge::new("lanes", "Lanes.").unwrap();
        let gauges = LaneGauges {
            busy: gauge(),
            waiting: gauge(),
        };
        Lanes::new(all, ahead, 3, gauges)
    }

    #[tokio::test]
    async fn who_has_a_lane_and_who_waits_is_told() {
        let lanes = lanes(1, 1);
        let told = || (lanes.gauges.busy.get(), lanes.gauges.waiting.get());
        let first = lanes.lane(ready(())).await;
        assert_eq!(told(), (1, 0));
        let mut second = Box::pin(lanes.lane(ready(())));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(told(), (1, 1));
        drop(first);
        let second = second.now_or_never().flatten();
        assert!(second.is_some());
        assert_eq!(told(), (1, 0));
        drop(second);
        assert_eq!(told(), (0, 0));
    }

    #[tokio::test]
    async fn a_download_gets_more_lanes_only_while_nobody_else_wants_them() {
        let lanes = lanes(2, 1);
        let first = lanes.lane(ready(())).await;
        assert_eq!(lanes.for_one_blob(), 3);
        let second = lanes.lane(ready(())).await;
        assert_eq!(lanes.for_one_blob(), 0);
        assert!(lanes.now().is_none() && !lanes.are_wanted());
        let mut third = Box::pin(lanes.lane(ready(())));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(lanes.are_wanted());
        drop(first);
        assert_eq!(lanes.for_one_blob(), 0, "the third waits for it");
        assert!(lanes.now().is_none());
        drop((second, third));
        assert_eq!(lanes.for_one_blob(), 3);
        assert!(lanes.now().is_some());
    }

    #[tokio::test]
    async fn any_number_of_lanes_will_do() {
        let lanes = lanes(usize::MAX, usize::MAX);
        assert!(lanes.lane(ready(())).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn those_ahead_of_clients_have_few_lanes_and_lose_their_place_to_none_with_clients() {
        let lanes = lanes(2, 1);
        let ahead = lanes.lane(pending()).await;
        // The second ahead of its client waits though a lane is free; a client gets that lane.
        assert!(lanes.lane(pending()).now_or_never().is_none());
        let with_client = lanes.lane(ready(())).now_or_never().flatten();
        assert!(with_client.is_some());
        assert!(lanes.lane(ready(())).now_or_never().is_none());
        drop(ahead);
        assert!(lanes.lane(ready(())).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn one_that_a_client_joins_is_ahead_of_nobody() {
        let lanes = lanes(3, 1);
        let mut first = lanes.lane(pending()).await.unwrap();
        assert!(lanes.lane(pending()).now_or_never().is_none());
        first.joined();
        assert!(lanes.lane(pending()).now_or_never().flatten().is_some());
    }
}
