//! A job learns what a tag is now, however long upstream takes to say so.

use std::time::Duration;

use super::*;
use crate::mirror::{TagPolicies, TagPolicy};
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
