//! Figures as people read them. The script writes them in the same way.

use crate::mirror::PartsHere;

/// Bytes in the largest binary unit of which there is at least one: `12.3 MiB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A number of things: `1 tag`, `2 tags`.
pub(super) fn count(number: u64, thing: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{s}")
}

/// How much is here of an image.
pub(super) fn parts(parts: &PartsHere) -> String {
    let word = if parts.is_complete {
        "complete"
    } else {
        "incomplete"
    };
    let (here, blobs) = (parts.blobs_here, count(parts.blobs, "blob"));
    match (parts.manifests, parts.is_complete) {
        (0, true) => word.to_owned(),
        (0, false) => format!("{word}: {here} of {blobs}"),
        (manifests, true) => format!(
            "{word} for {} of {}",
            parts.manifests_here,
            count(manifests, "platform")
        ),
        (manifests, false) => format!(
            "{word}: {} of {}, {here} of {blobs}",
            parts.manifests_here,
            count(manifests, "platform")
        ),
    }
}

/// A share as a percentage; a dash before there is one.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Seconds in the two largest units: `3 h 12 min`.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match hours / 24 {
        0 if minutes == 0 => format!("{seconds} s"),
        0 if hours == 0 => format!("{minutes} min {} s", seconds % 60),
        0 => format!("{hours} h {} min", minutes % 60),
        days => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (value, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (12_897_485, "12.3 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(value), text);
        }
        for (value, text) in [
            (59, "59 s"),
            (61, "1 min 1 s"),
            (11_520, "3 h 12 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(value), text);
        }
        assert_eq!(percent(Some(0.5)), "50.0 %");
        assert_eq!(percent(None), "–");
    }
}
