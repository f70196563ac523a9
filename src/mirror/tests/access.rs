//! Clients served as themselves: nothing without proof, whatever is here.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::tags::manifest;
use crate::mirror::testkit::*;
use crate::mirror::{AccessPolicy, ClientCredential, MirrorError, Outcome, Patience};
use crate::oci::{Accepts, Digest, Reference};
use crate::store::MemoryStore;
use crate::store::faulty::{Fault, Faulty};
use crate::upstream::{ErrorKind, Listing};

const ALLOW: u64 = 300;
const DENY: u64 = 10;

/// A house whose upstream has `repository` with the tag `1` and its one blob, for alice.
fn private(repository: &str) -> (House, Arc<Book>, Digest, Digest) {
    let (house, book) = House::guarded(Arc::new(MemoryStore::default()));
    let blob = noise(100);
    let digest = house.upstream.serves(&blob);
    house.upstream.has_blob(&origin(repository), &digest, 100);
    let manifest = house.upstream.tag("1", manifest(&blob).as_bytes());
    book.grant("alice", repository);
    (house, book, manifest, digest)
}

fn refused(error: &MirrorError) -> bool {
    error.outcome() == Outcome::Denied
}

/// All ways to read something of the repository, each with whether it was given.
async fn reads(
    house: &House,
    who: &Asker,
    repository: &str,
    digests: &[Digest; 2],
) -> Vec<Result<(), MirrorError>> {
    let origin = origin(repository);
    let by_tag: Reference = "1".parse().unwrap();
    let by_digest = Reference::Digest(digests[0].clone());
    let mirror = &house.mirror;
    let tags = Listing::Tags(origin.repository.clone());
    let modern = Accepts::MODERN;
    vec![
        mirror
            .manifest(who, &origin, &by_tag, modern)
            .await
            .map(drop),
        mirror
            .manifest(who, &origin, &by_digest, modern)
            .await
            .map(drop),
        mirror
            .manifest_summary(who, &origin, &by_tag, modern)
            .await
            .map(drop),
        mirror
            .manifest_summary(who, &origin, &by_digest, modern)
            .await
            .map(drop),
        mirror.blob(who, &origin, &digests[1], &[]).await.map(drop),
        mirror.blob_size(who, &origin, &digests[1]).await.map(drop),
        mirror
            .list(who, Patience::Client, &origin.upstream, tags, None)
            .await
            .map(drop),
    ]
}

#[tokio::test]
async fn item_65_what_one_may_read_another_may_not_cached_or_not() {
    let (house, book, manifest, blob) = private("secret");
    let digests = [manifest, blob];
    for name in ["mallory", ""] {
        for read in reads(&house, &client(name), "secret", &digests).await {
            assert!(refused(&read.unwrap_err()), "cold, {name:?}");
        }
    }
    for read in reads(&house, &client("alice"), "secret", &digests).await {
        read.unwrap();
    }
    house.settle().await;
    house.clock.pass(DENY);
    for name in ["mallory", ""] {
        for read in reads(&house, &client(name), "secret", &digests).await {
            assert!(refused(&read.unwrap_err()), "warm, {name:?}");
        }
    }
    // One question a name and moment, and none for those who are known.
    assert_eq!(book.asked("mallory"), 2);
    let asked = book.asked("alice");
    for read in reads(&house, &client("alice"), "secret", &digests).await {
        read.unwrap();
    }
    assert_eq!(book.asked("alice"), asked);
}

#[tokio::test]
async fn item_67_what_is_revoked_is_refused_within_the_ceiling() {
    let (house, book, manifest, blob) = private("secret");
    let digests = [manifest, blob];
    for read in reads(&house, &client("alice"), "secret", &digests).await {
        read.unwrap();
    }
    house.settle().await;
    book.revoke("alice", "secret");
    house.clock.pass(ALLOW);
    for read in reads(&house, &client("alice"), "secret", &digests).await {
        assert!(refused(&read.unwrap_err()));
    }
    // And what is granted again is seen when the refusal has had its time.
    book.grant("alice", "secret");
    house.clock.pass(DENY);
    for read in reads(&house, &client("alice"), "secret", &digests).await {
        read.unwrap();
    }
}

#[tokio::test]
async fn a_yes_lasts_no_longer_than_the_credentials() {
    let (house, book, _, _) = private("secret");
    let now = 1_000_000;
    let Asker::Client(alice) = client("alice") else {
        unreachable!()
    };
    let alice = Asker::Client(ClientCredential {
        expires_at: Some(now + 7),
        ..alice
    });
    let tag: Reference = "1".parse().unwrap();
    let a = origin("secret");
    let ask = || house.mirror.manifest(&alice, &a, &tag, Accepts::MODERN);
    ask().await.unwrap();
    house.settle().await;
    book.revoke("alice", "secret");
    house.clock.pass(6);
    ask().await.unwrap();
    house.clock.pass(1);
    assert!(refused(&ask().await.err().unwrap()));
}

