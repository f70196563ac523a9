//! When the last client has left: what goes on alone, what is kept, and who comes back.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::Semaphore;

use crate::mirror::testkit::*;
use crate::mirror::{Blob, FillPolicy, Measures};
use crate::oci::{ByteRange, Digest, RangeSpec};
use crate::store::MemoryStore;

const KIB: u64 = 1024;
const SIZE: u64 = 400 * KIB;

/// A fill of 400 KiB, of which a client has read the first 100, and the rest waits behind a gate.
struct Begun {
    house: House,
    bytes: Bytes,
    digest: Digest,
    gate: Arc<Semaphore>,
    client: Option<Blob>,
}

impl Begun {
    async fn new(finish: bool, finish_share: f64, parts: &[RangeSpec]) -> Self {
        let measures = Measures {
            unit: KIB,
            window: 8 * KIB,
            ..Measures::default()
        };
        let policy = FillPolicy {
            finish,
            finish_share,
            measures,
            ..policy()
        };
        let house = House::with(Arc::new(MemoryStore::default()), policy);
        let (bytes, gate) = (noise(400 * 1024), gate());
        let digest = house.upstream.serves(&bytes);
        let mut steps = vec![
            Step::Send(bytes.slice(..100 * 1024)),
            Step::Gate(Arc::clone(&gate)),
        ];
        // In pieces: where a fetch stops is seen.
        let rest = bytes.slice(100 * 1024..);
        steps.extend((0..300).map(|nth| Step::Send(rest.slice(nth * 1024..(nth + 1) * 1024))));
        house.upstream.on_blob(&digest, Script::of(steps));
        let answer = house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, parts)
            .await;
        let client = answer.unwrap().value;
        let (read, _) = drain(&client, ByteRange::new(0, 100 * KIB)).await;
        assert!(read == bytes[..100 * 1024]);
        Self {
            house,
            bytes,
            digest,
            gate,
            client: Some(client),
        }
    }

    /// The client leaves; upstream goes on sending; the fill comes to rest.
    async fn leave(&mut self) {
        self.client = None;
        self.gate.add_permits(1);
        self.house.settle().await;
    }

    fn kept(&self) -> u64 {
        let unfinished = self.house.store.unfinished().unwrap();
        unfinished.iter().map(|it| it.bytes).sum()
    }

    async fn comes_back(&self) {
        let origin = origin("a");
        let answer = self
            .house
            .mirror
            .blob(&Asker::Mirror, &origin, &self.digest, &[])
            .await;
        let (read, error) = drain_all(&answer.unwrap().value).await;
        assert!(error.is_none() && read == self.bytes, "{error:?}");
    }

    fn calls(&self) -> Vec<String> {
        let prefix = format!("GET blob {} ", self.digest);
        let calls = self.house.upstream.calls();
        calls.iter().map(|it| it.replace(&prefix, "")).collect()
    }
}

#[tokio::test]
async fn what_somebody_wanted_whole_is_finished() {
    let mut fill = Begun::new(true, 1.0, &[]).await;
    fill.leave().await;
    assert!(fill.house.has(&fill.digest));
    assert_eq!(fill.calls(), ["from 0"]);
}

#[tokio::test]
async fn without_that_policy_it_stops_within_a_window_and_what_came_is_kept() {
    let mut fill = Begun::new(false, 0.5, &[]).await;
    fill.leave().await;
    assert!(!fill.house.has(&fill.digest));
    assert_eq!(fill.kept(), 108 * KIB);
    fill.comes_back().await;
    assert_eq!(
        fill.calls(),
        ["from 0".to_owned(), format!("from {}", 108 * KIB)]
    );
}

#[tokio::test]
async fn what_is_nearly_here_is_finished_whoever_wanted_what() {
    let part = [RangeSpec::FromTo(0, 100 * KIB - 1)];
    // A quarter is here.
    let mut fill = Begun::new(false, 0.25, &part).await;
    fill.leave().await;
    assert!(fill.house.has(&fill.digest));
    assert_eq!(
        fill.calls(),
        ["part 0-102399".to_owned(), format!("from {}", 100 * KIB)]
    );

    let mut fill = Begun::new(true, 0.26, &part).await;
    fill.leave().await;
    assert_eq!(fill.kept(), 100 * KIB);
    assert_eq!(fill.calls(), ["part 0-102399"]);
}

#[tokio::test]
async fn who_comes_back_before_the_fetch_has_stopped_loses_nothing() {
    let mut fill = Begun::new(false, 1.0, &[]).await;
    fill.client = None;
    let back = fill.comes_back();
    tokio::pin!(back);
    assert!(back.as_mut().now_or_never().is_none());
    fill.gate.add_permits(1);
    back.await;
    fill.house.settle().await;
    assert!(fill.house.has(&fill.digest));
    assert!(fill.calls().len() <= 2, "{:?}", fill.calls());
}

#[tokio::test]
async fn who_leaves_before_the_answer_has_it_bring_a_window_at_most() {
    let policy = FillPolicy {
        finish: false,
        ..policy()
    };
    let house = House::with(Arc::new(MemoryStore::default()), policy);
    let size = 40 * 1024 * 1024;
    let bytes = Bytes::from(vec![7; size]);
    let digest = Digest::sha256_of(&bytes);
    let pieces = (0..size).step_by(1024 * 1024);
    let pieces = pieces.map(|at| Step::Send(bytes.slice(at..at + 1024 * 1024)));
    house
        .upstream
        .on_blob(&digest, Script::of(pieces.collect()));
    let origin = origin("a");
    let asked = house
        .mirror
        .blob(&Asker::Mirror, &origin, &digest, &[])
        .now_or_never();
    assert!(asked.is_none());
    house.settle().await;
    let unfinished = house.store.unfinished().unwrap();
    let kept: u64 = unfinished.iter().map(|it| it.bytes).sum();
    assert!(!house.has(&digest));
    assert!(kept <= 8 * 1024 * KIB, "{kept}");
}

#[tokio::test]
async fn a_client_that_stays_keeps_the_fill_going() {
    let mut fill = Begun::new(false, 1.0, &[]).await;
    let origin = origin("a");
    let stays = fill
        .house
        .mirror
        .blob(&Asker::Mirror, &origin, &fill.digest, &[])
        .await;
    let stays = stays.unwrap();
    fill.client = None;
    fill.gate.add_permits(1);
    let (read, error) = drain_all(&stays.value).await;
    assert!(error.is_none() && read == fill.bytes, "{error:?}");
    assert_eq!(fill.calls(), ["from 0"]);
    assert_eq!(read.len() as u64, SIZE);
}
