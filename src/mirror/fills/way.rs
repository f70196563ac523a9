//! Who lets whom by: what is brought for nobody leaves the uplink to what clients wait for.
//!
//! A lane says how many download at once; on a narrow uplink that is not enough, for each of them takes its part of it.
//! So a download that has time reads on only when no client's download from the same upstream is under way, or was a
//! moment ago. What it does not read, upstream does not send for long. It is never stopped altogether: of what crosses
//! it gets a small share, and its connection is not taken for a dead one.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Clients come in bursts, and ask for the next when they have the last: for so long after it the way stays theirs.
const LINGER: Duration = Duration::from_millis(250);
/// No longer than this is nothing read at all: servers and what lies between give up a connection after half a minute.
const LONGEST: Duration = Duration::from_secs(5);
/// For each byte of a download that has time, so many of clients cross before its next one.
const SHARE: u64 = 16;

/// What stands for the bytes of a download that has not begun.
const FIRST: u64 = 64 * 1024;

/// The way from one upstream.
pub(super) struct Way(watch::Sender<Traffic>);

#[derive(Clone, Copy, Default)]
struct Traffic {
    /// Clients' downloads under way.
    clients: usize,
    /// When the last of them ended.
    ended: Option<Instant>,
    /// Bytes that came for clients.
    bytes: u64,
}

impl Traffic {
    /// From when on the way is free, if no client comes; `None` while one is there.
    fn free_from(&self) -> Option<Instant> {
        let free = || Some(self.ended.map_or_else(Instant::now, |it| it + LINGER));
        if self.clients == 0 { free() } else { None }
    }

    fn is_free(&self) -> bool {
        self.clients == 0 && self.ended.is_none_or(|it| it.elapsed() >= LINGER)
    }
}

impl Way {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::default()))
    }

    /// A download that clients wait for is on the way, until this is dropped.
    fn take(self: &Arc<Self>) -> Urgent {
        self.0.send_modify(|traffic| traffic.clients += 1);
        Urgent(Arc::clone(self))
    }

    /// Whether nobody need be let by.
    fn is_free(&self) -> bool {
        self.0.borrow().is_free()
    }

    /// Lets clients by, after `taken` bytes; not for longer than a connection bears.
    async fn give(&self, taken: u64) {
        let mut traffic = self.0.subscribe();
        let due = traffic
            .borrow()
            .bytes
            .saturating_add(taken.saturating_mul(SHARE));
        let given = async {
            loop {
                let now = *traffic.borrow_and_update();
                if now.is_free() || now.bytes >= due {
                    return;
                }
                let free = async {
                    match now.free_from() {
                        Some(free_from) => sleep_until(free_from).await,
                        None => std::future::pending().await,
                    }
                };
                select! {
                    () = free => {}
                    // The sender is this.
                    _ = traffic.changed() => {}
                }
            }
        };
        // Late or not: its turn has come.
        let _ = timeout(LONGEST, given).await;
    }
}

/// A download that clients wait for.
struct Urgent(Arc<Way>);

impl Drop for Urgent {
    fn drop(&mut self) {
        self.0.0.send_modify(|traffic| {
            traffic.clients -= 1;
            traffic.ended = Some(Instant::now());
        });
    }
}

/// One download's turn on the way.
pub(super) struct Turn {
    way: Arc<Way>,
    /// While somebody waits for what it brings.
    urgent: Option<Urgent>,
    /// Bytes that it took last.
    last: u64,
}

impl Turn {
    pub(super) fn on(way: &Arc<Way>) -> Self {
        Self {
            way: Arc::clone(way),
            urgent: None,
            last: FIRST,
        }
    }

    /// Whether it may go on: somebody waits for it (`followed`), or it lets nobody by, or need not.
    pub(super) fn is_now(&mut self, followed: bool, has_time: bool) -> bool {
        if followed {
            self.urgent.get_or_insert_with(|| self.way.take());
        } else {
            self.urgent = None;
        }
        followed || !has_time || self.way.is_free()
    }

    /// Waits until it may go on, or somebody has `joined`.
    pub(super) async fn come(&mut self, joined: impl Future<Output = ()>) {
        select! {
            () = joined => {}
            () = self.way.give(self.last) => {}
        }
    }

    /// It waits for something itself, and keeps the way from nobody meanwhile.
    pub(super) fn rest(&mut self) {
        self.urgent = None;
    }

    /// It has taken so many bytes.
    pub(super) fn took(&mut self, bytes: u64) {
        self.last = bytes;
        if self.urgent.is_some() {
            self.way.0.send_modify(|traffic| traffic.bytes += bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_way_is_the_clients_until_a_moment_after_the_last() {
        let way = Way::new();
        assert!(way.is_free());
        let (first, second) = (way.take(), way.take());
        assert!(!way.is_free());
        let mut waiting = Box::pin(way.give(1000));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        drop(second);
        assert!(!way.is_free());
        let began = Instant::now();
        waiting.await;
        assert_eq!(began.elapsed(), LINGER);
        assert!(way.is_free());
        assert!(way.give(1000).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_way_gets_a_small_share() {
        let way = Way::new();
        let (mut client, mut other) = (Turn::on(&way), Turn::on(&way));
        assert!(client.is_now(true, false));
        other.took(10);
        assert!(!other.is_now(false, true));
        let mut waiting = Box::pin(other.come(pending()));
        assert!(waiting.as_mut().now_or_never().is_none());
        client.took(10 * SHARE - 1);
        assert!(waiting.as_mut().now_or_never().is_none());
        client.took(1);
        assert!(waiting.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_joined_goes_on_at_once_and_who_has_no_time_never_waits() {
        let way = Way::new();
        let _client = way.take();
        let mut other = Turn::on(&way);
        assert!(other.is_now(false, false));
        assert!(!other.is_now(false, true));
        assert!(other.come(ready(())).now_or_never().is_some());
        assert!(other.is_now(true, true));
        drop(other);
        assert_eq!(way.0.borrow().clients, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_who_never_ends_stops_nobody_for_ever() {
        let way = Way::new();
        let _client = way.take();
        let began = Instant::now();
        way.give(u64::MAX).await;
        assert_eq!(began.elapsed(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_comes_within_the_moment_keeps_the_way() {
        let way = Way::new();
        drop(way.take());
        let mut waiting = Box::pin(way.give(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        advance(LINGER / 2).await;
        let client = way.take();
        advance(LINGER).await;
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(client);
        waiting.await;
    }
}
