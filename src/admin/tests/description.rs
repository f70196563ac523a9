//! `openapi.yaml` describes what there is: neither more nor less.

use std::collections::BTreeSet;

use super::*;
use crate::admin::routes::TABLE;

const DESCRIPTION: &str = include_str!("../openapi.yaml");

/// What is described of one operation.
struct Described {
    method: Method,
    path: String,
    /// Its parameters, each with whether it must be there.
    parameters: Vec<(String, bool)>,
}

/// Reads the paths out of the file: it is written in one form, a path two spaces in, a method four, a parameter eight.
fn described() -> Vec<Described> {
    let paths = DESCRIPTION.lines().skip_while(|line| *line != "paths:");
    let mut path = "";
    let mut found: Vec<Described> = Vec::new();
    for line in paths.skip(1).take_while(|line| line.starts_with(' ')) {
        let text = line.trim_start();
        match line.len() - text.len() {
            2 => path = text.trim_end_matches(':'),
            4 => found.push(Described {
                method: text.trim_end_matches(':').to_uppercase().parse().unwrap(),
                path: path.to_owned(),
                parameters: Vec::new(),
            }),
            8 if text.starts_with("- {name: ") => {
                let name = text.trim_start_matches("- {name: ").split(',').next();
                let required = text.contains("required: true");
                let parameters = &mut found.last_mut().unwrap().parameters;
                parameters.push((name.unwrap().to_owned(), required));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn every_operation_is_described_with_its_parameters() {
    let described = described();
    let told: BTreeSet<_> = described
        .iter()
        .map(|it| format!("{} {}", it.method, it.path))
        .collect();
    let known: BTreeSet<_> = TABLE
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    assert_eq!(told, known);
    for (method, path, operation) in TABLE {
        let one = described
            .iter()
            .find(|it| it.method == method && it.path == path);
        let told: BTreeSet<_> = one
            .unwrap()
            .parameters
            .iter()
            .map(|(name, _)| &**name)
            .collect();
        let known: BTreeSet<_> = operation.parameters().iter().copied().collect();
        assert_eq!(told, known, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_described_is_answered() {
    let side = Side::new(None);
    for Described {
        method,
        path,
        parameters,
    } in described()
    {
        let required = parameters.iter().filter(|(_, required)| *required);
        let query: Vec<_> = required.map(|(name, _)| format!("{name}=a")).collect();
        let target = format!("{path}?{}", query.join("&"));
        let (status, told) = side.ask(method.as_str(), &target).await;
        let reason = told["error"].as_str().unwrap_or_default();
        assert!(
            !reason.starts_with("not found; known"),
            "{method} {path}: {reason}"
        );
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(
            !reason.contains("missing") && !reason.contains("unknown parameter"),
            "{method} {path}: {reason}"
        );
    }
    let (_, served) = side.ask("GET", "/api/v1/openapi.yaml").await;
    assert_eq!(served.as_str(), Some(DESCRIPTION));
}
