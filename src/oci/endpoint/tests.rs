#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::strategies;
use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn name(text: &str) -> Repository {
    text.parse().unwrap()
}

fn digest() -> Digest {
    Digest::sha256_of(b"")
}

fn manifest(repository: &str, reference: &str) -> Endpoint {
    Endpoint::Manifest(name(repository), reference.parse().unwrap())
}

#[test]
fn every_endpoint_is_found() {
    let blob = |repository| Endpoint::Blob(name(repository), digest());
    for (path, expected) in [
        ("/v2", Endpoint::Base),
        ("/v2/", Endpoint::Base),
        ("/v2/_catalog", Endpoint::Catalog),
        ("/v2/a/tags/list", Endpoint::Tags(name("a"))),
        ("/v2/a/b/manifests/3.19", manifest("a/b", "3.19")),
        (
            &format!("/v2/a/manifests/sha256:{HEX}"),
            manifest("a", &format!("sha256:{HEX}")),
        ),
        (
            &format!("/v2/a/manifests/sha256-{HEX}.sig"),
            manifest("a", &format!("sha256-{HEX}.sig")),
        ),
        (&format!("/v2/a/blobs/sha256:{HEX}"), blob("a")),
        ("/v2/a/blobs/uploads/", Endpoint::Upload(name("a"))),
        ("/v2/a/blobs/uploads", Endpoint::Upload(name("a"))),
        (
            "/v2/a/blobs/uploads/d95306da-fa7f=",
            Endpoint::Upload(name("a")),
        ),
        (
            &format!("/v2/a/referrers/sha256:{HEX}"),
            Endpoint::Referrers(name("a"), digest()),
        ),
        ("/v2/_oci/ext/discover", Endpoint::Extension),
        ("/v2/a/b/_oci/ext/discover", Endpoint::Extension),
    ] {
        assert_eq!(Endpoint::parse(path), Ok(expected), "{path}");
    }
}

#[test]
fn item_03_04_words_of_the_protocol_are_legal_in_names() {
    for (path, expected) in [
        (
            "/v2/a/manifests/manifests/tags",
            manifest("a/manifests", "tags"),
        ),
        (
            "/v2/a/manifests/tags/list",
            Endpoint::Tags(name("a/manifests")),
        ),
        ("/v2/tags/list/tags/list", Endpoint::Tags(name("tags/list"))),
        ("/v2/a/tags/manifests/list", manifest("a/tags", "list")),
        (
            "/v2/manifests/manifests/manifests",
            manifest("manifests", "manifests"),
        ),
        (
            "/v2/a/blobs/uploads/manifests/x",
            manifest("a/blobs/uploads", "x"),
        ),
        (
            "/v2/a/blobs/manifests/uploads",
            manifest("a/blobs", "uploads"),
        ),
        (
            "/v2/a/blobs/uploads/tags/list",
            Endpoint::Tags(name("a/blobs/uploads")),
        ),
        (
            "/v2/a/blobs/uploads/blobs/uploads/",
            Endpoint::Upload(name("a/blobs/uploads")),
        ),
        ("/v2/a/blobs/uploads/manifests", Endpoint::Upload(name("a"))),
    ] {
        assert_eq!(Endpoint::parse(path), Ok(expected), "{path}");
    }
}

#[test]
fn item_06_an_encoded_colon_is_a_colon() {
    let expected = Ok(Endpoint::Blob(name("a"), digest()));
    assert_eq!(
        Endpoint::parse(&format!("/v2/a/blobs/sha256%3A{HEX}")),
        expected
    );
    assert_eq!(
        Endpoint::parse(&format!("/v2/a/blobs/sha256%3a{HEX}")),
        expected
    );
}

