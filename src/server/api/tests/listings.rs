//! Tags, catalog and referrers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::oracle::Oracle;
use super::surface::{Surface, api_of, ask};
use crate::oci::Digest;
use crate::server::RateLimited;
use crate::upstream::{ErrorKind, ListBody, Listing};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn tags(tags: &[&str], next: Option<&str>) -> ListBody {
    ListBody {
        bytes: Bytes::from(json!({"name": "library/a", "tags": tags}).to_string()),
        next: next.map(str::to_owned),
        is_filtered: false,
    }
}

/// Three pages, found by parameters that are upstream's own.
fn three_pages(query: &str) -> ListBody {
    match query {
        "n=1" => tags(&["1"], Some("n=1&next_page=x%2Fy%3D%3D&orderby=time")),
        "n=1&next_page=x%2Fy%3D%3D&orderby=time" => tags(&["2"], Some("n=1&last=2")),
        "n=1&last=2" => tags(&["3"], None),
        other => panic!("{other}"),
    }
}

fn code(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["errors"][0]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn item_52_53_three_pages_can_be_walked_under_every_address() {
    for (host, first) in [
        ("mirror.test", "/v2/a/tags/list?n=1"),
        ("mirror.test", "/v2/docker.io/library/a/tags/list?n=1"),
        ("mirror.test", "/docker.io/v2/a/tags/list?n=1"),
        ("mirror.test", "/v2/library/a/tags/list?ns=docker.io&n=1"),
        ("hub.mirror.test", "/v2/a/tags/list?n=1"),
        ("mirror.test", "/v2/_catalog?n=1"),
        ("mirror.test", "/v2/docker.io/_catalog?n=1"),
    ] {
        let oracle = Arc::new(Oracle::listing(|_, query| Ok(three_pages(query))));
        let api = api_of(Arc::clone(&oracle) as _, RateLimited::Unavailable);
        let (path, _) = first.split_once('?').unwrap();
        let (mut target, mut found) = (Some(first.to_owned()), Vec::new());
        while let Some(page) = target {
            assert!(page.starts_with(&format!("{path}?")), "{page}");
            assert_eq!(page.contains("ns=docker.io"), first.contains("ns="));
            let (status, headers, body) = ask(&api, "GET", &page, &[("host", host)]).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            assert_eq!(headers["content-type"], "application/json");
            let body: Value = serde_json::from_slice(&body).unwrap();
            found.push(body["tags"][0].as_str().unwrap().to_owned());
            // Nothing in front of the path: it is on whatever host and scheme the client used.
            target = headers.get("link").map(|link| {
                let link = link.to_str().unwrap().strip_prefix('<').unwrap();
                link.strip_suffix(">; rel=\"next\"").unwrap().to_owned()
            });
        }
        assert_eq!(found, ["1", "2", "3"], "{first}");
        assert_eq!(oracle.listed().len(), 3);
    }
}

#[tokio::test]
async fn incident_04_item_51_the_size_of_a_page_is_checked_and_bounded_here() {
    let oracle = Arc::new(Oracle::listing(|_, _| Ok(tags(&["1"], None))));
    let api = api_of(Arc::clone(&oracle) as _, RateLimited::Unavailable);
    for list in ["/v2/a/tags/list", "/v2/_catalog"] {
        for bad in ["-1", "many", "1.0", "%2D1"] {
            let target = format!("{list}?n={bad}");
            let (status, _, body) = ask(&api, "GET", &target, &[]).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{target}");
            assert_eq!(code(&body), "PAGINATION_NUMBER_INVALID");
        }
    }
    for (list, nothing) in [
        ("/v2/a/tags/list", json!({"name": "library/a", "tags": []})),
        ("/v2/_catalog", json!({"repositories": []})),
    ] {
        let target = format!("{list}?n=0&last=x");
        let (status, headers, body) = ask(&api, "GET", &target, &[]).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!headers.contains_key("link"));
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), nothing);
    }
    assert_eq!(oracle.listed(), Vec::<String>::new());
    for large in ["2147483648", "18446744073709551616", "99999999999999999999"] {
        let target = format!("/v2/a/tags/list?n={large}&last=nobody");
        assert_eq!(ask(&api, "GET", &target, &[]).await.0, StatusCode::OK);
    }
    let mut asked = oracle.listed();
    asked.dedup();
    assert_eq!(asked, ["n=1000&last=nobody"]);
}

