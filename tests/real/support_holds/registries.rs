//! Registries hold what was pushed, as what it was pushed, and ask for what they are told to ask for.

use std::time::Duration;

use super::SIZES;
use crate::support::clients::SKOPEO;
use crate::support::digest;
use crate::support::http::{get, send};
use crate::support::images::{Format, Layout};
use crate::support::process::run;
use crate::support::registry::{Access, PASSWORD, USER};
use crate::support::upstream::Upstream;

#[tokio::test(flavor = "multi_thread")]
async fn images_are_of_the_kind_they_are_called() {
    let upstream = Upstream::start(Access::Open).await;
    let single = Layout::image(4, &SIZES);
    let index = Layout::multi_arch(4, &SIZES);
    for (layout, format, media_type) in [
        (
            &single,
            Format::Oci,
            "application/vnd.oci.image.manifest.v1+json",
        ),
        (
            &single,
            Format::Schema2,
            "application/vnd.docker.distribution.manifest.v2+json",
        ),
        (
            &index,
            Format::Oci,
            "application/vnd.oci.image.index.v1+json",
        ),
    ] {
        let pushed = upstream
            .registry
            .push(layout, "library/kind", "one", format)
            .await;
        let target = format!("/v2/library/kind/manifests/{pushed}");
        let accept = [("Accept", media_type)];
        let answer = send(upstream.tap.address(), "GET", &target, &accept, b"")
            .await
            .whole()
            .await;
        assert_eq!(answer.status(), 200, "{media_type}: {}", answer.text());
        assert_eq!(answer.head.field("content-type"), Some(media_type));
        assert_eq!(digest(&answer.body), pushed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_ask_for_what_they_are_told_to() {
    for (access, challenge) in [
        (Access::Open, None),
        (Access::Basic, Some("Basic ")),
        (Access::Bearer, Some("Bearer ")),
    ] {
        let upstream = Upstream::start(access).await;
        let layout = Layout::image(5, &SIZES);
        upstream
            .registry
            .push(&layout, "library/guarded", "one", Format::Oci)
            .await;

        let answer = get(upstream.tap.address(), "/v2/library/guarded/manifests/one").await;
        let asked = answer.head.field("www-authenticate");
        match challenge {
            None => assert_eq!(
                (answer.status(), asked),
                (404, None),
                "an OCI manifest without Accept"
            ),
            Some(kind) => {
                assert_eq!(answer.status(), 401);
                assert!(
                    asked.is_some_and(|asked| asked.starts_with(kind)),
                    "{access:?}: {asked:?}"
                );
            }
        }
        let name = "library/guarded";
        assert!(
            copies(&upstream, name, Some(PASSWORD)).await,
            "{access:?}, right credentials"
        );
        if access != Access::Open {
            assert!(
                !copies(&upstream, name, Some("wrong")).await,
                "{access:?}, wrong ones"
            );
            assert!(!copies(&upstream, name, None).await, "{access:?}, none");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_and_public_repositories_need_no_credentials() {
    let upstream = Upstream::start(Access::Bearer).await;
    let layout = Layout::image(6, &SIZES);
    for repository in ["public/open", "library/guarded"] {
        upstream
            .registry
            .push(&layout, repository, "one", Format::Oci)
            .await;
    }
    let tokens = upstream.registry.tokens();
    let before = tokens.given();
    assert!(copies(&upstream, "public/open", None).await);
    assert!(tokens.given() > before);
    assert!(!copies(&upstream, "library/guarded", None).await);
    assert_eq!(tokens.refused(), 0);
    assert!(!copies(&upstream, "library/guarded", Some("wrong")).await);
    assert!(tokens.refused() > 0);
}

/// Whether skopeo can copy this image through the tap.
async fn copies(upstream: &Upstream, repository: &str, password: Option<&str>) -> bool {
    let target = tempfile::tempdir().unwrap();
    let mut copy = SKOPEO.command();
    copy.env("REGISTRY_AUTH_FILE", target.path().join("auth.json"));
    copy.args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--src-tls-verify=false",
    ]);
    if let Some(password) = password {
        copy.arg("--src-creds").arg(format!("{USER}:{password}"));
    }
    copy.arg(format!(
        "docker://{}/{repository}:one",
        upstream.tap.address()
    ));
    copy.arg(format!("dir:{}", target.path().join("copy").display()));
    run(copy, Duration::from_mins(1)).await.status.success()
}
