//! Real clients sign in at the mirror with their own accounts and pull what is theirs, and nothing else.

use super::{ALICE, BOB, Private, get_as, harbour, push, token};
use crate::support::clients::{Client, Containerd, Docker, Podman, Skopeo};
use crate::support::images::missing;
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::{Access, PASSWORD, USER};
use crate::support::token::basic;
use crate::support::upstream::Upstream;

/// The image by the address of the mirror, with the upstream in front.
fn by_prefix(mirror: &Mirror, private: &Private) -> String {
    format!("{}/docker.io/{}:1", mirror.address, private.repository)
}

fn pair((name, password): (&str, &str)) -> String {
    format!("{name}:{password}")
}

/// The client holds the image's bytes, and lets go of them.
async fn has_it<C: Client>(client: &C, private: &Private, reference: &str) {
    let holds = client.holds(reference).await;
    let lacks = missing(private.layout.layers(), &holds);
    assert!(lacks.is_empty(), "{} lacks {lacks:?}", C::NAME);
    client.forget(reference).await;
}

/// An upstream behind a password file, and a mirror of it whose clients are served as themselves.
async fn basic_harbour() -> (Upstream, Mirror, Private) {
    let upstream = Upstream::start(Access::Basic).await;
    let private = push(&upstream, "secret/a", 7).await;
    let mirror = Plan::of(&upstream.tap)
        .serving_clients("mirror")
        .start()
        .await;
    (upstream, mirror, private)
}

#[tokio::test]
async fn item_58_60_65_skopeo_copies_with_its_own_account_cold_and_cached() {
    let (upstream, mirror, private) = harbour("").await;
    let reference = by_prefix(&mirror, &private);
    let skopeo = Skopeo::new(mirror.address);
    let (alice, bob) = (pair(ALICE), pair(BOB));
    for state in ["cold", "cached"] {
        for user in [None, Some(&*bob), Some("alice:wrong")] {
            let (could, said) = skopeo.copy_as(user, &reference).await;
            assert!(!could, "{state} {user:?}: {said}");
        }
        let (could, said) = skopeo.copy_as(Some(&alice), &reference).await;
        assert!(could, "{state}: {said}");
        has_it(&skopeo, &private, &reference).await;
    }
    assert_eq!(upstream.tap.blobs()[&private.blob].gets, 1);
}

#[tokio::test]
async fn item_58_60_65_podman_signs_in_and_pulls_cold_and_cached() {
    let (upstream, mirror, private) = harbour("").await;
    let reference = by_prefix(&mirror, &private);
    let address = mirror.address.to_string();
    for state in ["cold", "cached"] {
        let nobody = Podman::new(mirror.address);
        let (could, said) = nobody.try_pull(&reference).await;
        assert!(!could, "{state}, nobody: {said}");

        let bob = Podman::new(mirror.address);
        let (could, said) = bob.login(BOB.0, BOB.1, &address).await;
        assert!(could, "{said}");
        let (could, said) = bob.try_pull(&reference).await;
        assert!(!could, "{state}, bob: {said}");

        let alice = Podman::new(mirror.address);
        let (could, said) = alice.login(ALICE.0, "wrong", &address).await;
        assert!(!could, "{said}");
        let (could, said) = alice.login(ALICE.0, ALICE.1, &address).await;
        assert!(could, "{said}");
        let (could, said) = alice.try_pull(&reference).await;
        assert!(could, "{state}: {said}");
        has_it(&alice, &private, &reference).await;
    }
    assert_eq!(upstream.tap.blobs()[&private.blob].gets, 1);
}

#[tokio::test]
async fn item_58_60_65_docker_signs_in_and_pulls_cold_and_cached() {
    let (upstream, mirror, private) = harbour("").await;
    let reference = by_prefix(&mirror, &private);
    let address = mirror.address.to_string();
    let docker = Docker::start(mirror.address).await;
    for state in ["cold", "cached"] {
        let (could, said) = docker.try_pull(&reference).await;
        assert!(!could, "{state}, nobody: {said}");
        let (could, said) = docker.login(ALICE.0, "wrong", &address).await;
        assert!(!could, "{said}");
        let (could, said) = docker.login(BOB.0, BOB.1, &address).await;
        assert!(could, "{said}");
        let (could, said) = docker.try_pull(&reference).await;
        assert!(!could, "{state}, bob: {said}");

        let (could, said) = docker.login(ALICE.0, ALICE.1, &address).await;
        assert!(could, "{said}");
        let (could, said) = docker.try_pull(&reference).await;
        assert!(could, "{state}: {said}");
        has_it(&docker, &private, &reference).await;
        docker.logout(&address).await;
    }
    assert_eq!(upstream.tap.blobs()[&private.blob].gets, 1);
}