#[test]
fn item_05_refusals_have_the_code_clients_understand() {
    let long_name = format!("/v2/{}/tags/list", "a".repeat(256));
    let long_tag = format!("/v2/a/manifests/{}", "a".repeat(129));
    let uppercase_digest = format!("/v2/a/blobs/sha256:{}", HEX.to_uppercase());
    for (path, code) in [
        ("/v2/A/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/A/_oci/ext/discover", ErrorCode::NameInvalid),
        (&long_name, ErrorCode::NameInvalid),
        ("/v2/a%2Fb/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/a%2fmanifests/tags/list", ErrorCode::NameInvalid),
        ("/v2/a%252Fb/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/a//b/manifests/latest", ErrorCode::NameInvalid),
        ("/v2//a/manifests/latest", ErrorCode::NameInvalid),
        ("/v2//", ErrorCode::NameInvalid),
        ("/v2/a/../b/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/a/%2e%2e/b/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/./a/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/a\\b/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/a%5Cb/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/a%00/manifests/latest", ErrorCode::NameInvalid),
        ("/v2/a%ff/manifests/latest", ErrorCode::NameInvalid),
        (
            "/v2/localhost:5000/a/manifests/latest",
            ErrorCode::NameInvalid,
        ),
        ("/v2/a/blobs/uploads/a%2Fb", ErrorCode::NameInvalid),
        (&long_tag, ErrorCode::TagInvalid),
        ("/v2/a/manifests/.hidden", ErrorCode::TagInvalid),
        ("/v2/a/manifests/a%2Fb", ErrorCode::TagInvalid),
        ("/v2/a/manifests/sha256:00", ErrorCode::DigestInvalid),
        ("/v2/a/blobs/latest", ErrorCode::DigestInvalid),
        (&uppercase_digest, ErrorCode::DigestInvalid),
        ("/v2/a/referrers/latest", ErrorCode::DigestInvalid),
        ("/v2/manifests/latest", ErrorCode::NameUnknown),
        ("/v2/tags/list", ErrorCode::NameUnknown),
        ("/v2/a", ErrorCode::NameUnknown),
        ("/v2/a/b", ErrorCode::NameUnknown),
        ("/v2/_catalog/", ErrorCode::NameUnknown),
        ("/v2/a/tags/list/", ErrorCode::NameUnknown),
        ("/v2/a/manifests/", ErrorCode::NameUnknown),
        ("/v2/a/manifests/latest/", ErrorCode::NameUnknown),
        ("/v2x/_catalog", ErrorCode::NameUnknown),
        ("/v1/_catalog", ErrorCode::NameUnknown),
        ("v2/_catalog", ErrorCode::NameUnknown),
        ("/", ErrorCode::NameUnknown),
        ("", ErrorCode::NameUnknown),
    ] {
        let error = Endpoint::parse(path).expect_err(path);
        assert_eq!(error.code(), code, "{path}: {error}");
    }
}

#[test]
fn another_repository_keeps_the_rest() {
    assert_eq!(
        manifest("alpine", "3").with_repository(name("library/alpine")),
        manifest("library/alpine", "3")
    );
    assert_eq!(Endpoint::Base.with_repository(name("a")), Endpoint::Base);
    assert_eq!(Endpoint::Catalog.repository(), None);
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let of_a_repository = (
        strategies::repository(),
        strategies::reference(),
        strategies::digest(),
        0..5,
    )
        .prop_map(|(name, reference, digest, which)| match which {
            0 => Endpoint::Tags(name),
            1 => Endpoint::Manifest(name, reference),
            2 => Endpoint::Blob(name, digest),
            3 => Endpoint::Upload(name),
            _ => Endpoint::Referrers(name, digest),
        });
    prop_oneof![
        1 => prop::sample::select(vec![Endpoint::Base, Endpoint::Catalog, Endpoint::Extension]),
        9 => of_a_repository,
    ]
}

proptest! {
    #[test]
    fn round_trips(endpoint in endpoint()) {
        prop_assert_eq!(Endpoint::parse(&endpoint.path()), Ok(endpoint));
    }

    #[test]
    fn escapes_change_nothing(endpoint in endpoint(), seed: u64) {
        let path = endpoint.path();
        let rest = path.strip_prefix("/v2/").unwrap();
        let escaped: String = rest
            .bytes()
            .enumerate()
            .map(|(at, byte)| match byte {
                b'/' => "/".into(),
                _ if (seed >> (at % 64)) & 1 == 0 => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect();
        prop_assert_eq!(Endpoint::parse(&format!("/v2/{escaped}")), Ok(endpoint));
    }

    #[test]
    fn another_repository_is_the_only_change(endpoint in endpoint(), name in strategies::repository()) {
        let before = endpoint.repository().cloned();
        let moved = endpoint.clone().with_repository(name.clone());
        prop_assert_eq!(moved.repository(), before.as_ref().map(|_| &name));
        let back = match before {
            Some(before) => moved.with_repository(before),
            None => moved,
        };
        prop_assert_eq!(back, endpoint);
    }

    #[test]
    fn what_parses_has_a_clean_path(
        rest in "([a.%/_A]|%2[eEfF]|%00|manifests/|blobs/|tags/list|uploads/|\\PC){0,12}"
    ) {
        if let Ok(endpoint) = Endpoint::parse(&format!("/v2/{rest}")) {
            let path = endpoint.path();
            prop_assert!(!path.contains('%') && !path.contains("//") && !path.contains("/."));
            prop_assert_eq!(Endpoint::parse(&path), Ok(endpoint));
        }
    }
}
