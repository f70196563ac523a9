//! Clients served as themselves: the binary in front of real registries that ask, with real clients and plain requests.

mod elsewhere;
mod people;
mod random;
mod requests;
mod secrets;

use std::net::SocketAddr;

use crate::support::http::{Answer, get, send};
use crate::support::images::{Format, Layout};
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::Access;
use crate::support::token::basic;
use crate::support::upstream::Upstream;

/// A user of the token server who may pull what the test says: name and password.
const ALICE: (&str, &str) = ("alice", "alices-passw0rd");
/// Another.
const BOB: (&str, &str) = ("bob", "bobs-passw0rd");

/// A private image in an upstream.
struct Private {
    repository: &'static str,
    manifest: String,
    /// The digest of its one layer.
    blob: String,
    layout: Layout,
}

/// Pushes an image of its own to `repository`.
async fn push(upstream: &Upstream, repository: &'static str, seed: u64) -> Private {
    let layout = Layout::image(seed, &[200_000]);
    let registry = &upstream.registry;
    let manifest = registry.push(&layout, repository, "1", Format::Oci).await;
    Private {
        repository,
        manifest,
        blob: layout.layers()[0].blob.clone(),
        layout,
    }
}

/// A registry that asks for tokens, with `secret/a` for alice; bob is known and may pull nothing. And a mirror that
/// serves its clients as themselves, and gives out the tokens itself.
async fn harbour(server: &str) -> (Upstream, Mirror, Private) {
    let upstream = Upstream::start(Access::Bearer).await;
    let private = push(&upstream, "secret/a", 7).await;
    let registry = &upstream.registry;
    registry
        .push(&private.layout, "secret/a", "latest", Format::Oci)
        .await;
    let tokens = upstream.registry.tokens();
    tokens.knows(ALICE.0, ALICE.1, &["secret/a"]);
    tokens.knows(BOB.0, BOB.1, &[]);
    let plan = Plan::of(&upstream.tap).serving_clients("mirror");
    let mirror = plan.of_server(server).start().await;
    upstream.tap.forget();
    (upstream, mirror, private)
}

/// A GET that shows something.
async fn get_as(from: SocketAddr, target: &str, authorization: Option<&str>) -> Answer {
    match authorization {
        Some(shown) => {
            let fields = [("Authorization", shown)];
            send(from, "GET", target, &fields, b"").await.whole().await
        }
        None => get(from, target).await,
    }
}

/// The value of `Authorization` with a token of the mirror's for this user and repository.
async fn token(mirror: &Mirror, user: Option<(&str, &str)>, repository: &str) -> String {
    let target = format!("/token?service=docker.io&scope=repository:{repository}:pull");
    let shown = user.map(|(name, password)| basic(name, password));
    let answer = get_as(mirror.address, &target, shown.as_deref()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    format!("Bearer {}", document["token"].as_str().unwrap())
}

/// All that can be read of the image, with the status of each.
async fn reads(mirror: &Mirror, repository: &str, image: &Private, shown: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, target, range) in [
        ("GET", "manifests/1".to_owned(), None),
        ("HEAD", "manifests/1".to_owned(), None),
        ("GET", "manifests/latest".to_owned(), None),
        ("GET", format!("manifests/{}", image.manifest), None),
        ("GET", format!("blobs/{}", image.blob), None),
        ("HEAD", format!("blobs/{}", image.blob), None),
        ("GET", format!("blobs/{}", image.blob), Some("bytes=0-9")),
        ("GET", "tags/list".to_owned(), None),
        ("GET", format!("referrers/{}", image.manifest), None),
    ] {
        let target = format!("/v2/{repository}/{target}");
        let mut fields = Vec::new();
        if !shown.is_empty() {
            fields.push(("Authorization", shown));
        }
        fields.extend(range.map(|range| ("Range", range)));
        let answer = send(mirror.address, method, &target, &fields, b"").await;
        statuses.push(answer.whole().await.status());
    }
    statuses
}