#[tokio::test]
async fn item_66_a_right_in_one_repository_is_none_in_another() {
    let (house, book, _, blob) = private("secret");
    house
        .mirror
        .blob(&client("alice"), &origin("secret"), &blob, &[])
        .await
        .unwrap();
    house.settle().await;
    book.grant("mallory", "open");
    let stolen = house
        .mirror
        .blob(&client("mallory"), &origin("open"), &blob, &[])
        .await;
    assert_eq!(stolen.err().unwrap().outcome(), Outcome::Negative);
    let stolen = house
        .mirror
        .blob_size(&client("mallory"), &origin("open"), &blob)
        .await;
    assert_eq!(stolen.err().unwrap().outcome(), Outcome::Negative);
}

#[tokio::test]
async fn with_upstream_out_private_content_is_refused_and_public_goes_on() {
    // The second time it cannot be looked up what was public.
    for trouble in [Fault::None, Fault::KnowsNothing] {
        let store = Arc::new(Faulty::new(MemoryStore::default(), Fault::None));
        let (house, book) = House::guarded(Arc::clone(&store) as _);
        house.upstream.tag("1", manifest(b"one").as_bytes());
        for repository in ["secret", "open"] {
            book.grant("alice", repository);
        }
        book.grant("", "open");
        let tag: Reference = "1".parse().unwrap();
        let ask = |house: &House, name: &str, repository: &str| {
            let (mirror, name, tag) = (Arc::clone(&house.mirror), client(name), tag.clone());
            let origin = origin(repository);
            async move { mirror.manifest(&name, &origin, &tag, Accepts::MODERN).await }
        };
        ask(&house, "alice", "secret").await.unwrap();
        ask(&house, "", "open").await.unwrap();
        house.settle().await;
        house.clock.pass(ALLOW);
        house.upstream.breaks(ErrorKind::Connect);
        for name in ["alice", "mallory", ""] {
            let error = ask(&house, name, "secret").await.err().unwrap();
            assert_eq!(error.outage(), Some("connect"), "{name}");
            ask(&house, name, "open").await.unwrap();
        }
        // What became private is noticed when upstream is back.
        house.upstream.recovers();
        book.revoke("", "open");
        store.becomes(trouble);
        assert!(refused(&ask(&house, "", "open").await.err().unwrap()));
        store.becomes(Fault::None);
        house.upstream.breaks(ErrorKind::Connect);
        house.clock.pass(ALLOW);
        assert!(ask(&house, "", "open").await.is_err());
    }
}

#[tokio::test]
async fn a_page_refused_to_one_is_not_refused_to_another() {
    let (house, book, ..) = private("secret");
    book.grant("bob", "secret");
    let (alice, bob) = (client("alice"), client("bob"));
    let (secret, tag) = (origin("secret"), "1".parse().unwrap());
    for who in [&alice, &bob] {
        let pull = house.mirror.manifest(who, &secret, &tag, Accepts::MODERN);
        pull.await.unwrap();
    }
    book.revoke("bob", "secret");
    let tags = || Listing::Tags(secret.repository.clone());
    let mirror = &house.mirror;
    let (first, second) = futures_util::join!(
        mirror.list(&bob, Patience::Client, &secret.upstream, tags(), None),
        mirror.list(&alice, Patience::Client, &secret.upstream, tags(), None),
    );
    assert!(refused(&first.err().unwrap()));
    second.unwrap();
}

#[tokio::test]
async fn a_404_said_to_one_who_lost_the_right_takes_nothing_from_the_others() {
    let (house, book, ..) = private("secret");
    book.grant("bob", "secret");
    book.hides();
    let (secret, tag) = (origin("secret"), "1".parse().unwrap());
    let ask = |name| {
        let (mirror, who) = (Arc::clone(&house.mirror), client(name));
        let (secret, tag): (_, Reference) = (secret.clone(), Clone::clone(&tag));
        async move { mirror.manifest(&who, &secret, &tag, Accepts::MODERN).await }
    };
    for name in ["alice", "bob"] {
        ask(name).await.unwrap();
    }
    house.settle().await;
    book.revoke("bob", "secret");
    house.clock.pass(TTL);
    let hidden = ask("bob").await.err().unwrap();
    assert_eq!(hidden.outcome(), Outcome::Negative);
    house.upstream.breaks(ErrorKind::Connect);
    let stale = ask("alice").await.unwrap();
    assert_eq!(stale.outcome, Outcome::Stale("connect"));
    // And an outage gives nothing to the one who was told that there is nothing.
    assert!(ask("bob").await.is_err());
}

