//! A disk that is full, read-only or broken costs the cache and nothing else: clients get what they came for.

use std::time::Duration;

use tempfile::TempDir;

use crate::support::blobs::{Blob, blobs};
use crate::support::bound::until;
use crate::support::clients::{Client, Docker, Skopeo};
use crate::support::disk::{BreakableDisk, Mounted, SlowDisk};
use crate::support::http::open;
use crate::support::images::{Format, Layout, missing};
use crate::support::mirror::{Mirror, Plan};
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

const MIB: usize = 1024 * 1024;

/// How long the mirror may take to notice that a disk works again.
const PATIENCE: Duration = Duration::from_secs(90);

/// An image in the upstream.
struct Image {
    layout: Layout,
    reference: &'static str,
}

impl Image {
    async fn pushed(upstream: &Upstream, sizes: &[usize]) -> Self {
        let layout = Layout::image(21, sizes);
        upstream
            .registry
            .push(&layout, "library/large", "one", Format::Oci)
            .await;
        Self {
            layout,
            reference: "docker.io/library/large:one",
        }
    }

    /// The client gets all of it, twice.
    async fn is_pulled_by<C: Client>(&self, client: &C) {
        for round in 1..=2 {
            client.pull(self.reference).await;
            let holds = client.holds(self.reference).await;
            let lacks = missing(self.layout.layers(), &holds);
            assert!(lacks.is_empty(), "{}, round {round}: {lacks:?}", C::NAME);
            client.forget(self.reference).await;
        }
    }

    async fn is_pulled_through(&self, mirror: &Mirror) {
        self.is_pulled_by(&Skopeo::new(mirror.address)).await;
        self.is_pulled_by(&Docker::start(mirror.address).await)
            .await;
    }
}

/// A whole GET with right bytes; what its `Cache-Status` says.
async fn right(mirror: &Mirror, blob: &Blob) -> String {
    let download = open(mirror.address, &blob.path).await;
    let told = download.head.field("cache-status").unwrap_or("").to_owned();
    assert_eq!(download.head.status(), Some(200), "{told}");
    let got = download.compare(&blob.bytes).await;
    assert!(got.is_whole(&blob.bytes), "{told}: {got:?}");
    told
}

