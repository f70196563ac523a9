//! An upstream that fails, falls silent, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use url::Url;

use super::blobs::read;
use super::server::{Reply, Request, Server};
use super::*;
use crate::upstream::{Phase, Standing};

const SECOND: Duration = Duration::from_secs(1);

/// A registry that says what `bad` says, until it is told that it is well.
async fn ailing(
    bad: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Server, Arc<AtomicBool>) {
    let is_well = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&is_well);
    let server = Server::start(move |request| {
        if now.load(Ordering::SeqCst) {
            Reply::ok(BODY)
        } else {
            bad(request)
        }
    })
    .await;
    (server, is_well)
}

fn is_down(registry: &HttpRegistry) -> bool {
    registry.standing().is_down
}

/// Whether a pull was turned away, and for how long.
async fn turned_away(registry: &HttpRegistry) -> Option<Duration> {
    match pull(registry).await {
        Err(ErrorKind::AssumedOffline { retry_after }) => Some(retry_after),
        _ => None,
    }
}

#[tokio::test]
async fn what_fails_again_and_again_is_not_asked_until_a_probe_succeeds() {
    let (server, is_well) = ailing(|_| Reply::status(503)).await;
    let registry = registry(&server);
    assert_eq!(registry.standing(), Standing::default());
    for _ in 0..3 {
        assert_eq!(pull(&registry).await, Err(ErrorKind::Status(503)));
    }
    assert!(is_down(&registry));
    assert!(turned_away(&registry).await.unwrap() <= SECOND);
    assert_eq!(server.requests().len(), 3);

    later(SECOND).await;
    assert!(!is_down(&registry), "a question would be the probe");
    assert_eq!(pull(&registry).await, Err(ErrorKind::Status(503)));
    assert!(turned_away(&registry).await.unwrap() > SECOND);
    assert_eq!(server.requests().len(), 4);

    is_well.store(true, Ordering::SeqCst);
    later(2 * SECOND).await;
    pull(&registry).await.unwrap();
    assert_eq!(registry.standing(), Standing::default());
    let pulls = join_all((0..8).map(|_| pull(&registry))).await;
    assert!(pulls.iter().all(Result::is_ok));
}

#[tokio::test]
async fn what_cannot_be_reached_is_not_tried_for_ever() {
    let (_closed, url) = closed_port();
    let hopeless = format!("http://{}.invalid", "a".repeat(64));
    let hangup = Server::start(|_| Reply::hangup()).await;
    for url in [url, hopeless, hangup.at("")] {
        let registry = registry_with(&Settings::new("test", Url::parse(&url).unwrap()));
        for _ in 0..3 {
            assert!(turned_away(&registry).await.is_none());
        }
        assert!(turned_away(&registry).await.is_some(), "{url}");
    }
}

#[tokio::test]
async fn an_answer_is_no_failure() {
    for status in [400, 401, 403, 404, 410, 501] {
        let server = Server::start(move |_| Reply::status(status)).await;
        let registry = registry(&server);
        for _ in 0..5 {
            assert!(turned_away(&registry).await.is_none(), "{status}");
        }
        assert!(!is_down(&registry));
    }
}

