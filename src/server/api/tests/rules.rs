//! Repositories that may not be pulled: refused on every verb, and the upstream is not asked.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use http::StatusCode;

use super::surface::{api_with, ask};
use crate::oci::{Digest, RepositoryRules};
use crate::server::errors::RateLimited;
use crate::upstream::OfflineRegistry;

#[tokio::test]
async fn what_may_not_be_pulled_is_denied_on_every_verb() {
    // Whoever gets as far as this is told that it is offline.
    let registry = Arc::new(OfflineRegistry::new("docker.io"));
    let rules = RepositoryRules {
        allow: vec!["library/*".parse().unwrap()],
        deny: vec!["*/evil".parse().unwrap()],
    };
    let api = api_with(registry, rules, RateLimited::Unavailable);
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
}
