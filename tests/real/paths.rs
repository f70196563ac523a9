//! Paths that mean nothing, or two things, stop here; paths that mean the same lead to the same.
//!
//! What a path may be is in the OCI distribution spec ("Pulling manifests", the grammar of names and tags) and RFC 3986,
//! section 3.3. Paths go out as raw bytes.

use std::time::Duration;

use crate::support::bound::within;
use crate::support::http::{get, send};
use crate::support::noise;
use crate::support::raw::raw;
use crate::support::upstream::Upstream;

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn request(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nHost: mirror\r\n\r\n"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn item_05_09_15_paths_that_mean_nothing_or_two_things_stop_here() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let long_name = format!("/v2/{}/manifests/latest", "a".repeat(256));
    let long_tag = format!("/v2/library/a/manifests/{}", "t".repeat(129));
    let upper_digest = format!("/v2/library/a/blobs/sha256:{}", "AB".repeat(32));
    let elsewhere = format!("/v2/library/a/blobs/sha256:{ZEROS}?ns=169.254.169.254");
    let name: &[&str] = &["NAME_INVALID"];
    let tag: &[&str] = &["MANIFEST_UNKNOWN"];
    let digest: &[&str] = &["DIGEST_INVALID"];
    let any: &[&str] = &[];
    #[rustfmt::skip]
    let rows: &[(&[u8], &[u16], &[&str])] = &[
        (b"/v2/library%2Fa/manifests/latest",            &[400],      name),
        (b"/v2/library/a%2F..%2Fb/manifests/latest",     &[400],      name),
        (b"/v2/library//a/manifests/latest",             &[400, 404], any),
        (b"//v2/library/a/manifests/latest",             &[400, 404], any),
        (b"/v2//library/a/manifests/latest",             &[400, 404], any),
        (b"/v2/library/./a/manifests/latest",            &[400, 404], any),
        (b"/v2/library/../a/manifests/latest",           &[400, 404], any),
        (b"/v2/../v2/library/a/manifests/latest",        &[400, 404], any),
        (b"/v2/library/%2e%2e/a/manifests/latest",       &[400, 404], any),
        (b"/v2/library/%2E/a/manifests/latest",          &[400, 404], any),
        (b"/v2/library/a\\b/manifests/latest",           &[400, 404], any),
        (b"/v2/library/a%5Cb/manifests/latest",          &[400, 404], any),
        (b"/v2/library/a%00/manifests/latest",           &[400, 404], any),
        (b"/v2/library/a\0b/manifests/latest",           &[400, 404], any),
        (b"/v2/library/a%FFb/manifests/latest",          &[400, 404], any),
        (b"/v2/library/a\xFFb/manifests/latest",         &[400, 404], any),
        (b"/v2/library/a%zz/manifests/latest",           &[400, 404], any),
        (b"/v2/library/a%0d%0aX-Y:%20z/manifests/latest",&[400, 404], any),
        (b"/v2/Library/A/manifests/latest",              &[400],      name),
        (b"/v2/library/a/b_-c/manifests/latest",         &[400],      name),
        (b"/v2/-library/a/manifests/latest",             &[400],      name),
        (long_name.as_bytes(),                           &[400],      name),
        (long_tag.as_bytes(),                            &[404],      tag),
        (b"/v2/library/a/manifests/.latest",             &[404],      tag),
        (b"/v2/library/a/manifests/sha256:abc",          &[400],      digest),
        (b"/v2/library/a/blobs/sha256:abc",              &[400],      digest),
        (b"/v2/library/a/blobs/latest",                  &[400],      digest),
        (upper_digest.as_bytes(),                        &[400],      digest),
        (elsewhere.as_bytes(),                           &[400],      any),
        (b"/v2/library/a/manifests/latest?ns=localhost", &[400],      any),
        (b"/v2/library/a/manifests/latest?ns=ghcr.io",   &[400],      any),
        (b"/v2/ghcr.io/o/r/manifests/latest",            &[400, 404], any),
        (b"/v2/library/a/manifests/",                    &[400, 404], any),
        (b"/v2/library/a/nothing",                       &[404],      any),
        (b"/v2/manifests/latest",                        &[400, 404], any),
        (b"/",                                           &[404],      any),
        (b"/v2x",                                        &[404],      any),
    ];
    for (target, statuses, codes) in rows {
        let shown = String::from_utf8_lossy(target);
        let got = raw(mirror.address, &request(target))
            .await
            .unwrap_or_else(|| panic!("no answer to {shown}"));
        assert!(
            statuses.contains(&got.status),
            "{shown}: {got:?}, wanted {statuses:?}"
        );
        assert!(got.json, "{shown}: not a JSON body: {got:?}");
        let code = got
            .code
            .as_deref()
            .unwrap_or_else(|| panic!("{shown}: no code: {got:?}"));
        assert!(
            codes.is_empty() || codes.contains(&code),
            "{shown}: {code}, wanted {codes:?}"
        );
        assert!(got.after.is_sane(), "{shown}: then {:?}", got.after);
    }
    upstream.heard_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_03_07_item_15_writing_is_refused_with_a_reason() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let blob = format!("/v2/library/a/blobs/sha256:{ZEROS}");
    for (method, target) in [
        ("POST", "/v2/library/a/blobs/uploads/"),
        ("PUT", "/v2/library/a/manifests/latest"),
        ("PATCH", "/v2/library/a/blobs/uploads/1"),
        ("DELETE", "/v2/library/a/manifests/latest"),
        ("DELETE", &blob),
    ] {
        let answer = send(mirror.address, method, target, &[], b"")
            .await
            .whole()
            .await;
        assert_eq!(answer.status(), 405, "{method} {target}: {}", answer.text());
        assert_eq!(
            answer.error_code().as_deref(),
            Some("UNSUPPORTED"),
            "{method} {target}"
        );
        assert!(
            answer.head.field("allow").is_some(),
            "{method} {target}: {:?}",
            answer.head
        );
    }
    upstream.heard_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn item_01_02_the_version_check_answers_with_and_without_its_slash() {
    let (mut upstream, mirror) = Upstream::mirrored().await;
    upstream.tap.on("/v2/").never_answer();
    for state in ["silent", "gone"] {
        for target in ["/v2/", "/v2", "/docker.io/v2/", "/v2/?ns=docker.io"] {
            let answer = get(mirror.address, target);
            let answer = within("the version check", Duration::from_secs(1), answer).await;
            assert_eq!(answer.status(), 200, "{target}, upstream {state}");
            assert_eq!(
                answer.head.field("docker-distribution-api-version"),
                Some("registry/2.0"),
                "{target}"
            );
        }
        if state == "silent" {
            upstream.tap.close().await;
        }
    }
    assert_eq!(upstream.tap.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn item_06_07_08_10_one_blob_has_many_addresses_and_crosses_once() {
    let (upstream, mirror) = Upstream::mirrored().await;
    let bytes = noise(2, 100_000);
    let digest = upstream.registry.push_blob("library/a", &bytes).await;
    let encoded = digest.replace(':', "%3A");
    for target in [
        format!("/v2/library/a/blobs/{digest}"),
        format!("/v2/library/a/blobs/{encoded}"),
        format!("/v2/a/blobs/{digest}"),
        format!("/v2/docker.io/library/a/blobs/{digest}"),
        format!("/docker.io/v2/library/a/blobs/{digest}"),
        format!("/v2/library/a/blobs/{digest}?ns=docker.io"),
        format!("/v2/library/a/blobs/{digest}?ns=index.docker.io"),
        format!("/v2/library/a/blobs/{digest}?ns=registry-1.docker.io"),
    ] {
        let answer = get(mirror.address, &target).await;
        assert_eq!(
            (answer.status(), answer.complete),
            (200, true),
            "{target}: {}",
            answer.head.start
        );
        assert!(answer.body == bytes, "{target}: other bytes");
    }
    assert_eq!(upstream.tap.blobs()[&digest].gets, 1);
}
