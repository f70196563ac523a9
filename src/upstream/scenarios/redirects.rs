//! Redirects: what is followed, and what stays behind.

use std::sync::atomic::{AtomicU8, Ordering};

use super::server::{Reply, Request, Server};
use super::*;
use crate::oci::RangeSpec;
use crate::upstream::UpstreamError;

/// A registry behind Basic that redirects everything to `location`.
fn guarded(location: String) -> impl Fn(&Request) -> Reply {
    move |request| match request.authorization() {
        None => Reply::challenge("Basic realm=\"r\""),
        Some(_) => Reply::redirect(307, &location),
    }
}

async fn blob(
    registry: &HttpRegistry,
    part: impl Into<Option<RangeSpec>>,
) -> Result<(), UpstreamError> {
    let body = registry
        .get_blob(&repository(), &digest(), part.into())
        .await;
    body.map(drop)
}

#[tokio::test]
async fn item_76_every_redirect_keeps_method_and_headers() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(move |request| match request.path() {
            MANIFEST => Reply::redirect(status, "/elsewhere?x=1"),
            _ => Reply::ok(BODY),
        })
        .await;
        let registry = registry(&server);
        let head = registry
            .head_manifest(&repository(), &tag(), Accepts::MODERN)
            .await
            .unwrap();
        assert_eq!(head.size, Some(BODY.len() as u64));
        let requests = server.requests();
        let last = requests.last().unwrap();
        assert_eq!((&*last.method, &*last.target), ("HEAD", "/elsewhere?x=1"));
        for name in ["accept", "accept-encoding", "user-agent"] {
            assert_eq!(last.header(name), requests[0].header(name), "{name}");
        }
    }
}

#[tokio::test]
async fn item_70_credentials_stay_with_the_origin_and_the_range_goes_along() {
    let storage = Server::start(|_| {
        Reply::status(206)
            .header("Content-Range", "bytes 1-3/4")
            .body("lob")
    })
    .await;
    let server = Server::start(guarded(storage.at("/signed?sig=s3cret"))).await;
    blob(&registry_with(&own(&server)), RangeSpec::From(1))
        .await
        .unwrap();

    assert!(server.requests()[1].authorization().is_some());
    let requests = storage.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].target, "/signed?sig=s3cret");
    assert_eq!(requests[0].authorization(), None);
    assert_eq!(requests[0].header("range"), Some("bytes=1-"));
}

#[tokio::test]
async fn credentials_stay_on_a_redirect_within_the_origin() {
    let server = Server::start(|request| match (request.authorization(), request.path()) {
        (None, _) => Reply::challenge("Basic realm=\"r\""),
        (_, MANIFEST) => Reply::redirect(302, "/elsewhere"),
        _ => Reply::ok(BODY),
    })
    .await;
    pull(&registry_with(&own(&server))).await.unwrap();
    assert_eq!(server.count("/elsewhere"), 1);
}

#[tokio::test]
async fn item_70_credentials_do_not_come_back_once_the_way_has_left() {
    // The storage learns the way back from the query.
    let storage = Server::start(|request| {
        let (_, back) = request.target.split_once('?').unwrap();
        Reply::redirect(307, back)
    })
    .await;
    let away = storage.at("/away");
    let server = Server::start_at(|url| {
        move |request| match (request.path(), request.authorization()) {
            ("/back", _) => Reply::ok("blob"),
            (_, None) => Reply::challenge("Basic realm=\"r\""),
            _ => Reply::redirect(307, &format!("{away}?{url}/back")),
        }
    })
    .await;
    blob(&registry_with(&own(&server)), None).await.unwrap();
    let back = server.requests().pop().unwrap();
    assert_eq!((back.path(), back.authorization()), ("/back", None));
}

#[tokio::test]
async fn item_70_a_challenge_of_a_redirect_target_gets_no_credentials() {
    let storage = Server::start(|_| Reply::challenge("Basic realm=\"phish\"")).await;
    let server = Server::start(guarded(storage.at("/signed"))).await;
    let error = blob(&registry_with(&own(&server)), None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unauthorized);
    for request in storage.requests() {
        assert_eq!(request.authorization(), None);
    }
}

