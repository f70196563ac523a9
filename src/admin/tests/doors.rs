//! Who is let in, and to what.

use super::*;

#[tokio::test]
async fn probes_and_scrapes_are_open_to_all_and_nothing_else_is() {
    for token in [None, Some("s3cret")] {
        let side = Side::new(token);
        for path in ["/healthz", "/readyz", "/metrics", "/page.css", "/page.js"] {
            let stranger = request("GET", path).header("origin", "http://evil.test");
            let answer = side.send(stranger, "10.0.0.7").await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/api/v1/status"),
            ("POST", "/api/v1/gc"),
            // Not even what there is, is told.
            ("GET", "/api/v1/nothing"),
            ("POST", "/healthz"),
        ] {
            let answer = side.send(request(method, path), "10.0.0.7").await;
            let refused = match token {
                None => StatusCode::FORBIDDEN,
                Some(_) => StatusCode::UNAUTHORIZED,
            };
            assert_eq!(answer.status(), refused, "{method} {path}");
            let told: Value = serde_json::from_slice(answer.body()).unwrap();
            assert!(told["error"].is_string(), "{told}");
        }
    }
}

#[tokio::test]
async fn the_token_opens_from_anywhere_and_a_browser_is_asked_for_it() {
    let side = Side::new(Some("s3cret"));
    let refused = side.send(request("GET", "/"), "127.0.0.1").await;
    let asked = refused.headers().get_all("www-authenticate");
    let schemes: Vec<_> = asked.iter().map(|it| it.to_str().unwrap()).collect();
    assert!(schemes[0].starts_with("Bearer ") && schemes[1].starts_with("Basic "));

    let with_token = request("GET", "/").header("authorization", "Bearer s3cret");
    let page = side.send(with_token, "10.0.0.7").await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let side = Side::new(None);
    for (name, value) in [
        ("origin", "http://evil.test"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let forged = request("POST", "/api/v1/gc").header(name, value);
        let answer = side.send(forged, "127.0.0.1").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
    }
    // A link leads here, and that is no harm.
    let led = request("GET", "/").header("sec-fetch-site", "cross-site");
    assert_eq!(side.send(led, "127.0.0.1").await.status(), StatusCode::OK);
    let rebound = Request::builder().uri("/").header("host", "evil.test:5001");
    let answer = side.send(rebound, "127.0.0.1").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn it_is_not_ready_when_it_is_ending() {
    let side = Side::new(None);
    assert_eq!(side.ask("GET", "/readyz").await.0, StatusCode::OK);
    side.ending.send_replace(true);
    let (status, told) = side.ask("GET", "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(told["reason"], "ending");
    assert_eq!(side.ask("GET", "/healthz").await.0, StatusCode::OK);
}
