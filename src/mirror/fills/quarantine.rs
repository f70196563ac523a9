//! Digests whose bytes came wrong again and again: not asked for anew for some seconds, or clients that retry would
//! draw the same wrong bytes over the uplink without end.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::store::Link;

/// Once is a slip: the next try is fresh and at once. From the second time in a row each one doubles the wait.
const FIRST_WAIT: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(32);

/// Wrong bytes are forgotten after this time.
const MEMORY: Duration = Duration::from_mins(2);

/// What was wrong of late, by repository and digest: what comes wrong in one repository is no reason to refuse it to
/// another one, nor for it to hear of it.
#[derive(Default)]
pub(super) struct Quarantine(Mutex<HashMap<Link, Strikes>>);

#[derive(Clone, Copy)]
struct Strikes {
    times: u32,
    last: Instant,
}

impl Strikes {
    fn wait(self) -> Duration {
        match self.times.checked_sub(2) {
            None => Duration::ZERO,
            Some(further) => FIRST_WAIT
                .saturating_mul(2_u32.saturating_pow(further))
                .min(LONGEST_WAIT),
        }
    }
}

impl Quarantine {
    /// Wrong bytes came.
    pub(super) fn strike(&self, link: &Link, now: Instant) {
        let mut all = self.0.lock();
        all.retain(|_, strikes| now - strikes.last < MEMORY);
        let strikes = all.entry(link.clone()).or_insert(Strikes {
            times: 0,
            last: now,
        });
        (strikes.times, strikes.last) = (strikes.times + 1, now);
    }

    /// The right bytes came.
    pub(super) fn forgive(&self, link: &Link) {
        let mut all = self.0.lock();
        if !all.is_empty() {
            all.remove(link);
        }
    }

    /// How long the digest is not to be asked for; `None` when it may be.
    pub(super) fn held(&self, link: &Link, now: Instant) -> Option<Duration> {
        let all = self.0.lock();
        if all.is_empty() {
            return None;
        }
        let strikes = all.get(link)?;
        let left = strikes.wait().checked_sub(now - strikes.last)?;
        (left > Duration::ZERO).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::testkit::origin;
    use crate::oci::Digest;
    use crate::store::Role;

    #[test]
    fn the_first_time_is_a_slip_and_the_next_ones_wait_longer_each() {
        let (quarantine, start) = (Quarantine::default(), Instant::now());
        let link = crate::mirror::link(&origin("a"), &Digest::sha256_of(b"x"), Role::Blob);
        let other = crate::mirror::link(&origin("a"), &Digest::sha256_of(b"y"), Role::Blob);
        let at = |seconds| start + Duration::from_secs(seconds);
        let held = |now| quarantine.held(&link, now).map(|wait| wait.as_secs());
        assert_eq!(held(start), None);
        quarantine.strike(&link, start);
        assert_eq!(held(start), None);
        quarantine.strike(&link, at(1));
        assert_eq!(
            (held(at(1)), held(at(4)), held(at(5))),
            (Some(4), Some(1), None)
        );
        assert_eq!(quarantine.held(&other, at(1)), None);
        for (strike, wait) in [(6, 8), (15, 16), (32, 32), (65, 32)] {
            quarantine.strike(&link, at(strike));
            assert_eq!(held(at(strike)), Some(wait));
        }
        quarantine.forgive(&link);
        assert_eq!(held(at(65)), None);
        quarantine.strike(&link, at(100));
        quarantine.strike(&other, at(300));
        quarantine.strike(&link, at(300));
        assert_eq!(held(at(300)), None, "old strikes do not count");
    }
}
