//! Memory does not grow with clients or with the size of what they load.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::support::http::send;
use crate::support::mirror::Plan;
use crate::support::noise;
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

const MIB: usize = 1024 * 1024;
const CLIENTS: usize = 128;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_and_twenty_eight_downloads_fit_in_64_mib() {
    let upstream = Upstream::start(Access::Open).await;
    let bytes = Arc::new(noise(1, 64 * MIB));
    let digest = upstream.registry.push_blob("library/large", &bytes).await;
    let mut mirror = Plan::of(&upstream.tap).start().await;
    let path = format!("/v2/library/large/blobs/{digest}");
    let first = send(mirror.address, "GET", &path, &[], b"")
        .await
        .compare(&bytes)
        .await;
    assert!(first.is_whole(&bytes), "{first:?}");

    // Each takes a little and stops: all of them are under way at once, and the mirror has to wait for every one.
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut download = send(mirror.address, "GET", &path, &[], b"").await;
        let mut buffer = vec![0; 1000];
        let taken = download.next(&mut buffer).await.map_or(0, <[u8]>::len);
        assert!(taken > 0, "no first byte");
        clients.push((download, taken));
    }
    let waiting = mirror.peak_memory();

    let mut reading = JoinSet::new();
    for (download, taken) in clients {
        let bytes = Arc::clone(&bytes);
        reading.spawn(async move {
            download
                .compare(&bytes[taken..])
                .await
                .is_whole(&bytes[taken..])
        });
    }
    assert!(
        reading.join_all().await.into_iter().all(|whole| whole),
        "a body that is not the blob"
    );
    let peak = mirror.peak_memory();
    assert!(
        peak < 64 * MIB as u64,
        "{} MiB at most, {} of them while waiting",
        peak >> 20,
        waiting >> 20
    );
    assert_eq!(upstream.tap.blobs()[&digest].gets, 1);
}