#[tokio::test]
async fn an_answer_in_between_begins_the_count_anew() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::status(404),
        _ => Reply::status(503),
    })
    .await;
    let registry = registry(&server);
    for _ in 0..5 {
        for _ in 0..2 {
            assert_eq!(pull(&registry).await, Err(ErrorKind::Status(503)));
        }
        head(&registry).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_token_is_no_answer_of_the_registry() {
    let server = Server::start_at(|url| {
        move |request| match (request.path(), request.authorization()) {
            ("/token", _) => Reply::ok(r#"{"token":"t"}"#),
            (_, Some(_)) => Reply::status(503),
            _ => Reply::bearer(&format!("{url}/token")),
        }
    })
    .await;
    let registry = registry(&server);
    let ask = async |name: &str| {
        let (repository, tag) = (name.parse().unwrap(), tag());
        let asked = registry.get_manifest(&repository, &tag, Accepts::MODERN);
        asked.await.unwrap_err().kind().clone()
    };
    // Each repository takes a token of its own.
    for name in ["a", "b", "c"] {
        assert_eq!(ask(name).await, ErrorKind::Status(503));
    }
    let next = ask("d").await;
    assert!(matches!(next, ErrorKind::AssumedOffline { .. }), "{next}");
}

#[tokio::test]
async fn a_body_that_breaks_off_and_a_redirect_target_say_nothing_of_the_upstream() {
    let storage = Server::start(|_| Reply::status(503)).await;
    let away = storage.at("/");
    let server = Server::start(move |request| match request.path() {
        MANIFEST => Reply::redirect(307, &away),
        _ => Reply::status(200).cut(10, "0123"),
    })
    .await;
    let registry = registry(&server);
    for _ in 0..5 {
        assert_eq!(pull(&registry).await, Err(ErrorKind::Status(503)));
    }
    for _ in 0..5 {
        let body = registry.get_blob(&repository(), &digest(), None).await;
        read(body.unwrap()).await.unwrap_err();
    }
    assert!(!is_down(&registry));
}

#[tokio::test]
async fn a_realm_that_fails_counts_although_the_registry_answers() {
    let server = Server::start_at(|url| {
        move |request| match request.path() {
            "/token" => Reply::status(503),
            _ => Reply::bearer(&format!("{url}/token")),
        }
    })
    .await;
    let registry = registry(&server);
    for _ in 0..3 {
        assert_eq!(pull(&registry).await, Err(ErrorKind::Status(503)));
    }
    assert!(turned_away(&registry).await.is_some());
    assert_eq!(server.count("/token"), 3);
}

#[tokio::test]
async fn a_failure_that_many_share_is_no_answer_to_any_of_them() {
    let server = Server::start_at(|url| {
        move |request| match request.path() {
            "/token" => Reply::status(503),
            _ => Reply::bearer(&format!("{url}/token")),
        }
    })
    .await;
    let registry = registry(&server);
    for _ in 0..3 {
        let pulls = join_all((0..4).map(|_| pull(&registry))).await;
        assert!(pulls.iter().all(Result::is_err));
    }
    assert!(is_down(&registry));
}

#[tokio::test]
async fn the_silence_of_a_redirect_target_and_of_its_realm_is_not_the_upstreams() {
    for has_realm in [false, true] {
        let target = Server::start_at(|url| {
            move |request| match request.path() {
                "/v2/" if has_realm => Reply::bearer(&format!("{url}/token")),
                _ => Reply::silence(),
            }
        })
        .await;
        let away = target.at("/v2/");
        let server = Server::start(move |_| Reply::redirect(307, &away)).await;
        let registry = registry(&server);
        let time = async {
            target.asked(1 + usize::from(has_realm)).await;
            later(2 * SECOND).await;
            assert!(!registry.standing().is_slow);
            later(20 * SECOND).await;
        };
        let (pulled, ()) = tokio::join!(pull(&registry), time);
        assert_eq!(pulled, Err(ErrorKind::Timeout(Phase::Header)));
        assert!(!is_down(&registry));
    }
}

#[tokio::test]
async fn incident_17_item_78_pages_in_html_say_that_the_upstream_is_out() {
    let portal = |_: &Request| Reply::ok("<html>").header("Content-Type", "text/html");
    let (server, is_well) = ailing(portal).await;
    let registry = registry(&server);
    assert_eq!(pull(&registry).await, Err(ErrorKind::Protocol));
    for part in [None, Some(crate::oci::RangeSpec::From(1))] {
        let blob = registry.get_blob(&repository(), &digest(), part).await;
        assert_eq!(*blob.unwrap_err().kind(), ErrorKind::Protocol);
    }
    assert!(is_down(&registry));
    assert!(turned_away(&registry).await.is_some());
    is_well.store(true, Ordering::SeqCst);
    later(SECOND).await;
    pull(&registry).await.unwrap();
}

#[tokio::test]
async fn while_a_probe_is_under_way_the_rest_is_turned_away_and_when_it_leaves_another_takes_its_place()
 {
    let (server, is_well) = ailing(|request| match request.path() {
        MANIFEST => Reply::status(503),
        _ => Reply::silence(),
    })
    .await;
    let registry = Arc::new(registry(&server));
    for _ in 0..3 {
        pull(&registry).await.unwrap_err();
    }
    later(SECOND).await;
    let asking = Arc::clone(&registry);
    let probe = tokio::spawn(async move { asking.head_blob(&repository(), &digest()).await });
    server.asked(4).await;
    assert!(is_down(&registry));
    assert_eq!(turned_away(&registry).await, Some(SECOND));

    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    is_well.store(true, Ordering::SeqCst);
    pull(&registry).await.unwrap();
}

#[tokio::test]
async fn a_silent_upstream_is_slow_after_a_second_and_down_after_one_time_out() {
    let server = Server::start(|_| Reply::silence()).await;
    let registry = registry(&server);
    let ask = async {
        server.asked(2).await;
        assert!(!registry.standing().is_slow);
        later(SECOND + SECOND / 1000).await;
        assert!(registry.standing().is_slow && !is_down(&registry));
        later(20 * SECOND).await;
    };
    let (first, second, ()) = tokio::join!(pull(&registry), pull(&registry), ask);
    for kind in [first, second] {
        assert_eq!(kind, Err(ErrorKind::Timeout(Phase::Header)));
    }
    assert_eq!(
        turned_away(&registry).await.map(|it| it <= SECOND),
        Some(true)
    );
    assert!(!registry.standing().is_slow, "nobody waits any more");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn one_slow_answer_among_others_makes_no_slow_upstream() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Reply::ok(BODY),
        _ => Reply::silence(),
    })
    .await;
    let registry = registry(&server);
    let others = async {
        server.asked(1).await;
        later(2 * SECOND).await;
        assert!(registry.standing().is_slow);
        head(&registry).await.unwrap();
        assert!(!registry.standing().is_slow);
        later(20 * SECOND).await;
    };
    let (slow, ()) = tokio::join!(pull(&registry), others);
    assert_eq!(slow, Err(ErrorKind::Timeout(Phase::Header)));
    assert!(!is_down(&registry), "one failure of three");
}

