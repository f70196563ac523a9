//! Jobs over a store in memory and a scripted upstream.

mod beside;
mod choices;
mod lists;
mod patient;

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;

use super::{JobState, Order, Report, RowState, WarmMetrics, Warmer};
use crate::mirror::testkit::*;
use crate::mirror::{FillPolicy, Measures, Names, Outcome};
use crate::oci::Digest;
use crate::store::{Contents, MemoryStore, Store};

const CONFIG: &[u8] = b"{}";

/// An image manifest with one layer, about `subject` if there is one.
fn image(layer: &[u8], subject: Option<&Digest>) -> String {
    let subject = subject.map_or(String::new(), |subject| {
        format!(
            r#","subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{subject}","size":1}}"#
        )
    });
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]{subject}}}"#,
        Digest::sha256_of(CONFIG),
        Digest::sha256_of(layer),
        layer.len(),
    )
}

/// An index of these manifests for these platforms.
fn index(children: &[(&str, &str)]) -> String {
    let children = children.iter().map(|(platform, manifest)| {
        let (os, architecture) = platform.split_once('/').unwrap();
        let (digest, size) = (Digest::sha256_of(manifest.as_bytes()), manifest.len());
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#
        )
    });
    let children = children.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{children}]}}"#
    )
}

/// A house with a warmer, whose upstream serves the one config.
fn furnished(house: House) -> (House, Warmer) {
    house.upstream.serves(&Bytes::from_static(CONFIG));
    let names = Names::new([("docker.io".to_owned(), "docker.io".into())]);
    let metrics = WarmMetrics::new(&prometheus::Registry::new()).unwrap();
    let mirror = Arc::clone(&house.mirror);
    let warmer = Warmer::new(mirror, names, Handle::current(), metrics);
    (house, warmer)
}

fn order(wanted: &[&str]) -> Order {
    Order {
        wanted: wanted.iter().map(|it| it.parse().unwrap()).collect(),
        ..Order::default()
    }
}

async fn ended(warmer: &Warmer, id: u64) -> Report {
    let mut changes = warmer.changes(id).unwrap();
    loop {
        let report = warmer.report(id).unwrap();
        if report.state != JobState::Running {
            return report;
        }
        changes.changed().await.unwrap();
    }
}

async fn warm(warmer: &Warmer, order: Order) -> Report {
    ended(warmer, warmer.begin(order).id).await
}

fn states(report: &Report) -> Vec<RowState> {
    report.rows.iter().map(|row| row.state).collect()
}

#[tokio::test]
async fn an_image_is_brought_once_and_is_a_hit_for_clients() {
    let (house, warmer) = furnished(house());
    let layer = noise(200_000);
    house.upstream.serves(&layer);
    let manifest = image(&layer, None);
    house.upstream.tag("1", manifest.as_bytes());
    let whole = (layer.len() + CONFIG.len() + manifest.len()) as u64;

    let report = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    let row = &report.rows[0];
    assert_eq!(row.reference, "docker.io/a/b:1");
    assert_eq!(row.digest, Some(Digest::sha256_of(manifest.as_bytes())));
    assert_eq!((row.bytes, row.present, row.fetched), (whole, whole, whole));
    assert_eq!(
        (report.bytes, report.present, report.fetched),
        (whole, whole, whole)
    );

    let answer = house
        .mirror
        .blob(
            &Asker::Mirror,
            &origin("a/b"),
            &Digest::sha256_of(&layer),
            &[],
        )
        .await;
    assert_eq!(answer.unwrap().outcome, Outcome::Hit);
    let asked = house.upstream.calls().len();
    let again = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!((again.state, again.fetched), (JobState::Complete, 0));
    assert_eq!(again.present, whole);
    assert_eq!(house.upstream.calls().len(), asked);
}

