//! Tags in every weather: upstream slow, out, spent, and asked behind the client's back.

use std::time::Duration;

use super::tags::manifest;
use crate::mirror::freshness::Freshness;
use crate::mirror::testkit::*;
use crate::mirror::{Answer, HeldManifest, MirrorError, Outcome, TagPolicies, TagPolicy};
use crate::oci::{Accepts, Digest, Reference};
use crate::store::RecordKey;
use crate::upstream::{ErrorKind, Standing};

async fn ask(house: &House) -> Result<Answer<HeldManifest>, MirrorError> {
    let tag: Reference = "1".parse().unwrap();
    house
        .mirror
        .manifest(&Asker::Mirror, &origin("a"), &tag, Accepts::MODERN)
        .await
}

async fn pull(house: &House) -> (Digest, Outcome) {
    let answer = ask(house).await.unwrap();
    (answer.value.digest, answer.outcome)
}

/// A house that has pulled the tag, past its `ttl`; and the digest.
async fn warm(policy: TagPolicy) -> (House, Digest) {
    let house = House::tagged(TagPolicies::all(policy));
    let digest = house.upstream.tag("1", manifest(b"one").as_bytes());
    assert_eq!(pull(&house).await, (digest.clone(), Outcome::Miss));
    house.settle().await;
    house.clock.pass(TTL);
    (house, digest)
}

