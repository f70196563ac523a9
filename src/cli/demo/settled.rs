//! Waiting until nothing is on its way any more, in front of the mirror or behind it.
//!
//! A client may have its last byte before it is counted at the upstream, and before it is safe on the mirror's
//! disk: no reader waits for the disk. What comes in between is a `join`, and the demo is to show a `hit`.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::DemoError;
use super::pull::{PullError, plain_http};
use super::stage::Places;

/// The time all this has to end once nobody waits for more of it.
const SETTLING: Duration = Duration::from_secs(30);
/// Between two looks at the mirror. It does not say by itself when it has written all.
const LOOK: Duration = Duration::from_millis(5);
/// What the mirror's metrics say when it has.
const NO_FILLS: &str = "roadstead_fills_in_flight 0";

/// Waits for the mirror, then for the upstream, and gives the bytes that the upstream has sent so far.
pub(super) async fn settled(places: &Places) -> Result<u64, DemoError> {
    let settled = timeout(SETTLING, async {
        no_fills(places).await?;
        Ok(places.uplink.quiet().await)
    });
    settled.await.map_err(|_| DemoError::Unsettled)?
}

async fn no_fills(places: &Places) -> Result<(), PullError> {
    let path = "/metrics";
    let failed = |error: reqwest::Error| PullError::Answer {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let http = plain_http()?;
    let url = format!("http://{}{path}", places.admin);
    loop {
        let answer = http.get(&url).send().await.map_err(failed)?;
        let metrics = answer.text().await.map_err(failed)?;
        if metrics.lines().any(|line| line == NO_FILLS) {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}
