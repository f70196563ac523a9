//! Registries as they are: what is peculiar to each, in one conversation or two.
//!
//! What several of them do is shown once, elsewhere among the scenarios: limits and 429 (`rates`), challenges without
//! 401, bare 401s and realms that change (`auth`), HEAD of blobs refused (`blobs`), ranges refused or answered whole
//! (`ranges`), signed URLs past their time (`redirects`), no referrers (`referrers`), pages in HTML (`weather`).

mod amazon;
mod docker_hub;
mod gitlab;
mod google;
mod microsoft;
mod nvidia;
mod on_premises;
mod public;

use super::blobs::{BLOB, ranged, read};
use super::server::{Reply, Request, Server};
use super::*;
use crate::oci::{MediaType, RangeSpec};
use crate::upstream::{BlobBody, Listing, ManifestBody};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A realm that gives everyone this token, on a host of its own.
async fn realm(token: &str) -> Server {
    let answer = format!(r#"{{"token":"{token}","expires_in":300}}"#);
    Server::start(move |_| Reply::ok(answer.clone())).await
}

/// A storage that answers ranges, and everyone who comes with credentials as such storages do.
async fn storage() -> Server {
    Server::start(|request| match request.authorization() {
        Some(_) => Reply::status(400).body("InvalidAuthenticationInfo"),
        None => ranged(request),
    })
    .await
}

/// Whether a request carries this token.
fn bears(request: &Request, token: &str) -> bool {
    let value = request
        .authorization()
        .and_then(|it| it.strip_prefix("Bearer "));
    value == Some(token)
}

fn as_user(server: &Server, username: &str) -> Settings {
    Settings {
        credentials: Credentials::Own {
            username: username.into(),
            password: "secret".into(),
        },
        ..settings(server)
    }
}

async fn manifest(registry: &HttpRegistry, accepts: Accepts) -> Result<ManifestBody, ErrorKind> {
    let body = registry.get_manifest(&repository(), &tag(), accepts).await;
    body.map_err(|error| error.kind().clone())
}

async fn blob(registry: &HttpRegistry, part: impl Into<Option<RangeSpec>>) -> BlobBody {
    let body = registry
        .get_blob(&repository(), &digest(), part.into())
        .await;
    body.unwrap()
}

async fn blob_size(registry: &HttpRegistry) -> u64 {
    let head = registry.head_blob(&repository(), &digest()).await;
    head.unwrap().size
}

/// The methods and targets of all requests so far, one a line.
fn asked(server: &Server) -> Vec<String> {
    let line = |request: &Request| format!("{} {}", request.method, request.target);
    server.requests().iter().map(line).collect()
}

#[tokio::test]
async fn item_25_a_sha512_manifest_keeps_its_name() {
    let name = format!("sha512:{}", "0123456789abcdef".repeat(8));
    let digest: Digest = name.parse().unwrap();
    let header = name.clone();
    let server =
        Server::start(move |_| Reply::ok(BODY).header("Docker-Content-Digest", &header)).await;
    let reference = Reference::Digest(digest.clone());
    let registry = registry(&server);
    let repository = repository();
    let body = registry.get_manifest(&repository, &reference, Accepts::MODERN);
    assert_eq!(body.await.unwrap().digest, Some(digest.clone()));
    let head = registry.head_manifest(&repository, &reference, Accepts::MODERN);
    assert_eq!(head.await.unwrap().digest, Some(digest));
    assert_eq!(
        server.requests()[0].target,
        format!("/v2/library/alpine/manifests/{name}")
    );
}

#[tokio::test]
async fn item_68_what_one_upstream_was_given_is_not_shown_to_another() {
    let first = Server::start_at(|url| {
        move |request| match request.path() {
            "/token" => Reply::ok(r#"{"token":"first"}"#),
            _ if bears(request, "first") => Reply::ok(BODY),
            _ => Reply::bearer(&format!("{url}/token")),
        }
    })
    .await;
    let second = Server::start(|_| Reply::challenge("Basic realm=\"r\"")).await;
    pull(&registry_with(&own(&first))).await.unwrap();
    pull(&registry(&second)).await.unwrap_err();
    assert_eq!(second.requests()[0].authorization(), None);
}
