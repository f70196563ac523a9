//! What is chosen beside the images themselves: what refers to them, tags by pattern, names to pin them under.

use bytes::Bytes;

use super::{furnished, image, order, warm};
use crate::mirror::Patience;
use crate::mirror::testkit::*;
use crate::mirror::warm::{JobState, Order, PinUnder, cosign_tags};
use crate::oci::{Accepts, Digest, fallback_tag};
use crate::store::RecordKey;
use crate::upstream::{ErrorKind, Listing};

#[tokio::test]
async fn signatures_and_referrers_come_along_and_are_known_offline() {
    let (house, warmer) = furnished(house());
    let layers = [noise(1_000), noise(1_001), noise(1_002)];
    for layer in &layers {
        house.upstream.serves(layer);
    }
    let subject = image(&layers[0], None);
    let digest = house.upstream.tag("1", subject.as_bytes());
    let referrer = image(&layers[1], Some(&digest));
    let referrer_digest = house.upstream.tagged.holds(referrer.as_bytes());
    let listing = Listing::Referrers("a/b".parse().unwrap(), digest.clone());
    let listed = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{referrer_digest}","size":{},"artifactType":"x/y"}}]}}"#,
        referrer.len()
    );
    house.upstream.tagged.lists(listing, &listed, None);
    let signature = cosign_tags(&digest)[0].to_string();
    let signed = house
        .upstream
        .tag(&signature, image(&layers[2], None).as_bytes());

    let plain = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!(plain.state, JobState::Complete);
    assert!(!house.has(&referrer_digest) && !house.has(&signed));
    let mut with = order(&["a/b:1"]);
    with.referrers = true;
    let report = warm(&warmer, with.clone()).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    for digest in [&referrer_digest, &signed] {
        assert!(house.has(digest));
    }
    for layer in &layers {
        assert!(house.has(&Digest::sha256_of(layer)));
    }

    house.upstream.breaks(ErrorKind::Offline);
    let referrers = || async {
        let mirror = &house.mirror;
        mirror
            .referrers(
                &Asker::Mirror,
                Patience::Client,
                &origin("a/b"),
                &digest,
                Some("x/y"),
                None,
            )
            .await
    };
    house.clock.pass(STALE * 10);
    let answer = referrers().await.unwrap().value;
    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
    assert!(text.contains(&referrer_digest.to_string()), "{text}");
    // Warming what is here, offline, is a way to see that it is all here.
    let offline = warm(&warmer, with).await;
    assert_eq!(offline.fetched, 0, "{offline:?}");
    // That record is for want of upstream only: there it says nothing.
    house.upstream.recovers();
    let key = RecordKey {
        origin: origin("a/b"),
        tag: fallback_tag(&digest).unwrap(),
        accepts: Accepts::MODERN,
    };
    assert_eq!(house.store.record(&key).unwrap().unwrap().checked_at, 0);
}

#[tokio::test]
async fn a_pattern_stands_for_the_newest_tags_that_match() {
    let (house, warmer) = furnished(house());
    let layer = noise(1_000);
    house.upstream.serves(&layer);
    let manifest = image(&layer, None);
    for tag in ["3.9", "3.10", "3.8", "latest"] {
        house.upstream.tag(tag, manifest.as_bytes());
    }
    let tags = r#"{"name":"a/b","tags":["3.8","3.9","3.10","4.0","latest"]}"#;
    let listing = Listing::Tags("a/b".parse().unwrap());
    house.upstream.tagged.lists(listing, tags, None);
    let mut newest = order(&["a/b:3.*"]);
    newest.latest = Some(2);
    let report = warm(&warmer, newest).await;
    let rows: Vec<_> = report.rows.iter().map(|row| &*row.reference).collect();
    assert_eq!(rows, ["docker.io/a/b:3.10", "docker.io/a/b:3.9"]);
    assert_eq!(report.state, JobState::Complete);
    let nothing = warm(&warmer, order(&["a/b:9*"])).await;
    assert_eq!(nothing.rows[0].reason.as_deref(), Some("no tag matches"));
    assert_eq!(nothing.state, JobState::Failed);
}

#[tokio::test]
async fn a_pin_names_what_is_here_and_gives_nothing_up_for_what_failed() {
    let (house, warmer) = furnished(house());
    let layer = noise(1_000);
    house.upstream.serves(&layer);
    let first = house.upstream.tag("1", image(&layer, None).as_bytes());
    let pinned = |adds, wanted: &[&str]| Order {
        pin: Some(PinUnder {
            name: "site".to_owned(),
            adds,
        }),
        ..order(wanted)
    };
    warm(&warmer, pinned(false, &["a/b:1"])).await;
    let pins = || house.store.pins()[0].digests.clone();
    assert_eq!(pins(), std::slice::from_ref(&first));
    let second = house.upstream.tag("2", image(b"", None).as_bytes());
    house.upstream.serves(&Bytes::new());
    // One of them fails: what was pinned stays.
    let report = warm(&warmer, pinned(false, &["a/b:2", "a/b:0"])).await;
    assert_eq!(report.pin.as_deref(), Some("site"));
    let mut both = vec![first.clone(), second.clone()];
    both.sort();
    assert_eq!(pins(), both);
    warm(&warmer, pinned(false, &["a/b:2"])).await;
    assert_eq!(pins(), [second]);
    warm(&warmer, pinned(true, &["a/b:1"])).await;
    assert_eq!(pins(), both);
}
