//! The dashboards as files: what Grafana takes without edits, and the queries in them.

use serde_json::Value;

use crate::prometheus::dashboards;

pub(crate) const BOARDS: [&str; 3] = ["overview", "upstreams", "store"];

/// One query of one panel.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) board: &'static str,
    pub(crate) panel: String,
    pub(crate) unit: String,
    pub(crate) text: String,
}

impl Query {
    /// The query as Grafana sends it, for all mirrors and upstreams and the last ten minutes.
    pub(crate) fn filled_in(&self) -> String {
        let text = self.text.replace("$__rate_interval", "10m");
        let text = text.replace("$__range", "10m");
        let text = text.replace("$instance", ".*").replace("$upstream", ".*");
        assert!(
            !text.contains('$'),
            "a variable that nothing fills in: {text}"
        );
        text
    }
}

fn read(board: &str) -> Value {
    let file = dashboards().join(format!("{board}.json"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    let panels = board["panels"].as_array().unwrap().iter();
    panels.filter(|panel| panel["type"] != "row")
}

/// Every query of every panel.
pub(crate) fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for board in BOARDS {
        for panel in panels(&read(board)) {
            for target in panel["targets"].as_array().unwrap() {
                queries.push(Query {
                    board,
                    panel: panel["title"].as_str().unwrap().to_owned(),
                    unit: panel["fieldConfig"]["defaults"]["unit"]
                        .as_str()
                        .unwrap()
                        .to_owned(),
                    text: target["expr"].as_str().unwrap().to_owned(),
                });
            }
        }
    }
    queries
}

#[test]
fn every_panel_can_be_imported_and_understood() {
    let mut uids = Vec::new();
    for name in BOARDS {
        let board = read(name);
        uids.push(board["uid"].as_str().unwrap().to_owned());
        // What an export for others has to have filled in by hand.
        assert!(board.get("__inputs").is_none() && board.get("id").is_none());
        let variables = board["templating"]["list"].as_array().unwrap();
        let variables: Vec<_> = variables
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert!(
            variables.starts_with(&["datasource", "instance"]),
            "{name}: {variables:?}"
        );
        let mut taken = vec![[false; 24]; 200];
        let mut ids = Vec::new();
        for panel in panels(&board) {
            let title = panel["title"].as_str().unwrap();
            ids.push(panel["id"].as_u64().unwrap());
            let said = panel["description"].as_str().unwrap_or_default();
            assert!(said.len() > 20, "{name}: {title}: what does it show?");
            let unit = &panel["fieldConfig"]["defaults"]["unit"];
            assert!(unit.is_string(), "{name}: {title}: no unit");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(
                    target["datasource"]["uid"], "${datasource}",
                    "{name}: {title}"
                );
                let query = target["expr"].as_str().unwrap();
                assert!(query.contains("$instance"), "{name}: {title}: {query}");
            }
            let at = |key: &str| usize::try_from(panel["gridPos"][key].as_u64().unwrap()).unwrap();
            for row in &mut taken[at("y")..at("y") + at("h")] {
                for cell in &mut row[at("x")..at("x") + at("w")] {
                    assert!(
                        !std::mem::replace(cell, true),
                        "{name}: {title} lies over another"
                    );
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(
            ids.len(),
            panels(&board).count(),
            "{name}: two panels have one id"
        );
    }
    uids.dedup();
    assert_eq!(uids.len(), BOARDS.len());
}
