//! Rate limits: what is left, and what follows a 429.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::server::{Reply, Server};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// A registry that answers GETs of manifests with a status that can be set, and all else well.
async fn counting(
    limited: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> (Server, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(429));
    let now = Arc::clone(&status);
    let server = Server::start(move |request| {
        let counted = &*request.method == "GET" && request.path() == MANIFEST;
        match now.load(Ordering::SeqCst) {
            429 if counted => limited(Reply::status(429)),
            _ => Reply::ok(BODY),
        }
    })
    .await;
    (server, status)
}

fn is_spent(registry: &HttpRegistry) -> bool {
    registry.standing().is_spent
}

async fn pause(registry: &HttpRegistry) -> Option<Duration> {
    match pull(registry).await {
        Err(ErrorKind::TooManyRequests { retry_after }) => Some(retry_after.unwrap_or_default()),
        _ => None,
    }
}

#[tokio::test]
async fn item_79_after_a_429_nobody_asks_before_the_time_it_names() {
    let json = |reply: Reply| {
        reply
            .header("Retry-After", "120")
            .body(r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#)
    };
    let dated = |reply: Reply| {
        reply
            .header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .header("Retry-After", "Sun, 06 Nov 1994 08:51:37 GMT")
    };
    for limited in [json, dated] {
        let (server, status) = counting(limited).await;
        let registry = registry(&server);
        assert_eq!(pause(&registry).await, Some(120 * SECOND));
        assert!(is_spent(&registry) && !registry.standing().is_down);
        later(100 * SECOND).await;
        let left = pause(&registry).await.unwrap();
        assert!(left <= 20 * SECOND && left > 10 * SECOND, "{left:?}");
        assert_eq!(server.requests().len(), 1);

        later(20 * SECOND).await;
        assert!(!is_spent(&registry));
        assert_eq!(pause(&registry).await, Some(120 * SECOND), "it asked again");
        status.store(200, Ordering::SeqCst);
        later(120 * SECOND).await;
        pull(&registry).await.unwrap();
        pull(&registry).await.unwrap();
        assert_eq!(server.requests().len(), 4);
    }
}

#[tokio::test]
async fn item_79_a_bare_429_holds_for_half_a_minute() {
    let (server, _) = counting(|reply| reply).await;
    let registry = registry(&server);
    assert_eq!(pause(&registry).await, Some(Duration::ZERO));
    let left = pause(&registry).await.unwrap();
    assert!(left <= 30 * SECOND && left > 20 * SECOND, "{left:?}");
    later(30 * SECOND).await;
    assert_eq!(pause(&registry).await, Some(Duration::ZERO));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn what_is_not_counted_goes_on_after_a_429_for_a_manifest() {
    let (server, _) = counting(|reply| reply).await;
    let registry = registry(&server);
    pull(&registry).await.unwrap_err();
    head(&registry).await.unwrap();
    registry
        .get_blob(&repository(), &digest(), None)
        .await
        .unwrap();
    assert!(pause(&registry).await.is_some());
    assert_eq!(server.count(MANIFEST), 2);
}

#[tokio::test]
async fn a_429_for_anything_else_holds_up_everything() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::status(429),
        _ => Reply::ok(BODY),
    })
    .await;
    let registry = registry(&server);
    head(&registry).await.unwrap_err();
    assert!(pause(&registry).await.is_some());
    let blob = registry.get_blob(&repository(), &digest(), None).await;
    assert!(matches!(
        blob.unwrap_err().kind(),
        ErrorKind::TooManyRequests { .. }
    ));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_429_of_a_redirect_target_holds_up_nothing() {
    let storage = Server::start(|_| Reply::status(429)).await;
    let away = storage.at("/");
    let server = Server::start(move |_| Reply::redirect(307, &away)).await;
    let registry = registry(&server);
    for _ in 0..3 {
        assert!(pause(&registry).await.is_some());
    }
    assert_eq!(storage.requests().len(), 3);
    assert!(!is_spent(&registry));
}

#[tokio::test]
async fn what_is_left_is_read_and_shown_and_ages() {
    let server = Server::start(|request| {
        let left = if &*request.method == "HEAD" {
            "76;w=21600"
        } else {
            "10;w=21600"
        };
        Reply::ok(BODY)
            .header("RateLimit-Limit", "100;w=21600")
            .header("RateLimit-Remaining", left)
    })
    .await;
    let prometheus = prometheus::Registry::new();
    let metrics = Metrics::new(&prometheus).unwrap();
    let registry = HttpRegistry::new(&settings(&server), &metrics).unwrap();
    let shown = || {
        let families = prometheus.gather();
        let told = families
            .iter()
            .filter(|it| it.name().contains("_ratelimit_"));
        let value =
            |it: &prometheus::proto::MetricFamily| it.get_metric()[0].get_gauge().get_value();
        told.map(|it| format!("{} {}", it.name(), value(it)))
            .collect::<Vec<_>>()
    };
    assert!(shown().is_empty(), "nothing is known");
    head(&registry).await.unwrap();
    assert!(!is_spent(&registry));
    pull(&registry).await.unwrap();
    assert!(is_spent(&registry));
    let limit = "roadstead_upstream_ratelimit_limit 100";
    assert_eq!(
        shown(),
        [limit, "roadstead_upstream_ratelimit_remaining 10"]
    );

    later(6 * HOUR).await;
    assert!(!is_spent(&registry), "the window is over");
    pull(&registry).await.unwrap();
    assert!(is_spent(&registry));
    head(&registry).await.unwrap();
    assert!(!is_spent(&registry), "a newer header says otherwise");

    let settings = Settings {
        rate_reserve: 80,
        ..settings(&server)
    };
    let registry = registry_with(&settings);
    head(&registry).await.unwrap();
    assert!(is_spent(&registry));
}
