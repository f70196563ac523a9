//! A store that is much smaller than what is pulled through it: the cap holds, nobody notices, and whatever happens to the
//! process, what is here is right.

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{MIB, alone, ratio, scale};
use crate::support::blobs::{Blob, blobs};
use crate::support::dice::Dice;
use crate::support::http::open;
use crate::support::mirror::{Mirror, Plan, roadstead};
use crate::support::registry::Access;
use crate::support::upstream::Upstream;

/// Clients at once.
const CLIENTS: usize = 16;

/// Popular blobs come first: the square of a number spread evenly over the list.
fn choose<'b>(dice: &mut Dice, blobs: &'b [Blob]) -> &'b Blob {
    let at = dice.within(0..blobs.len() * blobs.len());
    &blobs[at.isqrt().min(blobs.len() - 1).abs_diff(blobs.len() - 1)]
}

/// Pulls and looks at every byte.
async fn pull(mirror: std::net::SocketAddr, blob: &Blob) {
    let download = open(mirror, &blob.path).await;
    assert_eq!(download.head.status(), Some(200), "{}", blob.digest);
    let got = download.compare(&blob.bytes).await;
    assert!(got.is_whole(&blob.bytes), "{}: {got:?}", blob.digest);
}

/// The command of a user, beside the running mirror or without one.
fn command(mirror: &Mirror, arguments: &[&str]) -> Output {
    let mut command = roadstead();
    command
        .args(arguments)
        .arg("--config")
        .arg(mirror.config_file());
    command.output().unwrap()
}

/// Asks for a blob as a client does that comes again when the mirror is gone.
async fn ask(address: std::net::SocketAddr, path: &str) -> std::io::Result<usize> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    connection.read_to_end(&mut Vec::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_of_ten_times_the_cap_stay_within_it_and_nobody_notices() {
    const CAPACITY: u64 = 24 * MIB as u64;
    let _alone = alone().await;
    let lasts = scale(Duration::from_mins(3), Duration::from_secs(8));
    let upstream = Upstream::start(Access::Open).await;
    let blobs = Arc::new(blobs(&upstream.registry, 240, MIB).await);
    let plan = Plan::of(&upstream.tap).keeping("24MiB");
    let mirror = plan
        .of_store("min_age = \"0s\"\nmin_free = \"0B\"")
        .start()
        .await;
    // One of them is pinned, and stays whatever comes.
    let pinned = &blobs[blobs.len() - 1];
    pull(mirror.address, pinned).await;
    mirror.rests(Duration::from_secs(30)).await;
    let image = format!("docker.io/library/cold@{}", pinned.digest);
    let done = command(&mirror, &["cache", "pin", "site", &image]);
    assert!(done.status.success(), "{done:?}");

    let ended = Arc::new(AtomicBool::new(false));
    let pulled = Arc::new(AtomicU64::new(0));
    let mut dice = Dice::thrown_for("keeping");
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (blobs, ended, pulled) = (Arc::clone(&blobs), Arc::clone(&ended), Arc::clone(&pulled));
        let (mut dice, address) = (dice.split(), mirror.address);
        clients.spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                pull(address, choose(&mut dice, &blobs)).await;
                pulled.fetch_add(MIB as u64, Ordering::SeqCst);
            }
        });
    }
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < lasts || pulled.load(Ordering::SeqCst) < 10 * CAPACITY {
        assert!(
            began.elapsed() < lasts + Duration::from_mins(2),
            "{pulled:?} bytes pulled"
        );
        // One look at all of it: two looks at folders would count twice what moves in between.
        most = most.max(mirror.taken().await);
    }
    ended.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let pulled = pulled.load(Ordering::SeqCst);
    let crossed = upstream.tap.blob_bytes();
    let evicted = mirror.metric("roadstead_store_evictions_total", &[]).await;
    println!(
        "keeping: {} MiB pulled through {} MiB by {CLIENTS} clients, byte-hit rate {:.3}, {evicted} evictions, {} MiB on disk at most",
        pulled / MIB as u64,
        CAPACITY / MIB as u64,
        1.0 - ratio(crossed, pulled),
        most / MIB as u64
    );
    assert!(
        most <= CAPACITY,
        "{most} bytes on disk, more than {CAPACITY}"
    );
    assert!(evicted > 0.0);
    upstream.tap.forget();
    pull(mirror.address, pinned).await;
    assert_eq!(upstream.tap.blob_bytes(), 0, "what is pinned crossed again");
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_what_is_here_is_right() {
    let _alone = alone().await;
    let kills = scale(500, 8);
    let upstream = Upstream::start(Access::Open).await;
    let blobs = Arc::new(blobs(&upstream.registry, 40, MIB).await);
    let plan = Plan::of(&upstream.tap).keeping("16MiB");
    let mut mirror = plan
        .of_store("min_age = \"0s\"\nmin_free = \"0B\"")
        .start()
        .await;
    let mut dice = Dice::thrown_for("killed while keeping");
    for kill in 0..kills {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (blobs, mut dice, address) = (Arc::clone(&blobs), dice.split(), mirror.address);
            clients.spawn(async move {
                while ask(address, &choose(&mut dice, &blobs).path).await.is_ok() {}
            });
        }
        let crossed = dice.within(0..6 * MIB) as u64;
        let before = upstream.tap.blob_bytes();
        let began = Instant::now();
        while upstream.tap.blob_bytes() < before + crossed
            && began.elapsed() < Duration::from_secs(2)
        {
            tokio::task::yield_now().await;
        }
        mirror.kill();
        clients.shutdown().await;
        upstream.tap.forget();
        let verified = command(&mirror, &["verify"]);
        assert!(verified.status.success(), "kill {kill}: {verified:?}");
        mirror.start().await;
    }
    // What it believes to be here is what lies on the disk: as soon as the looking-through that follows a start is over,
    // and what it finds beyond the cap is gone.
    let began = Instant::now();
    loop {
        let (known, here) = (known(&mirror).await, mirror.content());
        if known == here {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "only listed: {:?}; only on disk: {:?}",
            known.difference(&here),
            here.difference(&known)
        );
        tokio::task::yield_now().await;
    }
    println!("keeping: {kills} kills, all content right after each");
}

