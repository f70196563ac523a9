//! Repositories that may not be pulled: refused on every verb, and the upstream is not asked.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use http::StatusCode;
use tokio::runtime::Handle;

use super::surface::{api_over, ask, engine_with};
use crate::mirror::Names;
use crate::mirror::warm::{JobState, Order, WarmMetrics, Warmer};
use crate::oci::{Digest, RepositoryRules};
use crate::server::errors::RateLimited;
use crate::upstream::OfflineRegistry;

#[tokio::test]
async fn incident_16_what_may_not_be_pulled_is_denied_on_every_verb() {
    // Whoever gets as far as this is told that it is offline.
    let registry = Arc::new(OfflineRegistry::new("docker.io"));
    let rules = RepositoryRules {
        allow: vec!["library/*".parse().unwrap()],
        deny: vec!["*/evil".parse().unwrap()],
    };
    let mirror = engine_with(registry, rules);
    let api = api_over(Arc::clone(&mirror), RateLimited::Unavailable, Vec::new());
    let digest = Digest::sha256_of(b"any");
    let verbs = [
        ("GET", "manifests/1".to_owned()),
        ("HEAD", "manifests/1".to_owned()),
        ("GET", format!("manifests/{digest}")),
        ("HEAD", format!("manifests/{digest}")),
        ("GET", format!("blobs/{digest}")),
        ("HEAD", format!("blobs/{digest}")),
        ("GET", "tags/list".to_owned()),
        ("GET", format!("referrers/{digest}")),
    ];
    for (method, rest) in &verbs {
        for (repository, is_denied) in [
            ("library/good", false),
            // In front of a short name stands library/, here as upstream has it.
            ("good", false),
            ("library/evil", true),
            ("evil", true),
            ("other/good", true),
            ("docker.io/other/good", true),
        ] {
            let target = format!("/v2/{repository}/{rest}");
            let (status, headers, body) = ask(&api, method, &target, &[]).await;
            assert_eq!(
                status == StatusCode::FORBIDDEN,
                is_denied,
                "{method} {target}: {status}"
            );
            if is_denied {
                assert_eq!(headers["cache-status"], "roadstead; detail=denied");
                let body = String::from_utf8(body).unwrap();
                assert!(*method == "HEAD" || body.contains("\"DENIED\""), "{body}");
            }
        }
    }
    // A range asks for the same thing.
    let target = format!("/v2/library/evil/blobs/{digest}");
    let (status, ..) = ask(&api, "GET", &target, &[("range", "bytes=0-1")]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    // Nor is it brought ahead of anybody, by a tag or by a pattern over tags.
    let names = Names::new([("docker.io".to_owned(), "docker.io".into())]);
    let metrics = WarmMetrics::new(&prometheus::Registry::new()).unwrap();
    let warmer = Warmer::new(mirror, names, Handle::current(), metrics);
    for (wanted, is_denied) in [
        ("library/good:1", false),
        ("library/evil:1", true),
        ("library/evil:*", true),
        ("other/good:1", true),
    ] {
        let order = Order {
            wanted: vec![wanted.parse().unwrap()],
            ..Order::default()
        };
        let job = warmer.begin(order).id;
        let mut changes = warmer.changes(job).unwrap();
        while warmer.report(job).unwrap().state == JobState::Running {
            changes.changed().await.unwrap();
        }
        let report = warmer.report(job).unwrap();
        let reason = report.rows[0].reason.clone().unwrap_or_default();
        assert_eq!(
            reason.contains("may not be pulled"),
            is_denied,
            "{wanted}: {reason}"
        );
        assert_ne!(report.state, JobState::Complete, "{wanted}");
    }
}
