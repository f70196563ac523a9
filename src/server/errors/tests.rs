//! The table, row by row.

use std::time::Duration;

use super::*;
use crate::upstream::Phase;

#[test]
fn item_15_every_kind_of_trouble_has_its_status_and_code() {
    let not_found = |code: Option<&str>| ErrorKind::NotFound {
        code: code.map(str::to_owned),
    };
    for (kind, status, code) in [
        (not_found(None), 404, "BLOB_UNKNOWN"),
        (not_found(Some("NAME_UNKNOWN")), 404, "NAME_UNKNOWN"),
        (not_found(Some("garbage")), 404, "BLOB_UNKNOWN"),
        (ErrorKind::Offline, 404, "BLOB_UNKNOWN"),
        (ErrorKind::Unauthorized, 401, "UNAUTHORIZED"),
        (ErrorKind::Denied, 403, "DENIED"),
        (ErrorKind::Unsatisfiable { size: 4 }, 416, "RANGE_INVALID"),
        (
            ErrorKind::TooManyRequests { retry_after: None },
            503,
            "UNAVAILABLE",
        ),
        (ErrorKind::Status(500), 502, "UNAVAILABLE"),
        (ErrorKind::Resolve, 502, "UNAVAILABLE"),
        (ErrorKind::Connect, 502, "UNAVAILABLE"),
        (ErrorKind::Tls, 502, "UNAVAILABLE"),
        (ErrorKind::Cut, 502, "UNAVAILABLE"),
        (ErrorKind::Protocol, 502, "UNAVAILABLE"),
        (ErrorKind::Refused, 502, "UNAVAILABLE"),
        (ErrorKind::Timeout(Phase::Header), 504, "UNAVAILABLE"),
    ] {
        let error = UpstreamError::new(kind.clone(), "u: GET h/p").into();
        let response = of_mirror(&error, Asked::Blob, RateLimited::Unavailable);
        assert_eq!(response.status(), status, "{kind:?}");
        let Body::Bytes(body) = response.into_body() else {
            panic!("{kind:?} has no body")
        };
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["errors"][0]["code"], code, "{kind:?}");
    }
}

#[test]
fn upstreams_size_is_passed_on_with_416() {
    let kind = ErrorKind::Unsatisfiable { size: 4 };
    let response = of_mirror(
        &UpstreamError::new(kind, "u").into(),
        Asked::Blob,
        RateLimited::Unavailable,
    );
    assert_eq!(response.headers()[CONTENT_RANGE], "bytes */4");
}

#[test]
fn upstreams_wait_is_passed_on() {
    let kind = ErrorKind::TooManyRequests {
        retry_after: Some(Duration::from_secs(7)),
    };
    let response = of_mirror(
        &UpstreamError::new(kind, "u").into(),
        Asked::Manifest,
        RateLimited::Unavailable,
    );
    assert_eq!(response.headers()[RETRY_AFTER], "7");
}

#[test]
fn a_wait_is_never_told_as_none() {
    let kind = ErrorKind::TooManyRequests {
        retry_after: Some(Duration::from_millis(400)),
    };
    let response = of_mirror(
        &UpstreamError::new(kind, "u").into(),
        Asked::Manifest,
        RateLimited::Unavailable,
    );
    assert_eq!(response.headers()[RETRY_AFTER], "1");
}
