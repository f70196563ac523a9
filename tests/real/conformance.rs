//! What the conformance suite of the OCI distribution spec asks of a registry that nobody pushes to: asked here of the
//! mirror and of the registry behind it, and compared.

use serde_json::{Value, json};

use crate::support::digest;
use crate::support::http::{Answer, send};
use crate::support::mirror::{Mirror, Plan};
use crate::support::noise;
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const REPOSITORY: &str = "library/conform";
const ZEROS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A mirror of a registry that holds what the suite wants to find.
struct Suite {
    upstream: Upstream,
    mirror: Mirror,
    /// The configuration, a layer, and a blob of no bytes.
    blobs: [String; 3],
    /// An image and an index of it.
    manifests: [String; 2],
}

impl Suite {
    async fn start() -> Self {
        let upstream = Upstream::start(Access::Open).await;
        let registry = &upstream.registry;
        let config = br#"{"architecture":"amd64","os":"linux"}"#;
        let layer = noise(1, 9000);
        let blobs = [
            registry.push_blob(REPOSITORY, config).await,
            registry.push_blob(REPOSITORY, &layer).await,
            registry.push_blob(REPOSITORY, b"").await,
        ];
        let descriptor = |media_type: &str, digest: &str, size: usize| json!({"mediaType": media_type, "digest": digest, "size": size});
        let layer_type = "application/vnd.oci.image.layer.v1.tar";
        let config_type = "application/vnd.oci.image.config.v1+json";
        let layers = [
            descriptor(layer_type, &blobs[1], layer.len()),
            descriptor(layer_type, &blobs[2], 0),
        ];
        let image = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(config_type, &blobs[0], config.len()), "layers": layers,
        })
        .to_string();
        for tag in ["test0", "test1", "test2", "test3"] {
            let bytes = image.as_bytes();
            registry
                .put_manifest(REPOSITORY, tag, MANIFEST, bytes)
                .await;
        }
        let of_image = descriptor(MANIFEST, &digest(image.as_bytes()), image.len());
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [of_image]});
        let index = index.to_string();
        registry
            .put_manifest(REPOSITORY, "index", INDEX, index.as_bytes())
            .await;
        let manifests = [digest(image.as_bytes()), digest(index.as_bytes())];
        let mirror = Plan::of(&upstream.tap).start().await;
        Self {
            upstream,
            mirror,
            blobs,
            manifests,
        }
    }

    /// The answers of the mirror and of the registry itself.
    async fn both(&self, method: &str, target: &str) -> [Answer; 2] {
        let accept = format!("{MANIFEST}, {INDEX}");
        let fields = [("Accept", &*accept)];
        let ask = async |to| {
            let answer = send(to, method, target, &fields, b"").await;
            answer.whole().await
        };
        let [mirror, origin] = [self.mirror.address, self.upstream.registry.address()];
        [ask(mirror).await, ask(origin).await]
    }

    /// Asks twice, the first time cold, by HEAD and by GET. Where the registry says yes, the mirror says the same in the
    /// same words; where it says no, with the same status, and the reason as the spec has it.
    async fn same(&self, target: &str, status: u16) {
        for round in ["cold", "warm"] {
            for method in ["HEAD", "GET"] {
                let [ours, origins] = self.both(method, target).await;
                let what = format!("{method} {target}, {round}");
                let (said, theirs) = (ours.status(), origins.status());
                assert_eq!((said, theirs), (status, status), "{what}: {}", ours.text());
                match (method, status) {
                    ("HEAD", _) => assert_eq!(ours.body.len(), 0, "{what}"),
                    (_, 200) => assert!(ours.body == origins.body, "{what}: other bytes"),
                    _ => assert!(ours.error_code().is_some(), "{what}: {}", ours.text()),
                }
                let fields = [
                    "content-length",
                    "content-type",
                    "docker-content-digest",
                    "etag",
                ];
                for field in fields.iter().filter(|_| status == 200) {
                    let said = ours.head.field(field);
                    assert_eq!(said, origins.head.field(field), "{what}: {field}");
                    assert!(said.is_some(), "{what}: no {field}");
                }
            }
        }
    }

    /// All tags that the mirror, or else the registry itself, tells on the pages from this target on.
    async fn walk(&self, of_mirror: bool, target: &str) -> Vec<String> {
        let (mut next, mut found) = (Some(target.to_owned()), Vec::new());
        while let Some(target) = next {
            let [ours, origins] = self.both("GET", &target).await;
            let answer = if of_mirror { ours } else { origins };
            assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
            found.extend(tags(&answer));
            next = answer.head.field("link").map(|link| {
                let (path, relation) = link[1..].split_once('>').unwrap();
                assert_eq!(relation, "; rel=\"next\"", "{link}");
                assert!(!of_mirror || path.starts_with("/v2/"), "{link}");
                path.to_owned()
            });
        }
        found.sort();
        found
    }
}

/// The tags that an answer lists, sorted: the registry tells them in any order.
fn tags(answer: &Answer) -> Vec<String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["name"], REPOSITORY);
    let mut tags: Vec<String> = serde_json::from_value(body["tags"].clone()).unwrap();
    tags.sort();
    tags
}