#[tokio::test]
async fn a_redirect_target_is_given_the_token_that_anyone_gets() {
    let target = Server::start_at(|url| {
        let challenge =
            format!(r#"Bearer realm="{url}/token",service="t",scope="repository:x:pull""#);
        move |request| match (request.path(), request.authorization()) {
            ("/token", None) => Reply::ok(r#"{"token":"anyone"}"#),
            ("/token", Some(_)) => Reply::status(400),
            (_, Some("Bearer anyone")) => Reply::ok(BODY),
            _ => Reply::challenge(&challenge),
        }
    })
    .await;
    let server = Server::start(guarded(target.at("/v2/x/manifests/3"))).await;
    pull(&registry_with(&own(&server))).await.unwrap();
    let token = &target.requests()[1].target;
    assert_eq!(token, "/token?service=t&scope=repository%3Ax%3Apull");
}

/// A storage that knows one signature, and a registry that redirects to signatures 1, 2, 3 and so on.
async fn signed(storage: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> [Server; 2] {
    let storage = Server::start(storage).await;
    let signed = storage.at("/signed?");
    let count = AtomicU8::new(0);
    let server = Server::start(move |_| {
        let nth = 1 + count.fetch_add(1, Ordering::SeqCst);
        Reply::redirect(307, &format!("{signed}{nth}"))
    })
    .await;
    [storage, server]
}

#[tokio::test]
async fn item_50_an_expired_signed_url_is_asked_for_anew_once() {
    for status in [401, 403, 410] {
        let [storage, server] = signed(move |request| match &*request.target {
            "/signed?2" => Reply::status(206)
                .header("Content-Range", "bytes 1-2/4")
                .body("lo"),
            _ => Reply::status(status),
        })
        .await;
        let part = RangeSpec::FromTo(1, 2);
        blob(&registry(&server), part).await.unwrap();
        assert_eq!(server.requests().len(), 2, "{status}");
        let last = storage.requests().pop().unwrap();
        assert_eq!(last.header("range"), Some("bytes=1-2"));
    }
}

#[tokio::test]
async fn item_50_an_expired_url_on_the_registrys_own_host_is_asked_for_anew_too() {
    let count = AtomicU8::new(0);
    let server = Server::start(move |request| match &*request.target {
        "/downloads?2" => Reply::ok("blob"),
        "/downloads?1" => Reply::status(403),
        _ => {
            let nth = 1 + count.fetch_add(1, Ordering::SeqCst);
            Reply::redirect(302, &format!("/downloads?{nth}"))
        }
    })
    .await;
    blob(&registry(&server), None).await.unwrap();
    assert_eq!(server.count(&blob_path()), 2);
}

#[tokio::test]
async fn a_signed_url_is_not_remembered() {
    let [storage, server] = signed(|_| Reply::ok("blob")).await;
    let registry = registry(&server);
    for _ in 0..2 {
        blob(&registry, None).await.unwrap();
    }
    let targets: Vec<_> = storage.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/signed?1", "/signed?2"]);
}

#[tokio::test]
async fn a_storage_without_ranges_is_asked_for_the_whole_by_a_fresh_url() {
    let [storage, server] = signed(|request| match request.header("range") {
        Some(_) => Reply::status(501),
        None => Reply::ok("blob"),
    })
    .await;
    blob(&registry(&server), RangeSpec::From(1)).await.unwrap();
    let targets: Vec<_> = storage.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/signed?1", "/signed?2"]);
}

#[tokio::test]
async fn a_target_that_goes_on_refusing_has_the_last_word() {
    let storage = Server::start(|_| Reply::status(403)).await;
    let signed = storage.at("/signed");
    let server = Server::start(move |_| Reply::redirect(307, &signed)).await;
    let error = blob(&registry(&server), None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Denied);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn item_80_a_loop_ends() {
    let server = Server::start(|_| Reply::redirect(307, "/again")).await;
    assert_eq!(pull(&registry(&server)).await, Err(ErrorKind::Protocol));
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn item_80_five_hops_are_followed() {
    let server = Server::start(|request| match request.path() {
        MANIFEST => Reply::redirect(307, "/1"),
        "/5" => Reply::ok(BODY),
        path => {
            let hop: u32 = path[1..].parse().unwrap();
            Reply::redirect(307, &format!("/{}", hop + 1))
        }
    })
    .await;
    assert_eq!(pull(&registry(&server)).await.unwrap(), BODY.as_bytes());
}

#[tokio::test]
async fn item_77_incident_13_a_private_address_is_not_visited_where_that_is_not_allowed() {
    let inside = Server::start(|_| Reply::ok(BODY)).await;
    for host in [
        "127.0.0.2",
        "localhost",
        "[::ffff:7f00:1]",
        "2130706434",
        "0.0.0.0",
        "10.0.0.1",
        // Where clouds tell machines their secrets.
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[::]",
    ] {
        let location = format!("http://{host}:{}/", inside.port);
        let server = Server::start(move |_| Reply::redirect(307, &location)).await;
        let settings = Settings {
            private_redirects: Some(false),
            ..settings(&server)
        };
        let kind = pull(&registry_with(&settings)).await;
        assert_eq!(kind, Err(ErrorKind::Refused), "{host}");
    }
    assert!(inside.requests().is_empty());
}

#[tokio::test]
async fn a_private_upstream_may_send_us_to_its_neighbours() {
    let inside = Server::start(|_| Reply::ok(BODY)).await;
    let location = format!("http://localhost:{}/", inside.port);
    let server = Server::start(move |_| Reply::redirect(307, &location)).await;
    assert_eq!(pull(&registry(&server)).await.unwrap(), BODY.as_bytes());
}

#[tokio::test]
async fn a_bad_redirect_is_told_without_its_query() {
    let server = Server::start(|_| Reply::redirect(307, "ftp://evil.example/?sig=s3cret")).await;
    let error = blob(&registry(&server), None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Refused);
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_failed_redirect_target_is_told_without_its_path() {
    for away in [false, true] {
        let storage = Server::start(|_| Reply::status(503)).await;
        let elsewhere = storage.at("/");
        let server = Server::start(move |request| match request.path() {
            "/downloads/s3cret" => Reply::status(503),
            _ if away => Reply::redirect(307, &format!("{elsewhere}downloads/s3cret")),
            _ => Reply::redirect(302, "/downloads/s3cret"),
        })
        .await;
        let error = blob(&registry(&server), None).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Status(503));
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        let port = if away { storage.port } else { server.port };
        let host = format!("127.0.0.1:{port}/");
        assert!(error.to_string().contains(&host), "{error}");
    }
}
