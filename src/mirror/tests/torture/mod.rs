//! Random schedules of clients, upstreams and disks, and what must hold after each.
//!
//! A few thousand run with the other tests. `ROADSTEAD_SCHEDULES=100000 cargo test --release --lib torture` runs more;
//! `ROADSTEAD_SEED=n` begins elsewhere, or runs one schedule again with `ROADSTEAD_SCHEDULES=1`.

mod clients;
mod dice;
mod threads;
mod watched;
mod wild;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::clients::{Truth, visit};
use self::dice::Dice;
use self::watched::{Breaks, Life, Violations, Watched};
use self::wild::{Moods, Wild};
use crate::mirror::testkit::{HandClock, tag_policy};
use crate::mirror::{
    AccessPolicy, FillPolicy, GarbagePolicy, Measures, Mirror, MirrorMetrics, Parts, TagPolicies,
    Upstream,
};
use crate::oci::{Digest, RepositoryRules};
use crate::store::{Contents, MemoryStore, StoreErrorKind};
use crate::upstream::Registry;

/// No wait may last longer: all of them are bounded, and far shorter.
const FOR_EVER: Duration = Duration::from_hours(3);

/// The lengths of small fills: a 300th of the real ones.
const SMALL: Measures = Measures {
    hold_back: 256,
    unit: 256,
    window: 32 * 1024,
    widest: 128 * 1024,
    near: 4 * 1024,
    near_at_first: 64 * 1024,
    read_over: 1024,
    publish_every: 1024,
    hash_behind: 8 * 1024,
    noted_part: 8,
    noted_at_least: 1024,
    noted_at_most: 16 * 1024,
    synced_every: 64 * 1024,
};

/// Everything of one schedule that the dice decide at its beginning.
struct Schedule {
    blob: Bytes,
    moods: Moods,
    policy: FillPolicy,
    lanes: usize,
    /// Per life: when the store breaks, and when the process is killed.
    lives: Vec<(Breaks, Option<Duration>)>,
}

impl Schedule {
    fn throw(dice: &Dice) -> Self {
        let size = dice.pick(&[0, 1, 255, 256, 257, 1_000, 20_000, 60_000, 60_001, 200_000]);
        let size = if dice.happens(50) {
            dice.below(size + 1)
        } else {
            size
        };
        let blob = (0..size.div_ceil(8)).flat_map(|_| dice.below(u64::MAX).to_le_bytes());
        let mut moods = Moods {
            slowness: dice.pick(&[0, 0, 1, 50, 500]),
            falls_short: dice.pick(&[0, 0, 20]),
            tells_no_size: dice.pick(&[0, 0, 30]),
            ignores_ranges: dice.pick(&[0, 0, 0, 50, 100]),
            ..Moods::default()
        };
        match dice.below(8) {
            0..3 => {}
            3 | 4 => moods.cuts = dice.pick(&[10, 40]),
            5 => (moods.cuts, moods.stalls) = (10, 20),
            6 => (moods.refuses, moods.flips_bits) = (20, 10),
            _ => (moods.panics, moods.lies_about_size, moods.cuts) = (5, 10, 20),
        }
        let kinds = [
            StoreErrorKind::Full,
            StoreErrorKind::Io,
            StoreErrorKind::ReadOnly,
        ];
        let lives = 1 + usize::from(dice.happens(30)) + usize::from(dice.happens(20));
        let life = |nth| {
            let breaks = dice
                .happens(20)
                .then(|| (dice.below(60), dice.pick(&kinds)));
            let killed = (nth + 1 < lives).then(|| Duration::from_millis(dice.below(600)));
            (breaks, killed)
        };
        Self {
            blob: blob.take(usize::try_from(size).unwrap()).collect(),
            moods,
            policy: FillPolicy {
                finish: dice.happens(70),
                finish_share: dice.pick(&[0.0, 0.5, 1.0]),
                answer_within: Duration::from_secs(25),
                max_age: Duration::from_hours(1),
                max_bytes: u64::MAX,
                measures: SMALL,
            },
            lanes: dice.pick(&[1, 2, 16]),
            lives: (0..lives).map(life).collect(),
        }
    }
}