#[tokio::test(flavor = "multi_thread")]
async fn item_11_30_what_is_there_is_given_as_the_registry_gives_it() {
    let suite = Suite::start().await;
    for blob in &suite.blobs {
        let target = format!("/v2/{REPOSITORY}/blobs/{blob}");
        suite.same(&target, 200).await;
    }
    let [image, index] = &suite.manifests;
    for reference in ["test0", "test3", "index", image, index] {
        let target = format!("/v2/{REPOSITORY}/manifests/{reference}");
        suite.same(&target, 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_15_what_is_not_there_is_not_found() {
    let suite = Suite::start().await;
    for path in [
        format!("{REPOSITORY}/blobs/{ZEROS}"),
        format!("{REPOSITORY}/manifests/{ZEROS}"),
        format!("{REPOSITORY}/manifests/none"),
        // The suite's own example of a manifest that does not exist.
        format!("{REPOSITORY}/manifests/.INVALID_MANIFEST_NAME"),
        format!("library/none/manifests/{ZEROS}"),
        format!("library/none/blobs/{ZEROS}"),
        // Its bytes are here, but not in this repository.
        format!("library/none/blobs/{}", suite.blobs[1]),
        "library/none/manifests/test0".to_owned(),
    ] {
        suite.same(&format!("/v2/{path}"), 404).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn item_05_15_what_cannot_be_is_a_bad_request() {
    let suite = Suite::start().await;
    suite.upstream.tap.forget();
    let digest = "DIGEST_INVALID";
    for (path, code) in [
        (format!("{REPOSITORY}/blobs/sha256:totallywrong"), digest),
        (
            format!("{REPOSITORY}/manifests/sha256:totallywrong"),
            digest,
        ),
        (format!("{REPOSITORY}/blobs/{}", &ZEROS[..70]), digest),
        (
            format!("{REPOSITORY}/referrers/sha256:totallywrong"),
            digest,
        ),
        ("Library/conform/manifests/test0".to_owned(), "NAME_INVALID"),
        (
            "library/con--_form/manifests/test0".to_owned(),
            "NAME_INVALID",
        ),
    ] {
        for method in ["GET", "HEAD", "PUT"] {
            let target = format!("/v2/{path}");
            let [ours, origins] = suite.both(method, &target).await;
            assert_eq!(ours.status(), 400, "{method} {path}");
            // The registry's router knows no such path, or its handler says what we say, or stumbles.
            let theirs = origins.status();
            assert!(
                matches!(theirs, 400 | 404 | 500),
                "{method} {path}: {theirs}"
            );
            if method != "HEAD" {
                assert_eq!(ours.error_code().as_deref(), Some(code), "{path}");
            }
        }
    }
    suite.upstream.heard_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn item_01_the_base_is_answered_as_the_registry_answers_it() {
    let suite = Suite::start().await;
    for target in ["/v2/", "/v2"] {
        for method in ["GET", "HEAD"] {
            let head = send(suite.mirror.address, method, target, &[], b"")
                .await
                .head;
            assert_eq!(head.status(), Some(200), "{method} {target}");
            let version = head.field("docker-distribution-api-version");
            assert_eq!(version, Some("registry/2.0"), "{method} {target}");
            assert_eq!(head.field("location"), None, "{method} {target}");
        }
    }
    let [ours, origins] = suite.both("GET", "/v2/").await;
    assert_eq!(ours.text(), origins.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn item_51_tags_are_listed_whole_and_in_pages_as_the_registry_lists_them() {
    let suite = Suite::start().await;
    let list = format!("/v2/{REPOSITORY}/tags/list");
    let all = ["index", "test0", "test1", "test2", "test3"];
    let [_, origins] = suite.both("GET", &list).await;
    assert_eq!(tags(&origins), all);
    for query in ["", "?n=5", "?n=1000000", "?n=99999999999999999999"] {
        let [ours, _] = suite.both("GET", &format!("{list}{query}")).await;
        assert_eq!(ours.status(), 200, "{query}");
        assert_eq!(tags(&ours), all, "{query}");
    }
    let [nothing, _] = suite.both("GET", &format!("{list}?n=0")).await;
    assert_eq!((nothing.status(), tags(&nothing).len()), (200, 0));
    assert_eq!(nothing.head.field("link"), None);
    for query in ["?n=2", "?n=1"] {
        let target = format!("{list}{query}");
        assert_eq!(suite.walk(false, &target).await, all, "{query}");
        assert_eq!(suite.walk(true, &target).await, all, "{query}");
    }
    let [ours, origins] = suite.both("GET", &format!("{list}?last=nobody")).await;
    assert_eq!((ours.status(), origins.status()), (200, 200));
    for bad in ["many", "-1"] {
        let [ours, _] = suite.both("GET", &format!("{list}?n={bad}")).await;
        let code = ours.error_code();
        let expected = (400, Some("PAGINATION_NUMBER_INVALID"));
        assert_eq!((ours.status(), code.as_deref()), expected, "{bad}");
    }
    let [ours, origins] = suite.both("GET", "/v2/library/none/tags/list").await;
    assert_eq!((ours.status(), origins.status()), (404, 404));
    assert_eq!(ours.error_code().as_deref(), Some("NAME_UNKNOWN"));
}
