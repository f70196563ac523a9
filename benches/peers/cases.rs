//! What is measured, a file for each case.

mod blob_hits;
mod cold_blob;
mod cold_herd;
mod cold_range;
mod first_byte;
mod image_pull;
mod manifest_hits;
mod memory;
mod tls_hits;

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

use crate::load::{Window, Work, herd, work};
use crate::options::Options;
use crate::peer::Peer;
use crate::results::Results;
use crate::stage::Stage;

/// Bytes a second of the upstream where it is narrow.
const UPLINK: u64 = 100_000_000;

/// No download takes longer.
const LIMIT: Duration = Duration::from_mins(10);

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// Blobs that are here.
    BlobHits,
    /// The same over TLS, in HTTP/1.1 and HTTP/2.
    TlsHits,
    /// Manifests that are here, by tag and by digest.
    ManifestHits,
    /// A blob that nobody asked for yet.
    ColdBlob,
    /// Its first byte.
    FirstByte,
    /// Many who ask for it at once.
    ColdHerd,
    /// A few bytes of it.
    ColdRange,
    /// An image that nobody pulled yet, pulled by dockerd.
    ImagePull,
    /// What a server holds while it sends.
    Memory,
}

impl Case {
    /// Its name, on the command line and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BlobHits => blob_hits::NAME,
            Self::TlsHits => tls_hits::NAME,
            Self::ManifestHits => manifest_hits::NAME,
            Self::ColdBlob => cold_blob::NAME,
            Self::FirstByte => first_byte::NAME,
            Self::ColdHerd => cold_herd::NAME,
            Self::ColdRange => cold_range::NAME,
            Self::ImagePull => image_pull::NAME,
            Self::Memory => memory::NAME,
        }
    }

    /// Measures it.
    pub(crate) async fn run(self, options: &Options) -> Results {
        match self {
            Self::BlobHits => blob_hits::run(options).await,
            Self::TlsHits => tls_hits::run(options).await,
            Self::ManifestHits => manifest_hits::run(options).await,
            Self::ColdBlob => cold_blob::run(options).await,
            Self::FirstByte => first_byte::run(options).await,
            Self::ColdHerd => cold_herd::run(options).await,
            Self::ColdRange => cold_range::run(options).await,
            Self::ImagePull => image_pull::run(options).await,
            Self::Memory => memory::run(options).await,
        }
    }
}

/// What a server did in a window in which so many clients asked for `path`.
async fn at_work(peer: &Peer, path: &str, clients: usize, window: Window) -> Work {
    // The clients keep a thread busy: one that no tap and no upstream needs.
    let done = tokio::task::block_in_place(|| {
        work(peer.address, path, clients, window, || {
            peer.processor_time()
        })
    });
    done.unwrap_or_else(|error| panic!("{peer:?}: {error}"))
}

/// How long one client takes to get a blob.
async fn pull(from: SocketAddr, path: &str, limit: Duration) -> Duration {
    let come = tokio::task::block_in_place(|| herd(from, path, 1, limit));
    let (tally, clock) = come.unwrap_or_else(|error| panic!("{from}{path}: {error}"));
    assert_eq!(tally.errors, 0, "{from}{path}: {tally:?}");
    clock
}

/// Makes a server forget all it has, and the tap what crossed.
async fn emptied(stage: &Stage, peer: &mut Peer) {
    stage.settled(peer).await;
    peer.begin_anew().await;
    stage.upstream.tap.forget();
}

/// The peers in the order of this round: each is the first of some round.
fn in_turn<T>(peers: &[T], round: u64) -> impl Iterator<Item = &T> {
    let first = usize::try_from(round).unwrap_or(0) % peers.len();
    peers[first..].iter().chain(&peers[..first])
}

/// The same, for who changes them.
fn in_turn_mut<T>(peers: &mut [T], round: u64) -> impl Iterator<Item = &mut T> {
    let first = usize::try_from(round).unwrap_or(0) % peers.len();
    let (behind, before) = peers.split_at_mut(first);
    before.iter_mut().chain(behind)
}

/// A size as tables have it.
fn mebibytes(size: usize) -> String {
    match size / crate::MIB {
        whole if whole >= 1024 => format!("{} GiB", whole / 1024),
        whole => format!("{whole} MiB"),
    }
}

/// How many clients, as tables have it.
fn clients(many: usize) -> String {
    let plural = if many == 1 { "" } else { "s" };
    format!("{many} client{plural}")
}
