//! What every case stands on: a real registry behind a tap, and how a server is filled from it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::load::ACCEPT;
use crate::options::Options;
use crate::peer::{DRAYAGE, Files, Peer};
use crate::results::Results;
use crate::support::bound::until;
use crate::support::http::send;
use crate::support::noise;
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

/// How long it may take until nothing crosses any more.
const PATIENCE: Duration = Duration::from_mins(10);

/// The repository of single blobs.
const REPOSITORY: &str = "library/cold";

/// The upstream, and what happens between it and the servers.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) upstream: Upstream,
}

impl Stage {
    /// An empty registry.
    pub(crate) async fn new() -> Self {
        let upstream = Upstream::start(Access::Open).await;
        Self { upstream }
    }

    /// Where the servers find the registry: at the tap.
    pub(crate) fn url(&self) -> String {
        self.upstream.tap.url()
    }

    /// The tap itself, for who pulls without a server between.
    pub(crate) fn direct(&self) -> SocketAddr {
        self.upstream.tap.address()
    }

    /// Puts a blob of so many bytes into the registry. Different seeds make different blobs.
    pub(crate) async fn blob(&self, seed: u64, size: usize) -> Blob {
        let bytes = noise(seed, size);
        let digest = self.upstream.registry.push_blob(REPOSITORY, &bytes).await;
        Blob {
            path: format!("/v2/{REPOSITORY}/blobs/{digest}"),
            bytes,
        }
    }

    /// All who serve hits: the mirror, nginx with these files, docker-registry, and drayage where it is installed. The
    /// floor under them is none of them.
    pub(crate) async fn all_with(
        &self,
        files: Files<'_>,
        options: &Options,
        case: &'static str,
        results: &mut Results,
    ) -> Vec<Peer> {
        let url = self.url();
        let mut peers = vec![
            Peer::roadstead(&url).await,
            Peer::nginx_of(files).await,
            Peer::distribution(&url).await,
        ];
        if let Some(program) = &options.drayage {
            peers.push(Peer::drayage(program.clone(), &url).await);
        } else {
            let why = "is left out: it is not installed, for want of python3 with venv and pip, or of PyPI.";
            results.note(case, format!("{DRAYAGE} {why}"));
        }
        for peer in &peers {
            for (path, bytes) in files {
                self.fill(peer, path, bytes.len()).await;
            }
        }
        peers
    }

    /// Asks a server for something until it gives all of it without a byte of a blob from upstream.
    pub(crate) async fn fill(&self, peer: &Peer, path: &str, size: usize) {
        until(&format!("{peer:?} has {path}"), PATIENCE, async || {
            self.settled(peer).await;
            let tap = &self.upstream.tap;
            let before = tap.blob_bytes();
            assert_eq!(drain(peer.address, path).await, size as u64, "{peer:?}");
            self.settled(peer).await;
            tap.blob_bytes() == before
        })
        .await;
        self.upstream.tap.forget();
    }

    /// Waits until nothing crosses on behalf of this server, and it has put away what it got.
    pub(crate) async fn settled(&self, peer: &Peer) {
        until(&format!("{peer:?} rests"), PATIENCE, async || {
            let under_way = |request: &crate::support::tap::Request| request.ended.is_none();
            self.upstream.tap.count(under_way) == 0 && !peer.is_busy().await
        })
        .await;
    }
}

/// A blob in the registry.
#[derive(Debug)]
pub(crate) struct Blob {
    /// Its path, at the registry and at every server.
    pub(crate) path: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    /// As nginx is to have it.
    pub(crate) fn file(&self) -> (&str, &[u8]) {
        (&self.path, &self.bytes)
    }
}

/// Reads a whole body and drops it; returns its size.
pub(crate) async fn drain(from: SocketAddr, path: &str) -> u64 {
    let mut download = send(from, "GET", path, &[("Accept", ACCEPT)], b"").await;
    assert_eq!(download.head.status(), Some(200), "{from}{path}");
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        match download.next(&mut buffer).await {
            Some([]) => return size,
            Some(piece) => size += piece.len() as u64,
            None => panic!("{from}{path}: cut short after {size} bytes"),
        }
    }
}