#[tokio::test]
async fn a_repository_that_everybody_is_told_does_not_exist_is_not_public() {
    let (house, book, ..) = private("open");
    book.grant("", "open");
    let (open, tag) = (origin("open"), "1".parse().unwrap());
    let mirror = &house.mirror;
    let nobody = mirror.manifest(&Asker::Nobody, &open, &tag, Accepts::MODERN);
    nobody.await.unwrap();
    house.settle().await;
    book.revoke("", "open");
    book.hides();
    house.clock.pass(ALLOW);
    let tags = Listing::Tags(open.repository.clone());
    let list = mirror.list(&Asker::Nobody, Patience::Client, &open.upstream, tags, None);
    assert_eq!(list.await.err().unwrap().outcome(), Outcome::Negative);
    house.upstream.breaks(ErrorKind::Connect);
    let mallory = client("mallory");
    let asked = mirror.manifest(&mallory, &open, &tag, Accepts::MODERN);
    assert_eq!(asked.await.err().unwrap().outage(), Some("connect"));
}

#[tokio::test]
async fn one_who_joins_does_not_depend_on_the_rights_of_the_first() {
    let (house, book, _, digest) = private("secret");
    book.grant("bob", "secret");
    // Alice's download breaks off with her token.
    let cut = house.upstream.serves(&noise(100));
    assert_eq!(cut, digest);
    let gate = gate();
    let expired = Script::of(vec![
        Step::Gate(gate.clone()),
        Step::Fail(ErrorKind::Unauthorized),
    ]);
    house.upstream.on_blob(&digest, expired);
    let (alice, bob) = (client("alice"), client("bob"));
    let secret = origin("secret");
    let first = house.mirror.blob(&alice, &secret, &digest, &[]);
    let second = house.mirror.blob(&bob, &secret, &digest, &[]);
    let (first, second, ()) = futures_util::join!(first, second, async {
        while house.under_way() == 0 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
    });
    assert!(first.is_err());
    assert_eq!(drain_all(&second.unwrap().value).await.0, noise(100));
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Event {
    Read { who: usize, repository: usize },
    Grant { who: usize, repository: usize },
    Revoke { who: usize, repository: usize },
    Pass(u64),
    Out(bool),
}

fn steps() -> impl Strategy<Value = Vec<Event>> {
    let pair = (0..4_usize, 0..3_usize);
    let step = prop_oneof![
        5 => pair.clone().prop_map(|(who, repository)| Event::Read { who, repository }),
        2 => pair.clone().prop_map(|(who, repository)| Event::Grant { who, repository }),
        2 => pair.prop_map(|(who, repository)| Event::Revoke { who, repository }),
        1 => (0..400_u64).prop_map(Event::Pass),
        1 => any::<bool>().prop_map(Event::Out),
    ];
    prop::collection::vec(step, 1..60)
}

const NAMES: [&str; 4] = ["alice", "bob", "mallory", ""];
const REPOSITORIES: [&str; 3] = ["a", "b", "c"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing is given to a name that had no right within the ceiling; public repositories apart, which everybody
    /// had once.
    #[test]
    fn nothing_is_read_without_a_right_that_was_shown(history in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (house, book) = House::guarded(Arc::new(MemoryStore::default()));
            let blob = noise(100);
            let digest = house.upstream.serves(&blob);
            for repository in REPOSITORIES {
                house.upstream.has_blob(&origin(repository), &digest, 100);
            }
            let manifest = house.upstream.tag("1", manifest(&blob).as_bytes());
            let digests = [manifest, digest];
            let mut now = 0_u64;
            // When each name last had each right, or is having it.
            let mut had = [[None::<u64>; 3]; 4];
            for step in history {
                for (who, name) in NAMES.iter().enumerate() {
                    for (repository, text) in REPOSITORIES.iter().enumerate() {
                        if book.may(name, text) {
                            had[who][repository] = Some(now);
                        }
                    }
                }
                match step {
                    Event::Grant { who, repository } => book.grant(NAMES[who], REPOSITORIES[repository]),
                    Event::Revoke { who, repository } => book.revoke(NAMES[who], REPOSITORIES[repository]),
                    Event::Pass(seconds) => {
                        house.clock.pass(seconds);
                        now += seconds;
                    }
                    Event::Out(true) => house.upstream.breaks(ErrorKind::Connect),
                    Event::Out(false) => house.upstream.recovers(),
                    Event::Read { who, repository } => {
                        let given = reads(&house, &client(NAMES[who]), REPOSITORIES[repository], &digests).await;
                        house.settle().await;
                        let shown = had[who][repository].is_some_and(|at| now - at < ALLOW)
                            || had[3][repository].is_some();
                        let may = book.may(NAMES[who], REPOSITORIES[repository]);
                        for (way, read) in given.into_iter().enumerate() {
                            assert!(read.is_err() || shown || may, "{} {} way {way}", NAMES[who], REPOSITORIES[repository]);
                        }
                    }
                }
            }
        });
    }
}

#[test]
fn the_policy_is_what_these_tests_count_with() {
    let policy = AccessPolicy::default();
    assert_eq!(policy.allow, Duration::from_secs(ALLOW));
    assert_eq!(policy.deny, Duration::from_secs(DENY));
}
