//! What is on the wire between a client, the mirror and an upstream that asks.

use serde_json::Value;

use super::{ALICE, BOB, get_as, harbour, reads, token};
use crate::support::http::{Answer, send};
use crate::support::mirror::Plan;
use crate::support::registry::Access;
use crate::support::token::{SERVICE, basic};
use crate::support::upstream::Upstream;

fn challenge(answer: &Answer) -> &str {
    let fields = answer.head.fields.iter();
    let mut told = fields.filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    let (_, told_first) = told.next().expect("a challenge");
    assert!(told.next().is_none(), "one challenge");
    told_first
}

#[tokio::test]
async fn item_58_59_challenges_at_the_base_and_on_objects() {
    let (_upstream, mirror, image) = harbour("").await;
    let (address, repository) = (mirror.address, image.repository);
    let realm = format!("Bearer realm=\"http://{address}/token\",service=\"docker.io\"");
    let base = mirror.get("/v2/").await;
    assert_eq!((base.status(), challenge(&base)), (401, &*realm));
    for (path, name) in [
        (format!("/v2/{repository}"), repository.to_owned()),
        (
            format!("/v2/docker.io/{repository}"),
            format!("docker.io/{repository}"),
        ),
        (format!("/docker.io/v2/{repository}"), repository.to_owned()),
    ] {
        let answer = mirror.get(&format!("{path}/manifests/1")).await;
        let told = format!("{realm},scope=\"repository:{name}:pull\"");
        assert_eq!((answer.status(), challenge(&answer)), (401, &*told));
        assert_eq!(answer.error_code().as_deref(), Some("UNAUTHORIZED"));
    }
    let shown = token(&mirror, Some(ALICE), repository).await;
    let base = get_as(address, "/v2/", Some(&shown)).await;
    assert_eq!(base.status(), 200);
    let bad = get_as(address, "/v2/", Some("Bearer bad")).await;
    assert_eq!(bad.status(), 401);
    assert!(challenge(&bad).ends_with(",error=\"invalid_token\""));
    let manifest = format!("/v2/{repository}/manifests/1");
    let fields = [("Authorization", &*shown), ("Authorization", "Bearer b")];
    let two = send(address, "GET", &manifest, &fields, b"").await;
    assert_eq!(two.whole().await.status(), 400);
    let own = get_as(address, &manifest, Some(&shown)).await;
    let kept = own.head.field("cache-control").unwrap();
    assert!(kept.starts_with("private"), "{kept}");
}

#[tokio::test]
async fn item_59_the_realm_is_the_external_url() {
    let (_upstream, mirror, _) = harbour("external_url = \"https://mirror.example\"").await;
    let base = mirror.get("/v2/").await;
    let told = "Bearer realm=\"https://mirror.example/token\",service=\"docker.io\"";
    assert_eq!(challenge(&base), told);
}

#[tokio::test]
async fn item_60_61_64_a_token_by_each_form() {
    let (_upstream, mirror, image) = harbour("").await;
    let repository = image.repository;
    let target = format!("/v2/{repository}/manifests/1");
    let by_basic = basic(ALICE.0, ALICE.1);
    let (name, password) = ALICE;
    for (method, query, shown, form, may) in [
        (
            "GET",
            format!("scope=repository:{repository}:pull"),
            Some(&*by_basic),
            String::new(),
            true,
        ),
        (
            "GET",
            format!(
                "scope=repository:docker.io/{repository}:pull,push&account=alice&offline_token=true"
            ),
            Some(&*by_basic),
            String::new(),
            true,
        ),
        (
            "GET",
            format!("scope=repository:{repository}:pull"),
            None,
            String::new(),
            false,
        ),
        ("GET", String::new(), Some(&*by_basic), String::new(), false),
        (
            "POST",
            String::new(),
            None,
            format!(
                "grant_type=password&username={name}&password={password}&client_id=containerd&scope=repository:{repository}:pull"
            ),
            true,
        ),
        (
            "POST",
            String::new(),
            None,
            format!("username={name}&password={password}&scope=repository:{repository}:pull"),
            true,
        ),
        (
            "POST",
            String::new(),
            Some(&*by_basic),
            format!("scope=repository:{repository}:pull"),
            true,
        ),
    ] {
        let asked = format!("/token?service=docker.io&{query}");
        let mut fields = vec![("Content-Type", "application/x-www-form-urlencoded")];
        fields.extend(shown.map(|it| ("Authorization", it)));
        let answer = send(mirror.address, method, &asked, &fields, form.as_bytes()).await;
        let answer = answer.whole().await;
        assert_eq!(
            answer.status(),
            200,
            "{method} {query} {form}: {}",
            answer.text()
        );
        assert_eq!(answer.head.field("cache-control"), Some("no-store"));
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(told["token"], told["access_token"]);
        assert!(told["expires_in"].as_u64().unwrap() >= 60, "item 61");
        assert!(told["issued_at"].as_str().unwrap().ends_with('Z'));
        let shown = format!("Bearer {}", told["token"].as_str().unwrap());
        let pulled = get_as(mirror.address, &target, Some(&shown)).await.status();
        assert_eq!(pulled == 200, may, "{method} {query} {form}: {pulled}");
    }
    for (method, form, status) in [
        ("POST", "grant_type=authorization_code", 400),
        (
            "POST",
            "grant_type=refresh_token&refresh_token=x&service=docker.io",
            0,
        ),
        ("PUT", "", 405),
    ] {
        let answer = send(mirror.address, method, "/token", &[], form.as_bytes()).await;
        let answered = answer.whole().await.status();
        // The token server of these tests knows no refresh tokens, and says so to the mirror.
        assert!(
            answered == status || status == 0 && answered >= 400,
            "{answered}"
        );
    }
    let endless = vec![b'a'; 70 * 1024];
    let too_long = send(mirror.address, "POST", "/token", &[], &endless).await;
    assert_eq!(too_long.whole().await.status(), 400);
    let wrong = basic(ALICE.0, "wrong");
    let refused = get_as(mirror.address, "/token?service=docker.io", Some(&wrong)).await;
    assert_eq!(refused.status(), 401);
    let nowhere = mirror
        .get("/token?service=docker.io&scope=repository:x/y:pull")
        .await;
    assert_eq!(nowhere.status(), 200, "nobody has a token as well");
}