/// The same, and it went past the store.
async fn bypasses(mirror: &Mirror, blob: &Blob) {
    let told = right(mirror, blob).await;
    assert!(told.contains("bypass"), "{told}");
    assert!(!mirror.content().contains(&blob.digest), "kept as content");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_fit_on_the_disk_is_pulled_all_the_same() {
    const ROOM: usize = 16 * MIB;
    let upstream = Upstream::start(Access::Open).await;
    let image = Image::pushed(&upstream, &[24 * MIB, MIB, 10]).await;
    let [blob] = &blobs(&upstream.registry, 1, 20 * MIB).await[..] else {
        panic!("one blob");
    };
    let folder = TempDir::new().unwrap();
    let _disk = Mounted::tmpfs(folder.path(), ROOM);
    let data = folder.path().join("data");
    let mirror = Plan::of(&upstream.tap).data_in(&data).start().await;
    image.is_pulled_through(&mirror).await;
    // The first time it may turn out only on the way that there is no room.
    right(&mirror, blob).await;
    bypasses(&mirror, blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_read_only_still_serves_what_it_has() {
    let upstream = Upstream::start(Access::Open).await;
    let image = Image::pushed(&upstream, &[3 * MIB, 10]).await;
    let [before, after] = &blobs(&upstream.registry, 2, 3 * MIB).await[..] else {
        panic!("two blobs");
    };
    let mut mirror = Plan::of(&upstream.tap).start().await;
    right(&mirror, before).await;
    mirror.stop();
    // Each a mount of its own, and not the whole: the catalog is open for writing, and such a mount cannot be changed.
    let disks = ["content", "fills"].map(|name| Mounted::itself(&mirror.data().join(name)));
    mirror.start().await;
    disks.iter().for_each(Mounted::make_read_only);

    bypasses(&mirror, after).await;
    image.is_pulled_through(&mirror).await;
    bypasses(&mirror, after).await;
    upstream.tap.forget();
    assert!(right(&mirror, before).await.contains("; hit"));
    assert_eq!(upstream.tap.blob_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_breaks_is_passed_by_and_used_again_when_it_works() {
    let upstream = Upstream::start(Access::Open).await;
    let image = Image::pushed(&upstream, &[3 * MIB, 10]).await;
    let [before, during, midway] = &blobs(&upstream.registry, 3, 3 * MIB).await[..] else {
        panic!("three blobs");
    };
    let disk = BreakableDisk::new().await;
    let mirror = disk.under(Plan::of(&upstream.tap)).start().await;
    // Its answer ends before it is committed.
    until("the first is kept", PATIENCE, async || {
        right(&mirror, before).await.contains("; hit")
    })
    .await;
    let gate = upstream.tap.on(&midway.path).gate_at(MIB as u64);
    let download = open(mirror.address, &midway.path).await;
    gate.reached().await;

    disk.break_down();
    gate.release();
    let got = download.compare(&midway.bytes).await;
    assert!(got.is_whole(&midway.bytes), "broke on the way: {got:?}");
    assert!(!mirror.content().contains(&midway.digest));
    bypasses(&mirror, during).await;
    image.is_pulled_through(&mirror).await;
    assert!(right(&mirror, before).await.contains("; hit"));

    disk.recover();
    until("what is pulled is kept again", PATIENCE, async || {
        right(&mirror, during).await;
        mirror.content().contains(&during.digest)
    })
    .await;
    until(
        "the right to it is remembered again",
        PATIENCE,
        async || right(&mirror, during).await.contains("; hit"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_full_keeps_again_when_there_is_room_and_knows_what_it_knew() {
    const ROOM: usize = 16 * MIB;
    let upstream = Upstream::start(Access::Open).await;
    let [before, during] = &blobs(&upstream.registry, 2, 3 * MIB).await[..] else {
        panic!("two blobs");
    };
    let folder = TempDir::new().unwrap();
    let _disk = Mounted::tmpfs(folder.path(), ROOM);
    let data = folder.path().join("data");
    let mut mirror = Plan::of(&upstream.tap).data_in(&data).start().await;
    right(&mirror, before).await;
    // What is known must be read from the disk.
    mirror.stop();
    mirror.start().await;
    let hog = folder.path().join("hog");
    let filled = std::fs::write(&hog, vec![1; ROOM]);
    assert!(filled.is_err(), "the disk is not full");

    bypasses(&mirror, during).await;
    upstream.tap.forget();
    assert!(right(&mirror, before).await.contains("; hit"));
    assert_eq!(upstream.tap.blob_bytes(), 0);

    std::fs::remove_file(&hog).unwrap();
    right(&mirror, during).await;
    until("it is a hit", PATIENCE, async || {
        right(&mirror, during).await.contains("; hit")
    })
    .await;
}

/// Not for what is new, nor for what a question about a tag brought: all of it goes to disk behind the clients.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_disk_that_syncs_nothing() {
    let upstream = Upstream::start(Access::Open).await;
    let image = Image::pushed(&upstream, &[3 * MIB, 10]).await;
    let disk = SlowDisk::new().await;
    let mut mirror = disk
        .under(Plan::of(&upstream.tap).tags_for("0s"))
        .start()
        .await;
    disk.hold();
    let skopeo = Skopeo::new(mirror.address);
    image.is_pulled_by(&skopeo).await;
    let absent = mirror.get("/v2/library/large/manifests/none").await;
    assert_eq!(absent.status(), 404);
    let stale = [("outcome", "stale")];
    let stale = mirror.metric("roadstead_requests_total", &stale).await;
    assert!(stale < 0.5, "{stale} answers as they were known");
    let held = mirror.metric("roadstead_fills_in_flight", &[]).await;
    assert!(held > 0.5, "nothing was held");
    disk.release();
    mirror.rests(PATIENCE).await;

    // It is there when it is needed.
    mirror.stop();
    upstream.tap.on("/v2/").answer(503);
    mirror.start().await;
    image.is_pulled_by(&skopeo).await;
}

/// Nor to hear a no, nor to be known as one to whom upstream shows a repository.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_disk_that_syncs_nothing_to_hear_a_no_or_to_be_admitted() {
    const TAG: &str = "/v2/library/large/manifests/one";
    let upstream = Upstream::start(Access::Open).await;
    Image::pushed(&upstream, &[10]).await;
    let disks = [SlowDisk::new().await, SlowDisk::new().await];
    let plain = disks[0].under(Plan::of(&upstream.tap).tags_for("0s"));
    let plain = plain.start().await;
    assert_eq!(plain.get(TAG).await.status(), 200);
    plain.rests(PATIENCE).await;
    let guarding = Plan::of(&upstream.tap).serving_clients("mirror");
    let guarding = disks[1].under(guarding).start().await;
    disks.iter().for_each(SlowDisk::hold);

    let admitted = guarding.get(TAG).await;
    assert_eq!(admitted.status(), 200, "{}", admitted.text());
    upstream.tap.on(TAG).answer(404);
    let gone = plain.get(TAG).await;
    assert_eq!(gone.status(), 404, "{}", gone.text());
    disks.iter().for_each(SlowDisk::release);
}

/// Invariant 9, and 8: a no is an answer, and no outage makes it undone.
#[tokio::test(flavor = "multi_thread")]
async fn what_upstream_has_no_more_is_gone_on_a_disk_that_takes_nothing() {
    const TAG: &str = "/v2/library/large/manifests/one";
    let upstream = Upstream::start(Access::Open).await;
    Image::pushed(&upstream, &[10]).await;
    let disk = BreakableDisk::new().await;
    let plan = Plan::of(&upstream.tap).tags_for("0s");
    let plan = disk.under(plan.of_tags("negative_ttl = \"0s\""));
    let mut mirror = plan.start().await;
    assert_eq!(mirror.get(TAG).await.status(), 200);
    mirror.rests(PATIENCE).await;
    // What is known must be read from the disk.
    mirror.stop();
    mirror.start().await;
    upstream.tap.on("/v2/").answer(503);
    let stale = mirror.get(TAG).await;
    assert_eq!(stale.status(), 200, "{}", stale.text());

    upstream.tap.heal();
    disk.break_down();
    upstream.tap.on(TAG).answer(404);
    assert_eq!(mirror.get(TAG).await.status(), 404);
    upstream.tap.heal();
    upstream.tap.on("/v2/").answer(503);
    let out = mirror.get(TAG).await;
    assert!(out.status() >= 500, "{}: {}", out.status(), out.text());
    disk.recover();
    // The last that it does is to write it down.
    mirror.stop();
    mirror.start().await;
    let out = mirror.get(TAG).await;
    assert!(out.status() >= 500, "{}: {}", out.status(), out.text());
}
