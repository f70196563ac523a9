//! The alerts, on mirrors that are well and on mirrors that are not.

use std::time::Duration;

use crate::prometheus::{PROMTOOL, dashboards};
use crate::support::process::{run_well, said};

#[tokio::test]
async fn alerts_fire_when_they_should_and_only_then() {
    let mut test = PROMTOOL.command();
    test.args(["test", "rules"])
        .arg(dashboards().join("alerts_test.yaml"));
    let output = run_well(test, Duration::from_mins(2)).await;
    assert!(said(&output).contains("SUCCESS"), "{}", said(&output));
}

#[tokio::test]
async fn the_config_of_prometheus_is_one() {
    let mut check = PROMTOOL.command();
    check
        .args(["check", "config"])
        .arg(dashboards().join("prometheus.yml"));
    run_well(check, Duration::from_mins(1)).await;
}

/// An alert that no test makes fire may as well not be there.
#[test]
fn every_alert_is_tried_in_both_ways() {
    let read = |name: &str| std::fs::read_to_string(dashboards().join(name)).unwrap();
    let (rules, tests) = (read("alerts.yaml"), read("alerts_test.yaml"));
    let names = rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- alert: "));
    for name in names {
        let silent = format!("{{eval_time: 30h, alertname: {name}, exp_alerts: []}}");
        assert!(tests.contains(&silent), "{name} is not shown to be silent");
        let fires = format!("        alertname: {name}\n        exp_alerts:\n");
        assert!(tests.contains(&fires), "{name} is not shown to fire");
    }
}