#[tokio::test]
async fn a_silent_realm_makes_a_slow_upstream_although_the_registry_answers() {
    let server = Server::start_at(|url| {
        move |request| match request.path() {
            "/token" => Reply::silence(),
            _ => Reply::bearer(&format!("{url}/token")),
        }
    })
    .await;
    let registry = registry(&server);
    let others = async {
        server.asked(2).await;
        later(2 * SECOND).await;
        let (other, tag): (Repository, _) = ("library/busybox".parse().unwrap(), tag());
        let head = registry.head_manifest(&other, &tag, Accepts::MODERN);
        let check = async {
            server.asked(4).await;
            assert!(registry.standing().is_slow);
            later(20 * SECOND).await;
        };
        tokio::join!(head, check).0.unwrap_err();
    };
    let (slow, ()) = tokio::join!(pull(&registry), others);
    assert_eq!(slow, Err(ErrorKind::Timeout(Phase::Header)));
    assert!(is_down(&registry));
}

#[tokio::test]
async fn the_state_is_shown() {
    let (server, is_well) = ailing(|_| Reply::status(503)).await;
    let prometheus = prometheus::Registry::new();
    let metrics = Metrics::new(&prometheus).unwrap();
    let registry = HttpRegistry::new(&settings(&server), &metrics).unwrap();
    let state = || {
        let families = prometheus.gather();
        let family = families
            .iter()
            .find(|it| it.name() == "roadstead_upstream_state");
        let gauges = family.unwrap().get_metric().iter();
        let values = gauges.map(|it| it.get_gauge().get_value().to_string());
        values.collect::<Vec<_>>().join(" ")
    };
    // In the order of their names: closed, half_open, open.
    assert_eq!(state(), "1 0 0");
    for _ in 0..3 {
        pull(&registry).await.unwrap_err();
    }
    assert_eq!(state(), "0 0 1");
    is_well.store(true, Ordering::SeqCst);
    later(SECOND).await;
    pull(&registry).await.unwrap();
    assert_eq!(state(), "1 0 0");
}