/// The digests the mirror lists.
async fn known(mirror: &Mirror) -> BTreeSet<String> {
    let listed = mirror.admin_get("/api/v1/content?limit=1000").await;
    let listed: Value = serde_json::from_str(&listed.text()).unwrap();
    let items = listed["items"].as_array().unwrap().iter();
    items
        .map(|it| it["digest"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_what_the_collection_frees_while_pulls_go_on() {
    let _alone = alone().await;
    let upstream = Upstream::start(Access::Open).await;
    let blobs = Arc::new(blobs(&upstream.registry, 24, MIB).await);
    let plan = Plan::of(&upstream.tap).keeping("1GiB");
    let mirror = plan
        .of_store("unused_for = \"0s\"\nmin_age = \"0s\"")
        .start()
        .await;
    let (garbage, wanted) = blobs.split_at(8);
    for blob in garbage {
        pull(mirror.address, blob).await;
    }
    // What clients pull meanwhile is pinned, or it would be garbage as well.
    for blob in wanted {
        pull(mirror.address, blob).await;
        let image = format!("docker.io/library/cold@{}", blob.digest);
        let done = command(&mirror, &["cache", "pin", "site", &image]);
        assert!(done.status.success(), "{done:?}");
    }
    mirror.rests(Duration::from_secs(30)).await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut dice = Dice::thrown_for("collecting");
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (wanted, ended) = (wanted.to_vec(), Arc::clone(&ended));
        let (mut dice, address) = (dice.split(), mirror.address);
        clients.spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                pull(address, choose(&mut dice, &wanted)).await;
            }
        });
    }
    let named = |arguments: &[&str]| {
        let done = command(&mirror, arguments);
        assert!(done.status.success(), "{done:?}");
        let told: Value = serde_json::from_slice(&done.stdout).unwrap();
        let items = told["items"].as_array().unwrap().iter();
        let mut names: Vec<_> = items
            .map(|it| it["digest"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        (names, told["bytes"].as_u64().unwrap())
    };
    let before = mirror.content();
    let dry = named(&["gc", "--dry-run", "--json"]);
    assert_eq!(mirror.content(), before, "a dry run removes nothing");
    let real = named(&["gc", "--json"]);
    ended.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!(dry, real);
    let mut expected: Vec<_> = garbage.iter().map(|blob| blob.digest.clone()).collect();
    expected.sort();
    assert_eq!(real.0, expected);
    let gone: Vec<_> = before.difference(&mirror.content()).cloned().collect();
    assert_eq!(gone, expected);
}
