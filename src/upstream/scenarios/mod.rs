//! Whole conversations with a scripted registry on loopback.

#![allow(clippy::unwrap_used, clippy::format_push_string)]

mod auth;
mod blobs;
mod clients;
mod failures;
mod manifests;
mod programs;
mod quirks;
mod ranges;
mod rates;
mod realms;
mod redirects;
mod referrers;
mod reply;
mod server;
mod weather;

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpSocket;

use super::{Credentials, ErrorKind, HttpRegistry, ManifestHead, Metrics, Registry, Settings};
use crate::oci::{Accepts, Digest, Reference, Repository};
use server::Server;

const BODY: &str = r#"{"schemaVersion":2}"#;
const MANIFEST: &str = "/v2/library/alpine/manifests/3";
const SCOPE: &str = "repository:library/alpine:pull";

/// `robot:hunter2`, as [`own`] says it.
const BASIC: &str = "Basic cm9ib3Q6aHVudGVyMg==";

fn repository() -> Repository {
    "library/alpine".parse().unwrap()
}

fn tag() -> Reference {
    "3".parse().unwrap()
}

fn digest() -> Digest {
    Digest::sha256_of(b"blob")
}

fn blob_path() -> String {
    format!("/v2/library/alpine/blobs/{}", digest())
}

fn settings(server: &Server) -> Settings {
    Settings::new("test", server.url())
}

fn own(server: &Server) -> Settings {
    Settings {
        credentials: Credentials::Own {
            username: "robot".into(),
            password: "hunter2".into(),
        },
        ..settings(server)
    }
}

fn registry_with(settings: &Settings) -> HttpRegistry {
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    HttpRegistry::new(settings, &metrics).unwrap()
}

fn registry(server: &Server) -> HttpRegistry {
    registry_with(&settings(server))
}

/// A bound that runs out soon, for tests in which it must.
const SOON: Duration = Duration::from_millis(300);

/// An address on loopback that refuses connections for as long as the socket lives: nobody else gets its port.
fn closed_port() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

/// Lets time pass. It is never paused while something is on the wire: a paused clock would not wait for that.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Fetches the manifest and gives its bytes, or what went wrong.
async fn pull(registry: &HttpRegistry) -> Result<Vec<u8>, ErrorKind> {
    match registry
        .get_manifest(&repository(), &tag(), Accepts::MODERN)
        .await
    {
        Ok(body) => Ok(body.bytes.to_vec()),
        Err(error) => Err(error.kind().clone()),
    }
}

/// What a HEAD of the manifest tells, or what went wrong.
async fn head(registry: &HttpRegistry) -> Result<ManifestHead, ErrorKind> {
    let (repository, tag) = (repository(), tag());
    let head = registry.head_manifest(&repository, &tag, Accepts::MODERN);
    head.await.map_err(|error| error.kind().clone())
}
