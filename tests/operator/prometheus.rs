//! A Prometheus that scrapes one mirror by the config that lies in `dashboards/`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::bound::until;
use crate::support::free_address;
use crate::support::http::get;
use crate::support::mirror::Mirror;
use crate::support::process::{Daemon, Part};

pub(crate) const PROMTOOL: Part = Part {
    program: "promtool",
    package: "prometheus",
};
const PROMETHEUS: Part = Part {
    program: "prometheus",
    package: "prometheus",
};
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the files are.
pub(crate) fn dashboards() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards"))
}

pub(crate) struct Prometheus {
    _daemon: Daemon,
    _folder: TempDir,
    address: SocketAddr,
    /// How many requests had been counted when it caught up last.
    seen: f64,
}

/// One value of an answer, with its labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: String,
    pub(crate) value: f64,
}

impl Prometheus {
    /// Starts one and waits until it has scraped the mirror once.
    pub(crate) async fn of(mirror: &Mirror) -> Self {
        let folder = TempDir::new().unwrap();
        let address = free_address();
        let config = std::fs::read_to_string(dashboards().join("prometheus.yml")).unwrap();
        // The same but for the place of the mirror, the rules' own, and the pace.
        let config = config
            .replace("127.0.0.1:5001", &mirror.admin.to_string())
            .replace(
                "- alerts.yaml",
                &format!("- {}", dashboards().join("alerts.yaml").display()),
            )
            .replace("15s", "1s");
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = PROMETHEUS.command();
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let mut daemon = Daemon::start("prometheus", command, &folder.path().join("log"));
        until("prometheus listens", PATIENCE, async || {
            assert_eq!(daemon.ended(), None, "prometheus ended: {}", daemon.log());
            tokio::net::TcpStream::connect(address).await.is_ok()
                && get(address, "/-/ready").await.status() == 200
        })
        .await;
        let prometheus = Self {
            _daemon: daemon,
            _folder: folder,
            address,
            seen: 0.0,
        };
        prometheus.sees("up{job=\"roadstead\"}", 1.0).await;
        prometheus
    }

    /// Waits until the one value of a query is this.
    pub(crate) async fn sees(&self, query: &str, value: f64) {
        until(query, PATIENCE, async || {
            let samples = self.query(query).await.unwrap();
            samples.iter().map(|it| it.value).sum::<f64>().to_bits() == value.to_bits()
                && !samples.is_empty()
        })
        .await;
    }

    /// Waits until it has scraped what the mirror has counted since the last time, and all of it.
    pub(crate) async fn catches_up(&mut self, mirror: &Mirror) {
        const QUERY: &str = "sum(roadstead_requests_total)";
        let seen = &mut self.seen;
        let address = self.address;
        until("prometheus has caught up", PATIENCE, async || {
            // Read anew each time: an answer is counted just after its client has it.
            let counted = mirror.metric("roadstead_requests_total", &[]).await;
            let scraped = query(address, QUERY).await.unwrap();
            let is_same = scraped
                .iter()
                .any(|it| it.value.to_bits() == counted.to_bits());
            let has_moved = counted > *seen;
            if is_same && has_moved {
                *seen = counted;
            }
            is_same && has_moved
        })
        .await;
    }

    /// The alerting rules, as it has read them.
    pub(crate) async fn rules(&self) -> Value {
        let answer = get(self.address, "/api/v1/rules?type=alert").await;
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// What a query gives now, or why it cannot be run.
    pub(crate) async fn query(&self, text: &str) -> Result<Vec<Sample>, String> {
        query(self.address, text).await
    }
}

async fn query(address: SocketAddr, text: &str) -> Result<Vec<Sample>, String> {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let answer = get(address, &format!("/api/v1/query?query={encoded}")).await;
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    if told["status"] != "success" {
        return Err(told.to_string());
    }
    let result = &told["data"]["result"];
    if told["data"]["resultType"] == "scalar" {
        return Ok(vec![Sample {
            labels: String::new(),
            value: number(&result[1]),
        }]);
    }
    let samples = result.as_array().unwrap().iter().map(|sample| Sample {
        labels: sample["metric"].to_string(),
        value: number(&sample["value"][1]),
    });
    Ok(samples.collect())
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}
