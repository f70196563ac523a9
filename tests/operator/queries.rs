//! Every query of every panel and alert, against a real Prometheus that scrapes a real run.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::boards::{Query, queries};
use crate::prometheus::{PROMTOOL, Prometheus, dashboards};
use crate::readme;
use crate::support::http::get;
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::Access;
use crate::support::upstream::Upstream;
use crate::traffic::{Asked, pulls, troubles};

/// Panels that show nothing in this run, and why.
const EMPTY: &[(&str, &str, &str)] = &[
    ("upstreams", "Pulls left", "this registry grants no budget"),
    (
        "upstreams",
        "Pulls left, as a share",
        "this registry grants no budget",
    ),
];

fn reason(query: &Query) -> Option<&'static str> {
    let found = EMPTY
        .iter()
        .find(|(board, panel, _)| *board == query.board && *panel == query.panel);
    found.map(|(.., why)| *why)
}

/// The value of the one query of a panel that gives one value.
async fn panel(prometheus: &Prometheus, title: &str) -> f64 {
    let queries = queries();
    let query = queries.iter().find(|query| query.panel == title);
    let samples = prometheus.query(&query.unwrap().filled_in()).await.unwrap();
    assert_eq!(samples.len(), 1, "{title}: {samples:?}");
    samples[0].value
}

#[track_caller]
fn within_one_percent(what: &str, shown: f64, counted: f64) {
    println!("{what}: the dashboard says {shown:.4}, the tap {counted:.4}");
    assert!(
        (shown - counted).abs() <= 0.01 * counted.abs(),
        "{what}: {shown} and {counted}"
    );
}

/// What the boards say of the uplink is what the tap on it says.
#[expect(clippy::cast_precision_loss, reason = "counts of some hundred")]
async fn agree_with_the_tap(prometheus: &Prometheus, upstream: &Upstream, asked: Asked) {
    let requests = upstream.tap.requests();
    let brought = requests.iter().filter(|it| {
        it.method == "GET" && (it.path.contains("/blobs/") || it.path.contains("/manifests/"))
    });
    let spared = 1.0 - brought.count() as f64 / asked.requests as f64;
    within_one_percent("hit rate", panel(prometheus, "Hit rate").await, spared);

    let crossed: u64 = requests
        .iter()
        .filter(|it| it.method == "GET")
        .map(|it| it.bytes)
        .sum();
    let saved = asked.bytes as f64 - crossed as f64;
    let share = saved / asked.bytes as f64;
    within_one_percent(
        "byte hit rate",
        panel(prometheus, "Byte hit rate").await,
        share,
    );
}

