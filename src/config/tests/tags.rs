//! What a config says of tags: in general, and by rules.

use super::*;
use crate::oci::Pattern;

/// [`MINIMAL`] with more keys for the tags of its upstream; the first of them is on line 5.
fn with(keys: &str) -> String {
    format!("{MINIMAL}[upstreams.\"docker.io\".tags]\n{keys}\n")
}

fn tags(keys: &str) -> Tags {
    parse(&with(keys)).unwrap().upstreams()[0].tags.clone()
}

#[track_caller]
fn fault(keys: &str) -> String {
    let report = faults(&with(keys));
    assert_eq!(report.len(), 1, "{report:?}");
    report[0].clone()
}

#[test]
fn a_rule_says_what_differs_from_the_table() {
    let tags = tags(
        r#"ttl = "5m"
negative_ttl = "0s"
rules = [
    { tag = "v[0-9]*", immutable = true },
    { repository = "library/*", stale_while_revalidate = "1h", negative_ttl = "1m" },
    { repository = "o/*", tag = "nightly", ttl = "0s", stale_if_error = "1d" },
]"#,
    );
    let pattern = |text: &str| text.parse::<Pattern>().unwrap();
    let otherwise = TagPolicy {
        ttl: Duration::from_mins(5),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::from_hours(7 * 24),
        negative_ttl: Duration::ZERO,
        is_immutable: false,
    };
    let rule = |repository, tag, policy| TagRule {
        repository: pattern(repository),
        tag: pattern(tag),
        policy,
    };
    let immutable = TagPolicy {
        is_immutable: true,
        ..otherwise
    };
    let library = TagPolicy {
        stale_while_revalidate: Duration::from_hours(1),
        negative_ttl: Duration::from_mins(1),
        ..otherwise
    };
    let nightly = TagPolicy {
        ttl: Duration::ZERO,
        stale_if_error: Duration::from_hours(24),
        ..otherwise
    };
    let rules = vec![
        rule("*", "v[0-9]*", immutable),
        rule("library/*", "*", library),
        rule("o/*", "nightly", nightly),
    ];
    assert_eq!(tags, Tags { otherwise, rules });
}

#[test]
fn what_is_not_said_has_a_default() {
    let otherwise = tags("").otherwise;
    assert_eq!(otherwise.ttl, Duration::from_mins(1));
    assert_eq!(otherwise.stale_while_revalidate, Duration::ZERO);
    assert_eq!(otherwise.negative_ttl, Duration::from_secs(10));
}

#[test]
fn a_rule_without_effect_is_a_fault() {
    let at = r#"upstreams."docker.io".tags.rules[0]"#;
    let nothing =
        "has no effect: say immutable, ttl, stale_while_revalidate, stale_if_error or negative_ttl";
    for rule in [
        "{}",
        r#"{ tag = "v*" }"#,
        r#"{ repository = "a", tag = "b" }"#,
    ] {
        assert_eq!(
            fault(&format!("rules = [{rule}]")),
            format!("5:10: {at}: {nothing}")
        );
    }
    for (rule, column, key) in [
        (r#"{ immutable = true, ttl = "1s" }"#, 30, "ttl"),
        (
            r#"{ immutable = true, stale_if_error = "1s" }"#,
            30,
            "stale_if_error",
        ),
        (
            r#"{ stale_while_revalidate = "1s", immutable = true }"#,
            12,
            "stale_while_revalidate",
        ),
    ] {
        assert_eq!(
            fault(&format!("rules = [{rule}]")),
            format!("5:{column}: {at}.{key}: has no effect where immutable is true")
        );
    }
    // It keeps these tags from a rule behind it.
    let shielded =
        r#"rules = [{ tag = "v*-rc", immutable = false }, { tag = "v*", immutable = true }]"#;
    assert_eq!(tags(shielded).rules.len(), 2);
}

#[test]
fn a_rule_that_is_never_reached_is_a_fault() {
    for (first, second) in [
        (r#"ttl = "1s""#, r#"tag = "v*", immutable = true"#),
        (r#"tag = "v*", ttl = "1s""#, r#"tag = "v*", ttl = "2s""#),
        (
            r#"repository = "a", ttl = "1s""#,
            r#"repository = "a", tag = "b", ttl = "2s""#,
        ),
    ] {
        let report = fault(&format!("rules = [{{ {first} }}, {{ {second} }}]"));
        let told = r#"upstreams."docker.io".tags.rules[1]: has no effect: rules[0] matches all that it matches"#;
        assert!(report.ends_with(told), "{report}");
    }
    let reached = r#"rules = [{ repository = "a", ttl = "1s" }, { tag = "b", ttl = "2s" }]"#;
    assert_eq!(tags(reached).rules.len(), 2);
}

#[test]
fn every_fault_of_a_rule_has_the_path_of_its_key() {
    let text = with(
        r#"stale_while_revalidate = 1
[[upstreams."docker.io".tags.rules]]
repository = "["
tags = "v*"
immutable = "yes"
[[upstreams."docker.io".tags.rules]]
tag = ""
ttl = "60x"
negative_ttl = "-1s""#,
    );
    let at = r#"upstreams."docker.io".tags"#;
    let duration = "is not a duration: write a number and a unit, such as \"60s\" or \"7d\"";
    let pattern =
        "is not a pattern: write a glob of at most 255 characters, such as \"v*\" or \"library/*\"";
    assert_eq!(
        faults(&text),
        [
            format!("5:1: {at}.stale_while_revalidate: 1 {duration}"),
            format!("7:1: {at}.rules[0].repository: \"[\" {pattern}"),
            format!("8:1: {at}.rules[0].tags: unknown key; did you mean `tag`?"),
            format!("9:1: {at}.rules[0].immutable: \"yes\" is not true or false"),
            format!("11:1: {at}.rules[1].tag: \"\" {pattern}"),
            format!("12:1: {at}.rules[1].ttl: \"60x\" {duration}"),
            format!("13:1: {at}.rules[1].negative_ttl: \"-1s\" {duration}"),
        ]
    );
    assert_eq!(
        fault("rules = 7"),
        format!("5:1: {at}.rules: 7 is not a list")
    );
    assert_eq!(
        fault("rules = [7]"),
        format!("5:10: {at}.rules[0]: 7 is not a table")
    );
}
