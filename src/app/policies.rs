//! The config as the policies of the other rooms.

use crate::config::{Config, OnLeave, RateLimited as RateLimitedConfig};
use crate::mirror::{AccessPolicy, FillPolicy, GarbagePolicy, Measures};
use crate::server::{ApiPolicy, RateLimited};
use crate::store::Limits;

/// How much the store of this config may take.
pub fn limits(config: &Config) -> Limits {
    let store = config.store();
    let min_free = store.min_free.map(|free| free.as_u64());
    Limits {
        high: store.high_water.as_f64(),
        low: store.low_water.as_f64(),
        min_free: min_free.unwrap_or_else(|| Limits::spare(&store.path)),
        min_age: store.min_age,
        ..Limits::of(store.capacity.as_u64())
    }
}

pub(super) fn fill_policy(config: &Config) -> FillPolicy {
    let fills = config.fills();
    FillPolicy {
        finish: fills.on_leave == OnLeave::Finish,
        finish_share: fills.finish_share.as_f64(),
        answer_within: fills.answer_within,
        max_age: fills.max_age,
        max_bytes: fills.max_share.of(config.store().capacity.as_u64()),
        measures: Measures::default(),
    }
}

pub(super) fn api_policy(config: &Config) -> ApiPolicy {
    ApiPolicy {
        answer_within: config.fills().answer_within,
        rate_limited: match config.server().rate_limited {
            RateLimitedConfig::Unavailable => RateLimited::Unavailable,
            RateLimitedConfig::TooManyRequests => RateLimited::TooManyRequests,
        },
    }
}

pub(super) fn garbage_policy(config: &Config) -> GarbagePolicy {
    let store = config.store();
    GarbagePolicy {
        unused_for: store.unused_for,
        max_age: store.max_age,
    }
}

pub(super) fn access_policy(config: &Config) -> AccessPolicy {
    AccessPolicy {
        allow: config.server().access_ttl,
        deny: config.server().deny_ttl,
        // The other half is for what comes behind the admission.
        patience: config.fills().answer_within / 2,
    }
}
