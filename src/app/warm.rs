//! The config's lists, as the engine takes them.

use std::sync::Arc;

use crate::config::{self, Config, WarmBeat};
use crate::mirror::warm::{Beat, Order, PinUnder, Timing, WarmList, WarmMetrics};

/// The lists that are warmed by the clock; none where nobody is asked.
pub(super) fn lists(config: &Config, metrics: &WarmMetrics) -> Vec<WarmList> {
    let lists = config.warm().iter().filter(|_| !config.offline());
    let lists = lists.map(|list| {
        metrics.begin(&list.name);
        warm_list(list)
    });
    lists.collect()
}

fn warm_list(list: &config::WarmList) -> WarmList {
    let timing = Timing {
        on_start: list.on_start,
        beat: list.beat.as_ref().map(|beat| match beat {
            WarmBeat::Every(time) => Beat::Every(time.as_secs()),
            WarmBeat::Cron(cron) => Beat::Cron(cron.clone()),
        }),
        jitter: list.jitter.as_secs(),
    };
    let (name, list) = (list.name.as_str().into(), list.clone());
    WarmList {
        name,
        timing,
        read: Arc::new(move || order(&list)),
    }
}

fn order(list: &config::WarmList) -> Result<Order, String> {
    let pin = list.pin.clone();
    Ok(Order {
        wanted: list.wanted()?,
        platforms: list.platforms.clone(),
        referrers: list.referrers,
        latest: list.latest.map(std::num::NonZeroUsize::get),
        pin: pin.map(|name| PinUnder { name, adds: false }),
    })
}