#[tokio::test]
async fn item_65_containerd_shows_a_token_in_a_header() {
    let (upstream, mirror, private) = harbour("").await;
    let reference = format!("docker.io/{}:1", private.repository);
    let containerd = Containerd::start(mirror.address).await;
    for state in ["cold", "cached"] {
        for user in [None, Some(BOB)] {
            let shown = match user {
                Some(_) => Some(token(&mirror, user, private.repository).await),
                None => None,
            };
            containerd.shows(mirror.address, shown.as_deref());
            let (could, said) = containerd.try_pull(&reference).await;
            assert!(!could, "{state} {user:?}: {said}");
        }
        let shown = token(&mirror, Some(ALICE), private.repository).await;
        containerd.shows(mirror.address, Some(&shown));
        let (could, said) = containerd.try_pull(&reference).await;
        assert!(could, "{state}: {said}");
        has_it(&containerd, &private, &reference).await;
    }
    assert_eq!(upstream.tap.blobs()[&private.blob].gets, 1);
}

#[tokio::test]
async fn item_58_60_65_containerd_gets_its_tokens_itself() {
    let (upstream, mirror, private) = harbour("").await;
    let reference = format!("docker.io/{}:1", private.repository);
    let containerd = Containerd::start(mirror.address).await;
    let (alice, bob) = (pair(ALICE), pair(BOB));
    for state in ["cold", "cached"] {
        for user in [None, Some(&*bob), Some("alice:wrong")] {
            let (could, said) = containerd.pull_as(user, &reference).await;
            assert!(!could, "{state} {user:?}: {said}");
        }
        let (could, said) = containerd.pull_as(Some(&alice), &reference).await;
        assert!(could, "{state}: {said}");
        has_it(&containerd, &private, &reference).await;
    }
    assert_eq!(upstream.tap.blobs()[&private.blob].gets, 1);
}

#[tokio::test]
async fn item_58_65_clients_of_an_upstream_with_a_password_file() {
    let (upstream, mirror, private) = basic_harbour().await;
    let reference = by_prefix(&mirror, &private);
    let address = mirror.address.to_string();
    let good = format!("{USER}:{PASSWORD}");
    let skopeo = Skopeo::new(mirror.address);
    let docker = Docker::start(mirror.address).await;
    let containerd = Containerd::start(mirror.address).await;
    let hub = format!("docker.io/{}:1", private.repository);
    for state in ["cold", "cached"] {
        for user in [None, Some("mate:harbour-light")] {
            let (could, said) = skopeo.copy_as(user, &reference).await;
            assert!(!could, "{state} {user:?}: {said}");
        }
        let (could, said) = skopeo.copy_as(Some(&good), &reference).await;
        assert!(could, "{state}: {said}");
        has_it(&skopeo, &private, &reference).await;

        let (could, said) = docker.login(USER, "wrong", &address).await;
        assert!(!could, "{said}");
        let (could, said) = docker.login(USER, PASSWORD, &address).await;
        assert!(could, "{said}");
        let (could, said) = docker.try_pull(&reference).await;
        assert!(could, "{state}: {said}");
        has_it(&docker, &private, &reference).await;
        docker.logout(&address).await;

        for (user, may) in [("mate", false), (USER, true)] {
            containerd.shows(mirror.address, Some(&basic(user, PASSWORD)));
            let (could, said) = containerd.try_pull(&hub).await;
            assert_eq!(could, may, "{state} {user}: {said}");
        }
        has_it(&containerd, &private, &hub).await;
    }
    assert_eq!(upstream.tap.blobs()[&private.blob].gets, 1);
}

#[tokio::test]
async fn item_67_what_is_revoked_upstream_is_refused_within_the_ceiling() {
    let upstream = Upstream::start(Access::Basic).await;
    let private = push(&upstream, "secret/a", 7).await;
    let plan = Plan::of(&upstream.tap).serving_clients("mirror");
    let plan = plan.of_server("access_ttl = \"1s\"\ndeny_ttl = \"1s\"");
    let mirror = plan.start().await;
    upstream.registry.known_by(&[USER, "mate"]);
    let blob = format!("/v2/{}/blobs/{}", private.repository, private.blob);
    let status = async |user: &str| {
        let shown = basic(user, PASSWORD);
        get_as(mirror.address, &blob, Some(&shown)).await.status()
    };
    assert_eq!((status("mate").await, status(USER).await), (200, 200));
    upstream.registry.known_by(&[USER]);
    let limit = std::time::Duration::from_secs(10);
    crate::support::bound::until("the revoked is refused", limit, async || {
        status("mate").await == 401
    })
    .await;
    assert_eq!(status(USER).await, 200);
}