#[tokio::test]
async fn past_its_ttl_an_image_costs_a_head_and_no_blob() {
    let (house, warmer) = furnished(house());
    let layer = noise(2_000);
    house.upstream.serves(&layer);
    house.upstream.tag("1", image(&layer, None).as_bytes());
    warm(&warmer, order(&["a/b:1"])).await;
    house.clock.pass(TTL + 1);
    let asked = house.upstream.calls().len();
    let again = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!((again.state, again.fetched), (JobState::Complete, 0));
    assert_eq!(house.upstream.calls()[asked..], ["HEAD manifest 1"]);
}

#[tokio::test]
async fn what_images_have_in_common_is_counted_once() {
    let (house, warmer) = furnished(house());
    let (layer, own) = (noise(90_000), noise(50));
    house.upstream.serves(&layer);
    house.upstream.serves(&own);
    let manifests = [image(&layer, None), image(&own, None)];
    house.upstream.tag("1", manifests[0].as_bytes());
    house.upstream.tag("2", manifests[0].as_bytes());
    house.upstream.tag("3", manifests[1].as_bytes());
    let report = warm(&warmer, order(&["a/b:1", "a/b:2", "a/b:3"])).await;
    let whole = layer.len() + own.len() + CONFIG.len() + manifests[0].len() + manifests[1].len();
    assert_eq!(report.fetched, whole as u64, "{report:?}");
    assert_eq!(report.bytes, report.fetched);
    assert_eq!(house.upstream.count("GET blob"), 3);
}

#[tokio::test]
async fn the_chosen_platforms_are_brought_and_no_others() {
    let (house, warmer) = furnished(house());
    let layers = [noise(1_000), noise(2_000)];
    let images = layers.each_ref().map(|layer| image(layer, None));
    for (layer, manifest) in layers.iter().zip(&images) {
        house.upstream.serves(layer);
        house.upstream.tagged.holds(manifest.as_bytes());
    }
    let index = index(&[("linux/amd64", &images[0]), ("linux/arm64", &images[1])]);
    house.upstream.tag("1", index.as_bytes());
    let mut only = order(&["a/b:1"]);
    only.platforms = vec!["linux/arm64".parse().unwrap()];
    let report = warm(&warmer, only.clone()).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    assert!(house.has(&Digest::sha256_of(&layers[1])));
    assert!(!house.has(&Digest::sha256_of(&layers[0])));
    assert!(!house.has(&Digest::sha256_of(images[0].as_bytes())));

    only.platforms.push("linux/s390x".parse().unwrap());
    let report = warm(&warmer, only).await;
    assert_eq!(report.state, JobState::Partial);
    assert_eq!(
        report.rows[0].reason.as_deref(),
        Some("it has no image for linux/s390x")
    );
    let all = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!(all.state, JobState::Complete);
    assert!(house.has(&Digest::sha256_of(&layers[0])));
}

#[tokio::test]
async fn an_error_of_one_image_does_not_stop_the_others() {
    let (house, warmer) = furnished(house());
    let (layer, gone) = (noise(1_000), noise(2_000));
    house.upstream.serves(&layer);
    house.upstream.tag("1", image(&layer, None).as_bytes());
    house.upstream.tag("2", image(&gone, None).as_bytes());
    let report = warm(
        &warmer,
        order(&["a/b:0", "quay.io/a/b:1", "a/b:2", "a/b:1"]),
    )
    .await;
    assert_eq!(report.state, JobState::Partial);
    assert_eq!(
        states(&report),
        [
            RowState::Failed,
            RowState::Failed,
            RowState::Failed,
            RowState::Done
        ]
    );
    let reason = |at: usize| report.rows[at].reason.clone().unwrap();
    assert!(reason(0).contains("scripted"), "{}", reason(0));
    assert_eq!(reason(1), "no upstream named quay.io is declared");
    let digest = Digest::sha256_of(&gone);
    assert!(
        reason(2).starts_with(&format!("{digest}: ")),
        "{}",
        reason(2)
    );
    let nothing = warm(&warmer, order(&["a/b:0"])).await;
    assert_eq!(nothing.state, JobState::Failed);
}

