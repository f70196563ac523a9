//! Many clients, one cold blob: one fetch upstream, whoever comes and goes.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::support::cold::ColdBlob;
use crate::support::http::{Compared, Download};
use crate::support::tap::Crossing;

const MIB: usize = 1024 * 1024;

impl ColdBlob {
    /// One client that has the head of its answer and none of its body.
    async fn client(&self) -> Download {
        let download = self.open().await;
        assert_eq!(download.head.status(), Some(200), "{:?}", download.head);
        let length = self.bytes.len().to_string();
        assert_eq!(
            download.head.field("content-length"),
            Some(length.as_str()),
            "{:?}",
            download.head
        );
        download
    }

    /// So many clients; all of them are in when this returns.
    async fn clients(&self, many: usize) -> Vec<Download> {
        futures_util::future::join_all((0..many).map(|_| self.client())).await
    }

    /// All clients read at once, each as fast as it can.
    async fn all_get_everything(&self, clients: Vec<Download>) {
        let mut reading = JoinSet::new();
        for client in clients {
            let bytes = Arc::clone(&self.bytes);
            reading.spawn(async move { client.compare(&bytes).await });
        }
        for (n, got) in reading.join_all().await.into_iter().enumerate() {
            let whole = Compared {
                size: self.bytes.len(),
                right: true,
                complete: true,
            };
            assert_eq!(got, whole, "client {n}");
        }
    }

    fn crossed_once(&self) {
        let once = Crossing {
            gets: 1,
            bytes: self.bytes.len() as u64,
        };
        assert_eq!(self.upstream.tap.blobs().get(&self.digest), Some(&once));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_clients_make_one_fetch() {
    let cold = ColdBlob::of(256 * MIB).await;
    // Nothing can be complete, and so answered from the cache, before all of them are in.
    let gate = cold.upstream.tap.on(&cold.path).gate_at(MIB as u64);
    let clients = cold.clients(32).await;
    gate.release();
    cold.all_get_everything(clients).await;
    cold.crossed_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_more_come_half_way() {
    let cold = ColdBlob::of(256 * MIB).await;
    let gate = cold.upstream.tap.on(&cold.path).gate_at(128 * MIB as u64);
    let mut clients = cold.clients(16).await;
    gate.reached().await;
    clients.extend(cold.clients(16).await);
    gate.release();
    cold.all_get_everything(clients).await;
    cold.crossed_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_client_leaves_at_once_and_the_others_stay() {
    let cold = ColdBlob::of(256 * MIB).await;
    let gate = cold.upstream.tap.on(&cold.path).gate_at(128 * MIB as u64);
    // It leaves at once: before its first byte, and before the others are in.
    drop(cold.client().await);
    let others = cold.clients(31).await;
    gate.reached().await;
    gate.release();
    cold.all_get_everything(others).await;
    cold.crossed_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_client_leaves_and_the_next_one_goes_on() {
    let cold = ColdBlob::of(64 * MIB).await;
    let gate = cold.upstream.tap.on(&cold.path).gate_at(32 * MIB as u64);
    let first = cold.client().await;
    gate.reached().await;
    drop(first);
    let next = cold.client().await;
    gate.release();
    cold.all_get_everything(vec![next]).await;
    cold.crossed_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_holds_nobody_up() {
    let cold = ColdBlob::of(64 * MIB).await;
    let asleep = cold.client().await;
    let others = cold.clients(3).await;
    cold.all_get_everything(others).await;
    cold.all_get_everything(vec![asleep]).await;
    cold.crossed_once();
}
