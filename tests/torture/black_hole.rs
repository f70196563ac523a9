//! An upstream that takes requests and never answers costs its clients a bounded wait, and the mirror nothing.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{alone, scale};
use crate::support::bound::until;
use crate::support::digest;
use crate::support::http::get;
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

/// Pulls at once.
const AT_ONCE: usize = 10;

/// What clients may be kept waiting for.
const LIMIT: Duration = Duration::from_secs(25);

/// Idle connections and threads go after a while; within this they are gone.
const PATIENCE: Duration = Duration::from_secs(90);

/// Pulls blobs that nobody will ever see; returns the longest wait.
async fn pull(mirror: &Mirror, round: usize) -> Duration {
    let pulls = (0..AT_ONCE).map(async |number| {
        let name = digest(format!("{round} {number}").as_bytes());
        let began = Instant::now();
        let answer = get(mirror.address, &format!("/v2/library/gone/blobs/{name}")).await;
        assert!(
            matches!(answer.status(), 503 | 504),
            "{} {}",
            answer.status(),
            answer.text()
        );
        began.elapsed()
    });
    let waits = join_all(pulls).await;
    let longest = waits.into_iter().max().unwrap();
    assert!(longest < LIMIT, "{longest:?}");
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn item_43_a_black_hole_costs_a_bounded_wait_and_nothing_else() {
    let _alone = alone().await;
    let (rounds, patience) = scale((5, None), (5, Some("500ms")));
    let upstream = Upstream::start(Access::Open).await;
    upstream.tap.on("/v2/").never_answer();
    let mut plan = Plan::of(&upstream.tap);
    if let Some(patience) = patience {
        plan = plan.patient_for(patience);
    }
    let mut mirror = plan.start().await;
    pull(&mirror, 0).await;
    let before = mirror.open();
    let mut longest = Duration::ZERO;
    for round in 1..=rounds {
        longest = longest.max(pull(&mirror, round).await);
    }
    let during = mirror.open();
    let mut after = during;
    until("nothing is left of the pulls", PATIENCE, async || {
        after = mirror.open();
        after.descriptors <= before.descriptors && after.threads <= before.threads
    })
    .await;
    println!(
        "black hole: {} pulls, {longest:?} at most; {before:?}, {during:?}, {after:?}",
        rounds * AT_ONCE
    );
    mirror.rests(PATIENCE).await;
}
