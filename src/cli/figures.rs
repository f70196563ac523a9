//! Figures as people read them on a terminal.

use serde_json::Value;

/// Bytes in the largest binary unit of which there is at least one: `12.3 MiB`.
pub(super) fn bytes(value: &Value) -> String {
    value.as_u64().map_or_else(
        || "-".to_owned(),
        |bytes| bytesize::ByteSize(bytes).display().iec().to_string(),
    )
}

/// A number of things: `1 tag`, `2 tags`.
pub(super) fn count(value: &Value, thing: &str) -> String {
    plural(&text(value), thing)
}

/// How much is here of an image, as the API tells it: `complete`, or what is missing.
pub(super) fn parts(parts: &Value) -> String {
    let here = |what: &str, thing: &str| {
        let of = count(&parts[what], thing);
        format!("{} of {of}", text(&parts[&*format!("{what}_here")]))
    };
    let is_index = parts["manifests"].as_u64().unwrap_or_default() > 0;
    match (parts["is_complete"] == true, is_index) {
        (true, false) => "complete".to_owned(),
        (true, true) => format!("complete for {}", here("manifests", "platform")),
        (false, false) => format!("incomplete: {} here", here("blobs", "blob")),
        (false, true) => format!(
            "incomplete: {}, {} here",
            here("manifests", "platform"),
            here("blobs", "blob")
        ),
    }
}

/// The same, of what was counted here.
pub(super) fn counted(number: usize, thing: &str) -> String {
    plural(&number.to_string(), thing)
}

fn plural(number: &str, thing: &str) -> String {
    format!("{number} {thing}{}", if number == "1" { "" } else { "s" })
}

/// A share as a percentage; a dash before there is one.
pub(super) fn percent(value: &Value) -> String {
    let share = value.as_f64();
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Seconds in words: `3h 12m`.
pub(super) fn duration(value: &Value) -> String {
    let seconds = std::time::Duration::from_secs(value.as_u64().unwrap_or_default());
    humantime::format_duration(seconds).to_string()
}

/// Seconds since the Unix epoch as a moment.
pub(super) fn moment(value: &Value) -> String {
    let seconds = value.as_u64().map(std::time::Duration::from_secs);
    let moment = seconds.and_then(|seconds| std::time::UNIX_EPOCH.checked_add(seconds));
    moment.map_or_else(
        || "-".to_owned(),
        |moment| humantime::format_rfc3339_seconds(moment).to_string(),
    )
}

/// Text from wherever, without what would move the cursor of a terminal.
pub(super) fn text(value: &Value) -> String {
    let plain = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    plain
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_short_and_harmless() {
        assert_eq!(bytes(&json!(12_897_485)), "12.3 MiB");
        assert_eq!(bytes(&json!(null)), "-");
        assert_eq!(counted(1, "image"), "1 image");
        assert_eq!(counted(0, "image"), "0 images");
        assert_eq!(percent(&json!(0.5)), "50.0 %");
        assert_eq!(percent(&json!(null)), "-");
        assert_eq!(duration(&json!(11_520)), "3h 12m");
        assert_eq!(moment(&json!(0)), "1970-01-01T00:00:00Z");
        assert_eq!(moment(&json!(u64::MAX)), "-");
        assert_eq!(text(&json!("a\u{1b}[2Jb")), "a?[2Jb");
        assert_eq!(text(&json!(7)), "7");
        assert_eq!(count(&json!(1), "tag"), "1 tag");
        assert_eq!(count(&json!(0), "tag"), "0 tags");
    }

    #[test]
    fn what_is_missing_of_an_image_is_told() {
        let told = |is_complete, manifests, manifests_here, blobs, blobs_here| {
            parts(&json!({
                "is_complete": is_complete, "manifests": manifests, "manifests_here": manifests_here,
                "blobs": blobs, "blobs_here": blobs_here,
            }))
        };
        assert_eq!(told(true, 0, 0, 5, 5), "complete");
        assert_eq!(told(false, 0, 0, 5, 3), "incomplete: 3 of 5 blobs here");
        assert_eq!(told(true, 4, 1, 5, 5), "complete for 1 of 4 platforms");
        let index = "incomplete: 1 of 4 platforms, 3 of 5 blobs here";
        assert_eq!(told(false, 4, 1, 5, 3), index);
    }
}
