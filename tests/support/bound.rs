//! Waits with a bound and a name.

use std::time::Duration;

use tokio::time::{Instant, interval, timeout};

/// Awaits `work`, at most `limit`; `what` names it in the panic when it takes longer.
pub(crate) async fn within<T>(what: &str, limit: Duration, work: impl Future<Output = T>) -> T {
    let Ok(value) = timeout(limit, work).await else {
        panic!("not within {limit:?}: {what}")
    };
    value
}

/// Asks `ready` again and again until it answers yes, at most `limit`.
///
/// Only for what lives in another process and cannot signal us (a daemon that starts, a counter on a metrics page);
/// inside this process a channel or a gate says when.
pub(crate) async fn until(what: &str, limit: Duration, mut ready: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    let mut beat = interval(Duration::from_millis(20));
    loop {
        beat.tick().await;
        if ready().await {
            return;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
    }
}
