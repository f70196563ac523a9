//! Many clients at once on several threads, in real time: for what only happens between two instructions, in the
//! table, the seats, and what is settled by whom.

use futures_util::stream::{self, StreamExt};

use super::*;

/// Longer than any round takes, by far.
const TOO_LONG: Duration = Duration::from_mins(1);

/// One round on the current runtime, and what was broken in it.
async fn round(seed: u64) -> Vec<String> {
    let dice = Dice::new(seed);
    let mut schedule = Schedule::throw(&dice);
    // What takes real time is left out.
    (schedule.moods.slowness, schedule.moods.stalls) = (0, 0);
    schedule.moods.cuts = schedule.moods.cuts.min(2);
    let (disk, violations) = (Arc::new(MemoryStore::default()), Violations::default());
    let store = Arc::new(Watched {
        disk: Arc::clone(&disk),
        life: Life::new(schedule.lives[0].0),
        violations: violations.clone(),
    });
    let upstream = Arc::new(Wild {
        blob: schedule.blob.clone(),
        moods: schedule.moods,
        dice: dice.clone(),
        given: Arc::default(),
        requests: AtomicU64::new(0),
    });
    let digest = Digest::sha256_of(&schedule.blob);
    let truth = Truth {
        blob: schedule.blob.clone(),
        digest: digest.clone(),
        parts_are_right: schedule.moods.honest(),
        must_succeed: schedule.moods.calm(),
        hasty: true,
        dice: dice.clone(),
        violations: violations.clone(),
    };
    let mirror = engine(&schedule, store, upstream);
    live(mirror, truth, 12, TOO_LONG).await;
    if let Some(content) = disk.open(&digest).unwrap() {
        let bytes = content.source().read_all(schedule.blob.len()).unwrap();
        if bytes != schedule.blob || content.size() != schedule.blob.len() as u64 {
            violations.add("wrong content is stored");
        }
    }
    violations.all()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn torture_on_several_threads_breaks_no_invariant() {
    let (first, count) = (
        number("ROADSTEAD_SEED", 2_000_000),
        number("ROADSTEAD_ROUNDS", 400),
    );
    // Some at once, so that those that pause between two tries cost no time.
    let rounds = stream::iter(first..first + count).map(|seed| async move {
        let broken = tokio::spawn(round(seed)).await.unwrap();
        (!broken.is_empty()).then(|| format!("seed {seed}: {broken:?}"))
    });
    let broken: Vec<_> = rounds
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(broken.is_empty(), "{broken:#?}");
}
