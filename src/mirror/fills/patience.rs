//! Whether a broken download is worth another try, and after which pause. Pure: values in, a pause out.

use std::time::Duration;

use super::error::FillError;
use crate::upstream::ErrorKind;

/// Tries in a row that may bring nothing. With the pauses below they take some 6 seconds: clients wait that long
/// for a byte, and no longer than they are known to.
const VAIN_TRIES: u32 = 5;

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause that upstream may ask for while clients wait in mid-body.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What one fill has borne so far.
#[derive(Default)]
pub(super) struct Patience {
    /// Tries in a row that brought nothing.
    vain: u32,
}

impl Patience {
    /// The pause before the next try, after one that ended in `error` and `brought` so many bytes; `None` when
    /// there is no point in one.
    ///
    /// Only when upstream has answered once is it tried again: before that, a quick error is kinder, for clients
    /// know where else to ask.
    pub(super) fn pause(
        &mut self,
        error: &FillError,
        brought: u64,
        answered: bool,
    ) -> Option<Duration> {
        if !answered || !is_broken_off(error) {
            return None;
        }
        self.vain = if brought > 0 { 0 } else { self.vain + 1 };
        if self.vain >= VAIN_TRIES {
            return None;
        }
        let pause = FIRST_PAUSE * 2_u32.pow(self.vain);
        Some(
            asked_for(error)
                .unwrap_or_default()
                .max(pause)
                .min(LONGEST_PAUSE),
        )
    }
}

/// Whether the rest may still come: the bytes so far are as good as before.
fn is_broken_off(error: &FillError) -> bool {
    match error {
        FillError::Upstream(error) => error.is_retryable(),
        FillError::Length { announced, sent } => sent < announced,
        // Another answer than before may be a slip of one of its servers.
        FillError::SizeChanged { .. } => true,
        FillError::Mismatch(_) | FillError::Store(_) | FillError::Abandoned => false,
    }
}

fn asked_for(error: &FillError) -> Option<Duration> {
    match error {
        FillError::Upstream(error) => match error.kind() {
            ErrorKind::TooManyRequests { retry_after } => *retry_after,
            ErrorKind::AssumedOffline { retry_after } => Some(*retry_after),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::UpstreamError;

    fn upstream(kind: ErrorKind) -> FillError {
        UpstreamError::new(kind, "u").into()
    }

    #[test]
    fn pauses_grow_and_end_and_progress_begins_them_anew() {
        let mut patience = Patience::default();
        let cut = upstream(ErrorKind::Cut);
        let mut pauses = |brought| patience.pause(&cut, brought, true).map(|it| it.as_millis());
        assert_eq!(pauses(1), Some(200));
        assert_eq!(pauses(0), Some(400));
        assert_eq!(pauses(0), Some(800));
        assert_eq!(pauses(7), Some(200));
        for pause in [Some(400), Some(800), Some(1600), Some(3200), None] {
            assert_eq!(pauses(0), pause);
        }
    }

    #[test]
    fn only_what_broke_off_in_the_midst_is_tried_again() {
        let pause = |error: &FillError, begun| Patience::default().pause(error, 1, begun);
        assert!(pause(&upstream(ErrorKind::Cut), true).is_some());
        assert!(pause(&upstream(ErrorKind::Status(503)), true).is_some());
        let short = FillError::Length {
            announced: 9,
            sent: 8,
        };
        assert!(pause(&short, true).is_some());
        assert!(pause(&upstream(ErrorKind::Cut), false).is_none());
        let long = FillError::Length {
            announced: 8,
            sent: 9,
        };
        let not_found = upstream(ErrorKind::NotFound { code: None });
        for error in [
            long,
            not_found,
            upstream(ErrorKind::Denied),
            FillError::Abandoned,
        ] {
            assert!(pause(&error, true).is_none(), "{error}");
        }
    }

    #[test]
    fn upstreams_own_pause_is_kept_within_bounds() {
        let asks = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            upstream(ErrorKind::TooManyRequests { retry_after })
        };
        let pause = |error| Patience::default().pause(&error, 1, true);
        assert_eq!(pause(asks(2)), Some(Duration::from_secs(2)));
        assert_eq!(pause(asks(3600)), Some(LONGEST_PAUSE));
        let retry_after = Duration::from_secs(2);
        let out = upstream(ErrorKind::AssumedOffline { retry_after });
        assert_eq!(pause(out), Some(retry_after));
    }
}
