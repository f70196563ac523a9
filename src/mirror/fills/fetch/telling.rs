//! How often followers are told of new bytes. Pure.

use std::time::Duration;

/// A telling wakes all followers, and costs several system calls for each. To learn of bytes later by this part of the
/// time that the download has taken makes no difference to anybody.
const PART: u32 = 64;
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(8);

/// For how long small pieces are gathered before they are told of, in a download that has gone on for `gone`.
pub(super) fn pause(gone: Duration) -> Duration {
    (gone / PART).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_the_download_within_bounds() {
        let pauses = [0, 128, 256, 512, 60_000].map(|gone| pause(Duration::from_millis(gone)));
        assert_eq!(pauses.map(|it| it.as_millis()), [2, 2, 4, 8, 8]);
    }
}