#[tokio::test]
async fn item_62_65_66_incidents_05_06_nothing_without_the_right_cached_or_not() {
    let (upstream, mirror, image) = harbour("deny_ttl = \"1s\"").await;
    let repository = image.repository;
    let alice = token(&mirror, Some(ALICE), repository).await;
    let bob = token(&mirror, Some(BOB), repository).await;
    let nobody = token(&mirror, None, repository).await;
    let unasked = basic(ALICE.0, ALICE.1);
    for state in ["cold", "cached"] {
        for shown in [&*bob, &nobody, "", "Basic Og==", &unasked, "Bearer bad"] {
            let statuses = reads(&mirror, repository, &image, shown).await;
            assert!(
                statuses.iter().all(|it| *it == 401),
                "{state} {shown:?}: {statuses:?}"
            );
        }
        let statuses = reads(&mirror, repository, &image, &alice).await;
        assert_eq!(
            statuses[..8],
            [200, 200, 200, 200, 200, 200, 206, 200],
            "{state}"
        );
    }
    mirror.rests(std::time::Duration::from_secs(20)).await;
    assert_eq!(upstream.tap.blobs()[&image.blob].gets, 1);
    // Item 66: a repository that is hers shows nothing of what is in another.
    upstream
        .registry
        .tokens()
        .knows(ALICE.0, ALICE.1, &["secret/a", "secret/b"]);
    super::push(&upstream, "secret/b", 8).await;
    let b = token(&mirror, Some(ALICE), "secret/b").await;
    let through = format!("/v2/secret/b/blobs/{}", image.blob);
    assert_eq!(
        get_as(mirror.address, &through, Some(&b)).await.status(),
        404
    );
}

#[tokio::test]
async fn realm_upstream_tokens_are_the_upstreams_own() {
    let upstream = Upstream::start(Access::Bearer).await;
    let image = super::push(&upstream, "secret/a", 7).await;
    upstream
        .registry
        .tokens()
        .knows(ALICE.0, ALICE.1, &["secret/a"]);
    let mirror = Plan::of(&upstream.tap)
        .serving_clients("upstream")
        .start()
        .await;
    let base = mirror.get("/v2/").await;
    let realm = upstream.registry.tokens().realm();
    let told = format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"");
    assert_eq!((base.status(), challenge(&base)), (401, &*told));
    let skopeo = crate::support::clients::Skopeo::new(mirror.address);
    let reference = format!("{}/{}:1", mirror.address, image.repository);
    let alice = format!("{}:{}", ALICE.0, ALICE.1);
    for (user, may) in [(None, false), (Some(&*alice), true), (None, false)] {
        let (could, said) = skopeo.copy_as(user, &reference).await;
        assert_eq!(could, may, "{user:?}: {said}");
    }
}

#[tokio::test]
async fn with_the_upstream_gone_the_base_still_answers_within_a_second() {
    let (upstream, mirror, image) = harbour("").await;
    let alice = token(&mirror, Some(ALICE), image.repository).await;
    let blob = format!("/v2/{}/blobs/{}", image.repository, image.blob);
    assert_eq!(
        get_as(mirror.address, &blob, Some(&alice)).await.status(),
        200
    );
    let public = super::push(&upstream, "public/a", 8).await;
    let open = format!("/v2/public/a/blobs/{}", public.blob);
    let nobody = token(&mirror, None, "public/a").await;
    assert_eq!(
        get_as(mirror.address, &open, Some(&nobody)).await.status(),
        200
    );
    mirror.rests(std::time::Duration::from_secs(20)).await;
    drop(upstream);
    let began = std::time::Instant::now();
    assert_eq!(mirror.get("/v2/").await.status(), 401);
    assert!(began.elapsed() < std::time::Duration::from_secs(1));
    // Who cannot be known now is nobody for a while.
    let unknown = token(&mirror, Some(ALICE), image.repository).await;
    assert!(get_as(mirror.address, &blob, Some(&unknown)).await.status() >= 400);
    assert_eq!(
        get_as(mirror.address, &open, Some(&unknown)).await.status(),
        200
    );
    // What was shown to her a moment ago still is hers; to others nothing is.
    assert_eq!(
        get_as(mirror.address, &blob, Some(&alice)).await.status(),
        200
    );
    assert!(mirror.get(&blob).await.status() >= 400);
}
