//! Lists by the clock, in paused time.

use std::sync::mpsc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;
use crate::mirror::Clock;
use crate::mirror::warm::{Beat, Timing, WarmList};

const HOUR: u64 = 3600;
const BEGAN: u64 = 1_767_225_600;

/// Wall time that passes as the runtime's does.
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> u64 {
        BEGAN + self.0.elapsed().as_secs()
    }
}

/// A list whose reading is told of: the time, in seconds since the beginning.
fn list(timing: Timing, images: &'static [&'static str]) -> (WarmList, mpsc::Receiver<u64>) {
    let (read, reads) = mpsc::channel();
    let began = Instant::now();
    let reading = move || {
        read.send(began.elapsed().as_secs())
            .map_err(|it| it.to_string())?;
        if images.is_empty() {
            return Err("nothing".to_owned());
        }
        Ok(order(images))
    };
    let list = WarmList {
        name: "site".into(),
        read: Arc::new(reading),
        timing,
    };
    (list, reads)
}

fn hourly() -> Timing {
    Timing {
        on_start: true,
        beat: Some(Beat::Every(HOUR)),
        jitter: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_warmed_at_its_times_and_told_of_by_its_name() {
    let (house, warmer) = furnished(house());
    let layer = noise(5_000);
    house.upstream.serves(&layer);
    house.upstream.tag("1", image(&layer, None).as_bytes());
    let warmer = Arc::new(warmer);
    let clock = Arc::new(PausedClock(Instant::now()));
    let (list, reads) = list(hourly(), &["a/b:1"]);
    let keeping = tokio::spawn(Arc::clone(&warmer).keep(list, clock));
    sleep(Duration::from_secs(2 * HOUR + HOUR / 2)).await;
    assert_eq!(reads.try_iter().collect::<Vec<_>>(), [0, HOUR, 2 * HOUR]);
    let reports = warmer.reports();
    assert_eq!(reports.len(), 3);
    for report in reports {
        assert_eq!(report.state, JobState::Complete, "{report:?}");
        assert_eq!(report.list.as_deref(), Some("site"));
    }
    let page = prometheus::TextEncoder::new()
        .encode_to_string(&warmer.metrics.gathered())
        .unwrap();
    for line in [
        "roadstead_warm_jobs_total{result=\"complete\"} 3",
        "roadstead_warm_running 0",
        &format!(
            "roadstead_warm_last_success_timestamp_seconds{{list=\"site\"}} {}",
            BEGAN + 2 * HOUR
        ),
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    assert!(!keeping.is_finished());
    keeping.abort();
}

/// A run that takes longer than the beat is followed by one other, not joined by it.
#[tokio::test(start_paused = true)]
async fn a_run_under_way_is_not_begun_again() {
    let (house, warmer) = furnished(house());
    let (layer, gate) = (noise(100_000), gate());
    let digest = Digest::sha256_of(&layer);
    house
        .upstream
        .on_blob(&digest, halves(&layer, Step::Gate(Arc::clone(&gate))));
    house.upstream.tag("1", image(&layer, None).as_bytes());
    let warmer = Arc::new(warmer);
    let clock = Arc::new(PausedClock(Instant::now()));
    let (list, reads) = list(hourly(), &["a/b:1"]);
    let keeping = tokio::spawn(Arc::clone(&warmer).keep(list, clock));
    sleep(Duration::from_secs(3 * HOUR + 1)).await;
    assert_eq!(reads.try_iter().collect::<Vec<_>>(), [0]);
    assert_eq!(warmer.reports().len(), 1);
    gate.add_permits(1);
    sleep(Duration::from_mins(2)).await;
    assert_eq!(reads.try_iter().count(), 1);
    let states: Vec<_> = warmer.reports().iter().map(|it| it.state).collect();
    assert_eq!(states, [JobState::Complete; 2]);
    keeping.abort();
}

/// What cannot be read now is read again at the next time; what has no next time ends.
#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_is_tried_again() {
    let (_house, warmer) = furnished(house());
    let warmer = Arc::new(warmer);
    let clock = || Arc::new(PausedClock(Instant::now()));
    let (broken, reads) = list(hourly(), &[]);
    let keeping = tokio::spawn(Arc::clone(&warmer).keep(broken, clock()));
    sleep(Duration::from_secs(HOUR + 1)).await;
    assert_eq!(reads.try_iter().collect::<Vec<_>>(), [0, HOUR]);
    assert!(warmer.reports().is_empty());
    keeping.abort();

    let once = Timing {
        beat: None,
        ..hourly()
    };
    let (once, reads) = list(once, &[]);
    Arc::clone(&warmer).keep(once, clock()).await;
    assert_eq!(reads.try_iter().count(), 1);
}