async fn run_panels(prometheus: &Prometheus) {
    let mut faults = Vec::new();
    for query in queries() {
        let place = format!("{} / {}", query.board, query.panel);
        let samples = match prometheus.query(&query.filled_in()).await {
            Ok(samples) => samples,
            Err(why) => {
                faults.push(format!("{place}: {why}"));
                continue;
            }
        };
        // A quantile of nothing is no number; so is a share of nothing.
        let values: Vec<_> = samples
            .iter()
            .map(|it| it.value)
            .filter(|it| it.is_finite())
            .collect();
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        match (values.is_empty(), reason(&query)) {
            (true, Some(why)) => println!("{place:<50} -> nothing ({why})"),
            (true, None) => faults.push(format!("{place}: nothing: {samples:?}")),
            (false, Some(why)) => faults.push(format!("{place}: no longer empty: {why}")),
            (false, None) => {
                println!(
                    "{place:<50} -> {} values, {least:.4} to {most:.4} {}",
                    values.len(),
                    query.unit
                );
                let too_much = query.unit == "percentunit" && most > 1.0;
                if too_much || (least < 0.0 && query.panel != "Saved on the uplink") {
                    faults.push(format!("{place}: {least} to {most} {}", query.unit));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// What the README has its readers ask.
async fn run_readme(prometheus: &Prometheus) {
    let mut faults = Vec::new();
    for query in readme::queries() {
        let head = query.text.lines().next().unwrap_or_default();
        match prometheus.query(&query.text).await {
            Err(why) => faults.push(format!("{head}: {why}")),
            Ok(samples) => {
                let values = samples.iter().filter(|it| it.value.is_finite()).count();
                println!("README: {head:.90} -> {values} values");
                if values == 0 && !query.may_be_empty {
                    faults.push(format!("{head}: nothing: {samples:?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

async fn run_alerts(prometheus: &Prometheus) {
    let file = std::fs::read_to_string(dashboards().join("alerts.yaml")).unwrap();
    let names = file
        .lines()
        .filter(|line| line.trim_start().starts_with("- alert: "))
        .count();
    let told = prometheus.rules().await;
    let groups = told["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups
        .iter()
        .flat_map(|it| it["rules"].as_array().unwrap())
        .collect();
    assert_eq!(rules.len(), names);
    for rule in rules {
        let query = rule["query"].as_str().unwrap();
        let firing = prometheus.query(query).await;
        println!("{:<30} -> {firing:?}", rule["name"].as_str().unwrap());
        assert!(firing.is_ok(), "{query}: {firing:?}");
        assert_ne!(rule["health"], "err", "{rule}");
    }
}

/// What promtool says of the page of metrics.
async fn lint(mirror: &Mirror) {
    let page = get(mirror.admin, "/metrics").await;
    let mut check = PROMTOOL.command();
    check
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(&page.body).unwrap();
    let told = check.wait_with_output().unwrap();
    let said = [told.stdout, told.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(told.status.success() && said.trim().is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_and_alert_speaks_of_a_real_run() {
    let mut upstream = Upstream::start(Access::Open).await;
    // Blobs are fetched ahead, as by default: each transfer is a miss all the same, and the rates are the tap's.
    // There is room for two of three images, and the tag of the last one is asked about each time.
    let mirror = Plan::of(&upstream.tap)
        .tags_for("1h")
        .patient_for("5s")
        .keeping("1600KiB")
        .of_store("min_age = \"0s\"")
        .and("[[upstreams.\"docker.io\".tags.rules]]\nrepository = \"library/image-3\"\nttl = \"0s\"\n")
        .start()
        .await;
    let mut prometheus = Prometheus::of(&mirror).await;
    upstream.tap.forget();

    let mut asked = Asked::default();
    for seed in 1..=3 {
        let more = pulls(&upstream, &mirror, seed).await;
        asked.requests += more.requests;
        asked.bytes += more.bytes;
        // So that each round lies between two scrapes.
        prometheus.catches_up(&mirror).await;
    }
    agree_with_the_tap(&prometheus, &upstream, asked).await;

    for seed in 1..=2 {
        troubles(&upstream, &mirror, seed).await;
        prometheus.catches_up(&mirror).await;
    }
    // And with the uplink cut: what is not here is an error, and counted as one.
    upstream.tap.close().await;
    for _ in 0..2 {
        let gone = mirror.get("/v2/library/image-1/manifests/never").await;
        assert!(gone.status() >= 500, "{}", gone.status());
        let stale = mirror.get("/v2/library/image-3/manifests/one").await;
        assert_eq!(stale.status(), 200, "{}", stale.text());
        prometheus.catches_up(&mirror).await;
    }

    run_panels(&prometheus).await;
    run_readme(&prometheus).await;
    run_alerts(&prometheus).await;
    lint(&mirror).await;
    for outcome in ["hit", "join", "miss", "revalidated", "stale", "error"] {
        let labels = [("outcome", outcome)];
        let counted = mirror.metric("roadstead_requests_total", &labels).await;
        assert!(counted > 0.0, "there was no {outcome}");
    }
    let evicted = mirror.metric("roadstead_store_evictions_total", &[]).await;
    assert!(evicted > 0.0, "nothing was evicted");
    for title in ["Failed", "Failures"] {
        let shown = panel(&prometheus, title).await;
        assert!(shown > 0.0, "{title}: {shown}");
    }
}
