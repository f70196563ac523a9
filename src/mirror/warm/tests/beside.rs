//! A job beside clients: what they wait for comes first.

use tokio::time::{Duration, Instant};

use super::*;
use crate::mirror::testkit::Asker;

/// A client's download hangs: the job lets it by for a while at each of its pieces, and is not stopped by it for ever.
#[tokio::test(start_paused = true)]
async fn a_job_lets_clients_by_and_is_stopped_by_none() {
    let (house, warmer) = furnished(house());
    let (layer, asked, gate) = (noise(100_000), noise(90_000), gate());
    house.upstream.serves(&layer);
    house.upstream.tag("1", image(&layer, None).as_bytes());
    let digest = Digest::sha256_of(&asked);
    let script = halves(&asked, Step::Gate(Arc::clone(&gate)));
    house.upstream.on_blob(&digest, script);
    let began = Instant::now();
    let alone = order(&["a/b:1"]);
    let client = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    assert_eq!(warm(&warmer, alone).await.state, JobState::Complete);
    assert!(
        began.elapsed() >= Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    gate.add_permits(1);
    let (read, error) = drain_all(&client.value).await;
    assert!(read == asked && error.is_none());
    house.settle().await;

    // Nobody is to be let by.
    let (house, warmer) = furnished(house);
    let another = noise(110_000);
    house.upstream.serves(&another);
    house.upstream.tag("2", image(&another, None).as_bytes());
    tokio::time::advance(Duration::from_secs(1)).await;
    let began = Instant::now();
    let report = warm(&warmer, order(&["a/b:2"])).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

/// A client waits for the lane that a job holds: the job goes on, or neither would.
#[tokio::test(start_paused = true)]
async fn a_job_lets_nobody_by_who_waits_for_its_lane() {
    let (house, warmer) = furnished(House::narrow());
    let (layer, asked) = (noise(2_000_000), noise(90_000));
    house.upstream.tag("1", image(&layer, None).as_bytes());
    let slow = Script {
        pace: Some(1_000_000),
        ..Script::of(vec![Step::Send(layer.clone())])
    };
    let layer = Digest::sha256_of(&layer);
    house.upstream.on_blob(&layer, slow);
    let digest = house.upstream.serves(&asked);
    let job = tokio::spawn(async move { warm(&warmer, order(&["a/b:1"])).await });
    // Paused time stands still while the job is at work on threads of its own.
    while house.upstream.count(&format!("GET blob {layer}")) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let began = Instant::now();
    let client = house
        .mirror
        .blob(&Asker::Mirror, &origin("a"), &digest, &[])
        .await
        .unwrap();
    let (read, error) = drain_all(&client.value).await;
    assert!(read == asked && error.is_none());
    assert_eq!(job.await.unwrap().state, JobState::Complete);
    // Two seconds of the job's blob, and hardly more.
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}