#[tokio::test]
async fn item_55_referrers_are_an_index_and_say_when_they_were_filtered() {
    let of = |types: &[&str]| {
        let descriptor = |artifact_type: &&str| {
            let digest = Digest::sha256_of(artifact_type.as_bytes());
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest.as_str(), "size": 7, "artifactType": artifact_type,
            })
        };
        let manifests: Vec<_> = types.iter().map(descriptor).collect();
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    };
    // It can narrow the list to signatures, and to nothing else.
    let (all, signatures) = (of(&["a/signature", "a/sbom"]), of(&["a/signature"]));
    let told = (all.to_string(), signatures.to_string());
    let oracle = Arc::new(Oracle::listing(move |listing, query| {
        assert!(matches!(listing, Listing::Referrers(..)), "{listing:?}");
        let is_filtered = query.contains("signature");
        let told = if is_filtered { &told.1 } else { &told.0 };
        Ok(ListBody {
            bytes: Bytes::from(told.clone()),
            next: query.contains("sbom").then(|| format!("{query}&page=2")),
            is_filtered,
        })
    }));
    let api = api_of(Arc::clone(&oracle) as _, RateLimited::Unavailable);
    let path = format!("/v2/a/referrers/{}", Digest::sha256_of(b"subject"));
    for (query, own, index, link) in [
        ("", "-", &all, None),
        (
            "?artifactType=a%2Fsignature",
            "artifactType=a%2Fsignature",
            &signatures,
            None,
        ),
        (
            "?ns=docker.io&artifactType=a%2Fsbom",
            "artifactType=a%2Fsbom",
            &of(&["a/sbom"]),
            Some("artifactType=a%2Fsbom&page=2&ns=docker.io"),
        ),
    ] {
        let is_filtered = query.contains("artifactType");
        for method in ["GET", "HEAD"] {
            let target = format!("{path}{query}");
            let (status, headers, body) = ask(&api, method, &target, &[]).await;
            assert_eq!(status, StatusCode::OK, "{target}");
            assert_eq!(headers["content-type"], INDEX);
            let filters = headers.get("oci-filters-applied");
            let filters = filters.map(|filters| filters.to_str().unwrap());
            assert_eq!(filters, is_filtered.then_some("artifactType"), "{target}");
            let link = link.map(|query| format!("<{path}?{query}>; rel=\"next\""));
            let told = headers.get("link").map(|told| told.to_str().unwrap());
            assert_eq!(told, link.as_deref(), "{target}");
            if method == "GET" {
                assert_eq!(headers["content-length"], body.len().to_string());
                let body: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(&body, index, "{target}");
            }
        }
        assert_eq!(oracle.listed().last().map(String::as_str), Some(own));
    }
}

#[tokio::test]
async fn item_07_one_page_under_several_addresses_is_one_question() {
    let oracle = Arc::new(Oracle::listing(|_, _| Ok(tags(&["1"], None))));
    let api = api_of(Arc::clone(&oracle) as _, RateLimited::Unavailable);
    for (host, target) in [
        ("mirror.test", "/v2/a/tags/list?n=1"),
        ("mirror.test", "/v2/docker.io/library/a/tags/list?n=1"),
        (
            "mirror.test",
            "/v2/library/a/tags/list?ns=index.docker.io&n=1",
        ),
        ("hub.mirror.test", "/v2/a/tags/list?n=1"),
    ] {
        let (status, headers, _) = ask(&api, "GET", target, &[("host", host)]).await;
        assert_eq!(status, StatusCode::OK, "{host} {target}");
        assert_eq!(headers["age"], "0");
    }
    assert_eq!(oracle.listed(), ["n=1"]);
}

#[tokio::test]
async fn item_15_54_referrers_that_are_absent_are_never_a_name_that_is_unknown() {
    for (kind, status, told) in [
        (
            ErrorKind::NotFound {
                code: Some("NAME_UNKNOWN".to_owned()),
            },
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
        ),
        (
            ErrorKind::NotFound { code: None },
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
        ),
        (ErrorKind::Connect, StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
        (ErrorKind::Denied, StatusCode::FORBIDDEN, "DENIED"),
    ] {
        let kind = Arc::new(kind);
        let api = {
            let kind = Arc::clone(&kind);
            let oracle = Oracle::listing(move |_, _| Err(ErrorKind::clone(&kind)));
            api_of(Arc::new(oracle), RateLimited::Unavailable)
        };
        let zeros = format!("/v2/a/referrers/sha256:{}", "0".repeat(64));
        let (got, _, body) = ask(&api, "GET", &zeros, &[]).await;
        assert_eq!((got, code(&body).as_str()), (status, told), "{kind:?}");
    }
    let surface = Surface::new();
    for bad in ["sha256:abc", "latest", "sha256:"] {
        let target = format!("/v2/a/referrers/{bad}");
        let (status, _, body) = surface.ask("GET", &target, &[]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(code(&body), "DIGEST_INVALID");
    }
    assert_eq!(surface.house.upstream.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn too_many_requests_upstream_are_told_as_the_operator_chose() {
    for (limited, status, told) in [
        (RateLimited::Unavailable, 503, "UNAVAILABLE"),
        (RateLimited::TooManyRequests, 429, "TOOMANYREQUESTS"),
    ] {
        let oracle = Oracle::listing(|_, _| {
            Err(ErrorKind::TooManyRequests {
                retry_after: Some(Duration::from_secs(7)),
            })
        });
        let api = api_of(Arc::new(oracle), limited);
        let (got, headers, body) = ask(&api, "GET", "/v2/a/tags/list", &[]).await;
        assert_eq!((got.as_u16(), code(&body).as_str()), (status, told));
        assert_eq!(headers["retry-after"], "7");
    }
}
