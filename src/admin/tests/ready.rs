//! `/readyz` over stores that fail.

use super::*;
use crate::store::faulty::{Fault, Faulty};
use crate::store::{MemoryStore, StoreErrorKind};
use crate::upstream::ErrorKind;

/// What `/readyz` of a mirror over such a store says.
async fn ready(fault: Fault, offline: bool) -> (StatusCode, Value) {
    let store = Faulty::new(MemoryStore::default(), fault);
    let house = House::over(Arc::new(store));
    house.upstream.breaks(ErrorKind::Connect);
    let side = Side::of(house, None, offline);
    let answer = side.ask("GET", "/readyz").await;
    assert_eq!(side.house.upstream.calls(), Vec::<String>::new());
    answer
}

#[tokio::test]
async fn ready_means_that_new_bytes_can_be_kept_whatever_upstreams_do() {
    let (status, body) = ready(Fault::None, false).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body, json!({"status": "ready", "offline": false}));
    let full = Fault::FailsFrom(1, StoreErrorKind::Full);
    let (status, body) = ready(full, false).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["status"], "not ready");
}

#[tokio::test]
async fn offline_ready_means_that_what_is_kept_can_be_read() {
    // Nothing new will come, so a full or read-only disk will do.
    for fault in [Fault::None, Fault::FailsFrom(1, StoreErrorKind::Full)] {
        let (status, body) = ready(fault, true).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, json!({"status": "ready, offline", "offline": true}));
    }
    let (status, _) = ready(Fault::FailsAt(1), true).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}