#[tokio::test(start_paused = true)]
async fn a_moving_tag_costs_the_client_nothing_while_it_is_revalidated_behind() {
    let (house, one) = warm(TagPolicy {
        stale_while_revalidate: Duration::from_secs(TTL),
        ..tag_policy()
    })
    .await;
    let two = house.upstream.tag("1", manifest(b"two").as_bytes());
    let gate = gate();
    house.upstream.tagged.heads_wait_for(gate.clone());
    let stale = Outcome::Stale("while-revalidate");
    assert_eq!(pull(&house).await, (one.clone(), stale));
    assert_eq!(pull(&house).await, (one, stale));
    gate.add_permits(1);
    house.answered().await;
    house.settle().await;
    assert_eq!(pull(&house).await, (two.clone(), Outcome::Hit));
    assert_eq!(house.upstream.count("HEAD manifest 1"), 2);
    assert_eq!(house.upstream.count(&format!("GET manifest {two}")), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_an_upstream_they_can_do_without() {
    let (house, one) = warm(tag_policy()).await;
    let gate = gate();
    house.upstream.tagged.heads_wait_for(gate.clone());
    let began = tokio::time::Instant::now();
    assert_eq!(pull(&house).await, (one.clone(), Outcome::Stale("slow")));
    assert!(began.elapsed() <= Duration::from_millis(500));
    // Once that is known, nobody waits at all.
    house.upstream.stands(Standing {
        is_slow: true,
        ..Standing::default()
    });
    let began = tokio::time::Instant::now();
    assert_eq!(pull(&house).await, (one.clone(), Outcome::Stale("slow")));
    assert_eq!(began.elapsed(), Duration::ZERO);
    // The one question went on all the while, and its answer counts.
    gate.add_permits(1);
    house.answered().await;
    assert_eq!(pull(&house).await, (one, Outcome::Hit));
    assert_eq!(house.upstream.count("HEAD manifest 1"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_to_stand_in_is_waited_for() {
    let (house, one) = warm(tag_policy()).await;
    house.clock.pass(STALE);
    let gate = gate();
    house.upstream.tagged.heads_wait_for(gate.clone());
    house.upstream.stands(Standing {
        is_slow: true,
        ..Standing::default()
    });
    let (answer, ()) = futures_util::join!(pull(&house), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        gate.add_permits(1);
    });
    assert_eq!(answer, (one, Outcome::Revalidated));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_out_is_asked_behind_so_that_its_return_is_seen() {
    let (house, one) = warm(tag_policy()).await;
    house.upstream.stands(Standing {
        is_down: true,
        ..Standing::default()
    });
    house.upstream.breaks(ErrorKind::AssumedOffline {
        retry_after: Duration::from_secs(9),
    });
    let down = Outcome::Stale("assumed-offline");
    assert_eq!(pull(&house).await, (one.clone(), down));
    house.answered().await;
    house.upstream.recovers();
    // The probe.
    assert_eq!(pull(&house).await, (one.clone(), down));
    house.answered().await;
    assert_eq!(pull(&house).await, (one, Outcome::Hit));
}

#[tokio::test(start_paused = true)]
async fn under_the_reserve_stale_is_better_than_a_counted_request() {
    let (house, one) = warm(tag_policy()).await;
    let two = house.upstream.tag("1", manifest(b"two").as_bytes());
    let spent = |is_spent| {
        house.upstream.stands(Standing {
            is_spent,
            ..Standing::default()
        });
    };
    spent(true);
    let limited = Outcome::Stale("rate-limit");
    assert_eq!(pull(&house).await, (one.clone(), limited));
    assert_eq!(house.upstream.count(&format!("GET manifest {two}")), 0);
    // What cannot be had otherwise is asked for all the same.
    house.clock.pass(STALE);
    assert_eq!(pull(&house).await, (two, Outcome::Miss));
    spent(false);
}

#[tokio::test(start_paused = true)]
async fn a_404_stands_for_its_own_time() {
    let house = House::tagged(TagPolicies::all(TagPolicy {
        negative_ttl: Duration::from_secs(10),
        ..tag_policy()
    }));
    let absent = || async { ask(&house).await.err().map(|error| error.outcome()) };
    assert_eq!(absent().await, Some(Outcome::Negative));
    house.clock.pass(9);
    assert_eq!(absent().await, Some(Outcome::Negative));
    assert_eq!(house.upstream.count("HEAD manifest 1"), 1);
    let digest = house.upstream.tag("1", manifest(b"one").as_bytes());
    house.clock.pass(1);
    assert_eq!(pull(&house).await, (digest, Outcome::Miss));

    // The same by digest.
    let absent = Reference::Digest(Digest::sha256_of(b"nothing"));
    let a = origin("a");
    let fails = || async {
        let found = house
            .mirror
            .manifest(&Asker::Mirror, &a, &absent, Accepts::MODERN);
        found.await.err().unwrap().outcome()
    };
    assert_eq!(fails().await, Outcome::Negative);
    assert_eq!(fails().await, Outcome::Negative);
    assert_eq!(house.upstream.count(&format!("GET manifest {absent}")), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_no_404_and_is_not_remembered_as_one() {
    let house = House::tagged(TagPolicies::all(TagPolicy {
        negative_ttl: Duration::from_hours(1),
        ..tag_policy()
    }));
    let digest = house.upstream.tag("1", manifest(b"one").as_bytes());
    for kind in [
        ErrorKind::Connect,
        ErrorKind::Status(500),
        ErrorKind::TooManyRequests { retry_after: None },
        ErrorKind::Unauthorized,
        ErrorKind::Denied,
    ] {
        house.upstream.breaks(kind.clone());
        let outcome = ask(&house).await.err().unwrap().outcome();
        assert_ne!(outcome, Outcome::Negative, "{kind:?}");
    }
    house.upstream.recovers();
    assert_eq!(pull(&house).await, (digest, Outcome::Miss));
}

#[tokio::test(start_paused = true)]
async fn an_immutable_tag_is_never_asked_about_again() {
    let (house, one) = warm(TagPolicy {
        is_immutable: true,
        ..tag_policy()
    })
    .await;
    house.upstream.tag("1", manifest(b"two").as_bytes());
    house.clock.pass(STALE * 1000);
    assert_eq!(pull(&house).await, (one, Outcome::Hit));
    assert_eq!(house.upstream.count("HEAD manifest 1"), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_tell_their_age() {
    let (house, _) = warm(tag_policy()).await;
    let age = || async { ask(&house).await.unwrap().age };
    assert_eq!(age().await, Some(Duration::ZERO), "just revalidated");
    house.clock.pass(7);
    assert_eq!(age().await, Some(Duration::from_secs(7)));
    house.clock.pass(TTL);
    house.upstream.breaks(ErrorKind::Connect);
    assert_eq!(age().await, Some(Duration::from_secs(TTL + 7)));
}

#[tokio::test(start_paused = true)]
async fn a_404_by_digest_does_not_outlast_the_tag_that_shows_it() {
    for by_head in [true, false] {
        let house = House::tagged(TagPolicies::all(TagPolicy {
            negative_ttl: Duration::from_secs(10),
            ..tag_policy()
        }));
        let (mirror, a, tag) = (&house.mirror, origin("a"), "1".parse().unwrap());
        let one = Digest::sha256_of(manifest(b"one").as_bytes());
        let by_digest = Reference::Digest(one.clone());
        let modern = Accepts::MODERN;
        let get = || mirror.manifest(&Asker::Mirror, &a, &by_digest, modern);
        // Somebody waits for what is about to be pushed.
        let absent = get().await.err().unwrap();
        assert_eq!(absent.outcome(), Outcome::Negative);
        house.upstream.tag("1", manifest(b"one").as_bytes());
        assert!(get().await.is_err(), "upstream's word stands for a while");
        if by_head {
            let head = mirror.manifest_summary(&Asker::Mirror, &a, &tag, modern);
            assert_eq!(head.await.unwrap().value.digest, one);
        } else {
            assert_eq!(pull(&house).await.0, one);
        }
        assert_eq!(get().await.unwrap().value.digest, one, "{by_head}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_too_late_for_a_question_takes_its_answer() {
    let (house, one) = warm(tag_policy()).await;
    let right = house.mirror.right(&Asker::Mirror, &origin("a")).unwrap();
    let key = RecordKey {
        origin: origin("a"),
        tag: "1".parse().unwrap(),
        accepts: Accepts::MODERN,
    };
    let old = house.store.record(&key).unwrap();
    assert_eq!(pull(&house).await, (one.clone(), Outcome::Revalidated));
    // It had read the record before that, and found nobody asking after it.
    let judged = Freshness::Revalidate;
    let answer = house.mirror.ask(&right, &key, old, judged).await.unwrap();
    assert_eq!((answer.value.digest, answer.outcome), (one, Outcome::Hit));
    assert_eq!(house.upstream.count("HEAD manifest 1"), 2);
}