/// Runs the schedule of `seed`, and gives what was broken.
fn run(seed: u64) -> Vec<String> {
    let dice = Dice::new(seed);
    let schedule = Schedule::throw(&dice);
    let (disk, violations) = (Arc::new(MemoryStore::default()), Violations::default());
    if std::env::var("ROADSTEAD_SHOW").is_ok() {
        let (size, lives, lanes) = (schedule.blob.len(), &schedule.lives, schedule.lanes);
        let (moods, policy) = (schedule.moods, schedule.policy);
        println!("{size} bytes, {moods:?}, {lives:?}, {lanes} lanes, {policy:?}");
    }
    let given = Arc::new(AtomicU64::new(0));
    let digest = Digest::sha256_of(&schedule.blob);
    for (breaks, killed) in &schedule.lives {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let life = Life::new(*breaks);
        let store = Arc::new(Watched {
            disk: Arc::clone(&disk),
            life: Arc::clone(&life),
            violations: violations.clone(),
        });
        let upstream = Arc::new(Wild {
            blob: schedule.blob.clone(),
            moods: schedule.moods,
            dice: dice.clone(),
            given: Arc::clone(&given),
            requests: AtomicU64::new(0),
        });
        let truth = Truth {
            blob: schedule.blob.clone(),
            digest: digest.clone(),
            parts_are_right: schedule.moods.honest(),
            must_succeed: schedule.moods.calm(),
            hasty: false,
            dice: dice.clone(),
            violations: violations.clone(),
        };
        runtime.block_on(async {
            let mirror = engine(&schedule, store, upstream);
            let clients = 1 + dice.below(6);
            let living = live(Arc::clone(&mirror), truth, clients, FOR_EVER);
            match killed {
                Some(after) => drop(timeout(*after, living).await),
                None => living.await,
            }
            // From here on it is as if the process were gone: the disk hears no more of it.
            life.killed.store(true, Ordering::Relaxed);
        });
        if let Some(content) = disk.open(&digest).unwrap() {
            let bytes = content.source().read_all(schedule.blob.len()).unwrap();
            if bytes != schedule.blob || content.size() != schedule.blob.len() as u64 {
                violations.add("wrong content is stored");
            }
        }
    }
    let moods = &schedule.moods;
    let steady = moods.calm() && moods.slowness == 0 && moods.falls_short == 0;
    let known = moods.tells_no_size == 0 && moods.ignores_ranges == 0;
    // A fetch that is halted leaves what is on its way; with a share of 0 each fill is finished.
    let finished = schedule.policy.finish_share == 0.0;
    let undisturbed = finished && schedule.lives.iter().all(|it| *it == (None, None));
    let given = given.load(Ordering::Relaxed);
    if steady && known && undisturbed && given > schedule.blob.len() as u64 {
        violations.add(format!("{given} bytes of {} fetched", schedule.blob.len()));
    }
    violations.all()
}

fn engine(schedule: &Schedule, store: Arc<Watched>, upstream: Arc<Wild>) -> Arc<Mirror> {
    let upstream = Upstream {
        registry: upstream as Arc<dyn Registry>,
        tags: TagPolicies::all(tag_policy()),
        downloads: schedule.lanes,
        repositories: RepositoryRules::default(),
        eager_downloads: 0,
        connections_per_blob: 3,
    };
    Mirror::new(Parts {
        upstreams: HashMap::from([(Arc::from("docker.io"), upstream)]),
        store,
        clock: Arc::new(HandClock::default()),
        fills: schedule.policy,
        access: AccessPolicy::default(),
        garbage: GarbagePolicy::default(),
        fetch_runtime: Handle::current(),
        metrics: MirrorMetrics::new(&prometheus::Registry::new()).unwrap(),
    })
}

/// One process's life: so many clients come and go, and then all fills come to rest; nothing takes `for_ever`.
async fn live(mirror: Arc<Mirror>, truth: Truth, clients: u64, for_ever: Duration) {
    let mut visits: JoinSet<_> = (0..clients)
        .map(|_| visit(Arc::clone(&mirror), truth.clone()))
        .collect();
    let all = async {
        while let Some(visit) = visits.join_next().await {
            if let Err(error) = visit {
                truth.violations.add(format!("a client panicked: {error}"));
            }
        }
    };
    if timeout(for_ever, all).await.is_err() {
        truth.violations.add("a client waits for ever");
        return;
    }
    let rest = async {
        while mirror.fills.len() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    if timeout(for_ever, rest).await.is_err() {
        truth.violations.add("a fill never comes to rest");
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn torture_random_schedules_break_no_invariant() {
    let (first, count) = (
        number("ROADSTEAD_SEED", 1_000_000),
        number("ROADSTEAD_SCHEDULES", 2_000),
    );
    let (next, broken) = (AtomicU64::new(0), Violations::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= count || broken.all().len() > 5 {
                        return;
                    }
                    let violations = run(first + nth);
                    if !violations.is_empty() {
                        broken.add(format!("seed {}: {violations:?}", first + nth));
                    }
                }
            });
        }
    });
    assert!(broken.all().is_empty(), "{:#?}", broken.all());
}
