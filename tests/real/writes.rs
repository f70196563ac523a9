//! Writes, and places that an upstream would send writers to: the mirror is read-only, and no client is sent anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::digest;
use crate::support::http::send;
use crate::support::mirror::Plan;
use crate::support::scripted::{Reply, Scripted};

/// Where an upstream that means harm would like to see what clients bring.
const ELSEWHERE: &str = "https://evil.example/upload/1?sig=s3cret";

#[tokio::test(flavor = "multi_thread")]
async fn item_88_incidents_03_07_nobody_who_writes_is_sent_anywhere_and_upstream_is_not_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let upstream = Scripted::start(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply::new(202, b"").field("Location", ELSEWHERE)
    })
    .await;
    let blob = digest(b"any");
    for clients in [None, Some("mirror")] {
        let plan = Plan::of_url(upstream.url());
        let plan = match clients {
            Some(realm) => plan.serving_clients(realm),
            None => plan,
        };
        let mirror = plan.start().await;
        let mut tried = 0;
        for prefix in ["/v2", "/v2/docker.io", "/docker.io/v2"] {
            for (methods, rest) in [
                (&["POST"][..], "blobs/uploads/".to_owned()),
                (&["POST"], format!("blobs/uploads/?digest={blob}")),
                (
                    &["POST"],
                    format!("blobs/uploads/?mount={blob}&from=library/b"),
                ),
                (&["PATCH", "PUT", "DELETE"], "blobs/uploads/1-2".to_owned()),
                (
                    &["PUT", "PATCH", "POST", "DELETE"],
                    format!("blobs/uploads/1?digest={blob}"),
                ),
                (
                    &["PUT", "POST", "PATCH", "DELETE"],
                    "manifests/1".to_owned(),
                ),
                (
                    &["PUT", "POST", "PATCH", "DELETE"],
                    format!("manifests/{blob}"),
                ),
                (&["PUT", "POST", "PATCH", "DELETE"], format!("blobs/{blob}")),
                (&["PUT", "POST", "DELETE"], "tags/list".to_owned()),
                (&["PUT", "POST", "DELETE"], format!("referrers/{blob}")),
            ] {
                for method in methods {
                    let join = if rest.contains('?') { '&' } else { '?' };
                    for ns in [String::new(), format!("{join}ns=docker.io")] {
                        let target = format!("{prefix}/library/a/{rest}{ns}");
                        let answer = send(mirror.address, method, &target, &[], b"bytes").await;
                        let answer = answer.whole().await;
                        let told = answer.text();
                        assert_eq!(answer.status(), 405, "{method} {target}: {told}");
                        let code = answer.error_code();
                        assert_eq!(code.as_deref(), Some("UNSUPPORTED"), "{method} {target}");
                        assert_eq!(answer.head.field("location"), None, "{method} {target}");
                        assert_eq!(answer.head.field("docker-upload-uuid"), None);
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 100);
        assert_eq!(asked.load(Ordering::SeqCst), 0, "upstream was asked");
        // What overrides a method elsewhere overrides none here.
        for name in [
            "X-HTTP-Method-Override",
            "X-HTTP-Method",
            "X-Method-Override",
        ] {
            let fields = [(name, "PUT")];
            let target = "/v2/library/a/blobs/uploads/1";
            let answer = send(mirror.address, "GET", target, &fields, b"").await;
            assert!(answer.head.status().unwrap() >= 400, "{name}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0, "upstream was asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_88_a_place_that_upstream_names_is_never_told_to_a_client_who_reads() {
    let blob = digest(b"any");
    for status in [200, 201, 202, 204, 206, 401, 404, 429, 500] {
        let upstream =
            Scripted::start(move |_| Reply::new(status, b"").field("Location", ELSEWHERE)).await;
        let mirror = Plan::of_url(upstream.url()).start().await;
        for rest in [
            "manifests/1".to_owned(),
            format!("manifests/{blob}"),
            format!("blobs/{blob}"),
            "tags/list".to_owned(),
            format!("referrers/{blob}"),
            "blobs/uploads/1".to_owned(),
        ] {
            for method in ["GET", "HEAD"] {
                let target = format!("/v2/library/a/{rest}");
                let answer = send(mirror.address, method, &target, &[], b"").await;
                let answer = answer.whole().await;
                let fields = format!("{:?}", answer.head.fields);
                assert_eq!(
                    answer.head.field("location"),
                    None,
                    "{status} {method} {rest}"
                );
                for told in [fields, answer.text()] {
                    assert!(
                        !told.contains("evil.example"),
                        "{status} {method} {rest}: {told}"
                    );
                }
            }
        }
        assert!(!mirror.log().contains("s3cret"), "{status}");
    }
}
