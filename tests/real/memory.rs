//! Memory does not grow with clients or with the size of what they load.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::support::cold::ColdBlob;

const MIB: usize = 1024 * 1024;
const CLIENTS: usize = 128;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_and_twenty_eight_downloads_fit_in_64_mib() {
    let mut blob = ColdBlob::of(64 * MIB).await;
    let first = blob.open().await.compare(&blob.bytes).await;
    assert!(first.is_whole(&blob.bytes), "{first:?}");

    // Each takes a little and stops: all of them are under way at once, and the mirror has to wait for every one.
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut download = blob.open().await;
        let mut buffer = vec![0; 1000];
        let taken = download.next(&mut buffer).await.map_or(0, <[u8]>::len);
        assert!(taken > 0, "no first byte");
        clients.push((download, taken));
    }
    let waiting = blob.mirror.peak_memory();

    let mut reading = JoinSet::new();
    for (download, taken) in clients {
        let bytes = Arc::clone(&blob.bytes);
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
    let peak = blob.mirror.peak_memory();
    assert!(
        peak < 64 * MIB as u64,
        "{} MiB at most, {} of them while waiting",
        peak >> 20,
        waiting >> 20
    );
    assert_eq!(blob.upstream.tap.blobs()[&blob.digest].gets, 1);
}
