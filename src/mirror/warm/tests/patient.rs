//! A job learns what is so now, however long upstream takes to say so, and says where it could not.

use std::time::Duration;

use super::*;
use crate::mirror::{TagPolicies, TagPolicy};
use crate::store::faulty::{Fault, Faulty};
use crate::upstream::{ErrorKind, Listing, Standing};

/// A house past the `ttl` of a tag that it has warmed, whose upstream has moved that tag since and takes its time; the
/// digest that the tag has now.
async fn slow(policy: TagPolicy) -> (House, Warmer, Digest) {
    let (house, warmer) = furnished(House::tagged(TagPolicies::all(policy)));
    let (old, new) = (noise(2_000), noise(3_000));
    house.upstream.serves(&old);
    house.upstream.serves(&new);
    house.upstream.tag("1", image(&old, None).as_bytes());
    let report = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    house.clock.pass(TTL + 1);
    let digest = house.upstream.tag("1", image(&new, None).as_bytes());
    let gate = gate();
    house.upstream.tagged.heads_wait_for(Arc::clone(&gate));
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(9)).await;
        gate.add_permits(1);
    });
    (house, warmer, digest)
}

async fn learns_what_is_so_now(warmer: &Warmer, digest: Digest) {
    let report = warm(warmer, order(&["a/b:1"])).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    assert_eq!(report.rows[0].digest, Some(digest));
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_what_upstream_says_where_a_client_takes_what_is_known() {
    let (_house, warmer, digest) = slow(tag_policy()).await;
    learns_what_is_so_now(&warmer, digest).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_an_upstream_that_is_known_to_be_slow() {
    let (house, warmer, digest) = slow(tag_policy()).await;
    house.upstream.stands(Standing {
        is_slow: true,
        ..Standing::default()
    });
    learns_what_is_so_now(&warmer, digest).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_where_clients_get_what_was_known_meanwhile() {
    let policy = TagPolicy {
        stale_while_revalidate: Duration::from_secs(STALE),
        ..tag_policy()
    };
    let (_house, warmer, digest) = slow(policy).await;
    learns_what_is_so_now(&warmer, digest).await;
}

/// Waiting is no use where upstream fails: what was known is here, and the report says that it may be old.
#[tokio::test(start_paused = true)]
async fn a_job_is_told_of_an_outage() {
    let (house, warmer, _) = slow(tag_policy()).await;
    house
        .upstream
        .breaks(ErrorKind::Timeout(crate::upstream::Phase::Connect));
    let report = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!(report.state, JobState::Partial, "{report:?}");
    assert_eq!(states(&report), [RowState::Partial], "{report:?}");
}

/// The tags of a pattern are those of now as well.
#[tokio::test(start_paused = true)]
async fn a_job_reads_the_list_of_tags_anew() {
    let (house, warmer, digest) = slow(tag_policy()).await;
    let listing = || Listing::Tags("a/b".parse().unwrap());
    let list = |tags: &str| {
        let document = format!(r#"{{"name":"a/b","tags":[{tags}]}}"#);
        house.upstream.tagged.lists(listing(), &document, None);
    };
    list(r#""0""#);
    let missing = warm(&warmer, order(&["a/b:1*"])).await;
    assert_eq!(states(&missing), [RowState::Failed], "{missing:?}");
    list(r#""1""#);
    house.clock.pass(TTL + 1);
    house.upstream.stands(Standing {
        is_slow: true,
        ..Standing::default()
    });
    let report = warm(&warmer, order(&["a/b:1*"])).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    assert_eq!(report.rows.last().unwrap().digest, Some(digest));
}

/// Upstream tells of tags, and not which there are: what is brought may not be all there is.
#[tokio::test]
async fn a_job_is_told_that_a_list_is_the_one_of_before() {
    let (house, warmer) = furnished(house());
    let layer = noise(1_000);
    house.upstream.serves(&layer);
    let digest = house.upstream.tag("1", image(&layer, None).as_bytes());
    let repository = || "a/b".parse().unwrap();
    let listing = Listing::Tags(repository());
    let tags = r#"{"name":"a/b","tags":["1"]}"#;
    house.upstream.tagged.lists(listing, tags, None);
    let listing = Listing::Referrers(repository(), digest);
    let none = r#"{"schemaVersion":2,"manifests":[]}"#;
    house.upstream.tagged.lists(listing, none, None);
    let wanted = Order {
        referrers: true,
        ..order(&["a/b:1*"])
    };
    let report = warm(&warmer, wanted.clone()).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    house.clock.pass(TTL + 1);
    house.upstream.tagged.lists_break(ErrorKind::Status(503));
    let report = warm(&warmer, wanted).await;
    assert_eq!(report.state, JobState::Partial, "{report:?}");
    assert_eq!(states(&report), [RowState::Partial], "{report:?}");
    let told = [report.trouble.as_deref(), report.rows[0].reason.as_deref()];
    for (told, what) in told
        .into_iter()
        .zip(["the list of tags of ", "what refers to "])
    {
        let told = told.unwrap_or_default();
        assert!(told.contains(what), "{told}");
        assert!(told.contains("as it was known"), "{told}");
    }
}

/// Offline, after a restart, only what is on disk counts.
#[tokio::test]
async fn a_job_whose_tags_are_not_kept_is_not_complete() {
    let store = Faulty::new(MemoryStore::default(), Fault::WritesNothingDown);
    let (house, warmer) = furnished(House::over(Arc::new(store)));
    let layer = noise(1_000);
    house.upstream.serves(&layer);
    house.upstream.tag("1", image(&layer, None).as_bytes());
    let report = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!(report.state, JobState::Partial, "{report:?}");
    assert_eq!(states(&report), [RowState::Done], "{report:?}");
    let trouble = report.trouble.unwrap_or_default();
    assert!(trouble.contains("is not kept"), "{trouble}");
}
