//! Waiting for the end of a fill without reading from it.

use std::sync::Arc;

use super::error::FillError;
use super::fill::Fill;
use super::state::{Ending, Phase};

/// Waits until what the fill brings is content. `began` says whether who waits began it; `tell` hears how many bytes
/// are here. Gives how many bytes came meanwhile: of what an earlier fill left, none.
pub(in crate::mirror) async fn watch(
    fill: &Arc<Fill>,
    began: bool,
    mut tell: impl FnMut(u64),
) -> Result<u64, FillError> {
    let mut states = fill.state().subscribe();
    let mut before = None;
    loop {
        let (here, end) = {
            let state = states.borrow_and_update();
            let here = state.ground.present().len();
            let end = match &state.phase {
                Phase::Beginning => None,
                Phase::Open | Phase::Ending(_) | Phase::Verified | Phase::Ended(_) => {
                    before.get_or_insert(if began { state.taken_up } else { here });
                    match &state.phase {
                        Phase::Verified => Some(Ok(())),
                        Phase::Ended(Ending::Failed(error)) => Some(Err(error.clone())),
                        Phase::Ended(Ending::Past { error, .. }) => Some(Err(error.clone().into())),
                        _ => None,
                    }
                }
            };
            (here, end)
        };
        tell(here);
        match end {
            None => {
                if states.changed().await.is_err() {
                    return Err(FillError::Abandoned);
                }
            }
            Some(Err(error)) => return Err(error),
            Some(Ok(())) => {
                fill.fetcher().fills.left(fill).await;
                return Ok(here.saturating_sub(before.unwrap_or(here)));
            }
        }
    }
}
