//! What a config says of downloads: how many at once, and what becomes of them.

use super::*;

/// [`MINIMAL`] with more keys for its upstream.
fn with(keys: &str) -> String {
    format!("{MINIMAL}[upstreams.\"quay.io\"]\nurl = \"https://quay.io\"\n{keys}")
}

#[track_caller]
fn downloads(keys: &str) -> (usize, usize) {
    let config = parse(&with(keys)).unwrap();
    let downloads = config.upstreams()[1].downloads;
    (downloads.max, downloads.eager)
}

#[test]
fn no_more_is_downloaded_ahead_than_at_all() {
    assert_eq!(downloads(""), (16, 4));
    assert_eq!(downloads("max_downloads = 4\neager_downloads = 4"), (4, 4));
    // The default gives way.
    assert_eq!(downloads("max_downloads = 1"), (1, 1));
    assert_eq!(
        faults(&with("max_downloads = 4\neager_downloads = 5")),
        [r#"7:1: upstreams."quay.io".eager_downloads: 5 is more than max_downloads, which is 4"#]
    );
    assert_eq!(
        faults(&with("eager_downloads = 0")),
        [r#"6:1: upstreams."quay.io".eager_downloads: 0 is not a whole number of at least 1"#]
    );
}

#[test]
fn nothing_is_downloaded_ahead_where_that_is_off() {
    assert_eq!(downloads("eager = false\nmax_downloads = 4"), (4, 0));
    assert_eq!(
        faults(&with("eager = false\neager_downloads = 2")),
        [r#"7:1: upstreams."quay.io".eager_downloads: is only read when eager is true"#]
    );
}

#[test]
fn what_becomes_of_fills_is_said_in_words_shares_and_durations() {
    let text = "[fills]\non_leave = \"keep\"\nfinish_share = 1\nmax_age = \"0s\"\nmax_share = 0.25\n\
                answer_within = \"1m\"\n";
    let config = parse(&format!("{MINIMAL}{text}")).unwrap();
    let fills = config.fills();
    assert_eq!(fills.on_leave, OnLeave::Keep);
    assert!((fills.finish_share.as_f64() - 1.0).abs() < f64::EPSILON);
    assert_eq!(fills.max_age, Duration::ZERO);
    assert!((fills.max_share.as_f64() - 0.25).abs() < f64::EPSILON);
    assert_eq!(fills.answer_within, Duration::from_mins(1));
}

#[test]
fn clients_may_be_allowed_any_speed() {
    let rate = |rate: &str| {
        let config = parse(&format!("{MINIMAL}server.min_send_rate = {rate}\n")).unwrap();
        config.server().min_send_rate.map(|rate| rate.as_u64())
    };
    assert_eq!(rate("\"2KiB\""), Some(2048));
    assert_eq!(rate("\"0B\""), None);
    assert_eq!(rate("0"), None);
}