#[tokio::test]
async fn the_same_job_is_one_and_ends_when_it_is_stopped() {
    let (house, warmer) = furnished(house());
    let (layer, gate) = (noise(100_000), gate());
    let digest = Digest::sha256_of(&layer);
    house
        .upstream
        .on_blob(&digest, halves(&layer, Step::Gate(Arc::clone(&gate))));
    house.upstream.tag("1", image(&layer, None).as_bytes());
    let first = warmer.begin(order(&["a/b:1"]));
    assert!(first.is_new);
    let same = warmer.begin(order(&["a/b:1"]));
    assert_eq!((same.id, same.is_new), (first.id, false));
    assert!(warmer.begin(order(&["a/b:2"])).is_new);

    let mut changes = warmer.changes(first.id).unwrap();
    let half = layer.len() as u64 / 2;
    loop {
        let row = &warmer.report(first.id).unwrap().rows;
        let blob = row
            .first()
            .and_then(|row| row.fetching.iter().find(|it| it.digest == digest));
        if blob.is_some_and(|blob| blob.present == half) {
            break;
        }
        changes.changed().await.unwrap();
    }
    assert!(warmer.cancel(first.id));
    let report = ended(&warmer, first.id).await;
    assert_eq!(report.state, JobState::Cancelled);
    assert_eq!(states(&report), [RowState::Cancelled]);
    // What was begun goes on by itself, and the next job finds it.
    let next = warmer.begin(order(&["a/b:1"]));
    assert!(next.is_new && next.id > first.id);
    gate.add_permits(1);
    assert_eq!(ended(&warmer, next.id).await.state, JobState::Complete);
    assert_eq!(house.upstream.count(&format!("GET blob {digest}")), 1);
    assert!(!warmer.cancel(0));
    assert_eq!(warmer.reports().len(), 3);
}

/// What was noted before the process ended is not fetched again, and not counted as fetched.
#[tokio::test]
async fn a_job_that_was_killed_goes_on_where_it_stood() {
    let measures = Measures {
        noted_at_least: 1,
        noted_at_most: 1,
        ..Measures::default()
    };
    let process = |store: &Arc<MemoryStore>| {
        let policy = FillPolicy {
            measures,
            ..policy()
        };
        furnished(House::with(Arc::clone(store) as Arc<dyn Store>, policy))
    };
    let store = Arc::new(MemoryStore::default());
    let layer = noise(400_000);
    let (digest, half) = (Digest::sha256_of(&layer), layer.len() as u64 / 2);
    let manifest = image(&layer, None);

    let (killed, warmer) = process(&store);
    killed.upstream.tag("1", manifest.as_bytes());
    // The gate is never opened: nothing of that process happens any more.
    killed
        .upstream
        .on_blob(&digest, halves(&layer, Step::Gate(gate())));
    let id = warmer.begin(order(&["a/b:1"])).id;
    let noted = || {
        store
            .unfinished()
            .unwrap()
            .iter()
            .any(|it| it.bytes == half)
    };
    while !noted() {
        tokio::task::yield_now().await;
    }
    assert_eq!(warmer.report(id).unwrap().state, JobState::Running);

    let (house, warmer) = process(&store);
    house.upstream.tag("1", manifest.as_bytes());
    house.upstream.serves(&layer);
    let report = warm(&warmer, order(&["a/b:1"])).await;
    assert_eq!(report.state, JobState::Complete, "{report:?}");
    let calls = house.upstream.calls();
    assert!(
        calls.contains(&format!("GET blob {digest} from {half}")),
        "{calls:?}"
    );
    assert!(report.fetched <= half + CONFIG.len() as u64, "{report:?}");
    assert!(report.fetched >= half, "{report:?}");
}
