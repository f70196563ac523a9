//! The binary under long and random trouble, and how fast it is: a real registry behind a tap, thousands of cuts, kills
//! and clients.
//!
//! Without anything said the numbers are small, so that every run of the tests includes them. `script/torture` runs the
//! large ones and prints figures. What is random follows from a seed that is printed; `ROADSTEAD_SEED` gives it again.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod black_hole;
mod cuts;
mod first_byte;
mod herd;
mod keeping;
mod kills;
mod nginx;
mod ranges;
mod speed;
mod warm_latency;

use tokio::sync::{Mutex, MutexGuard};

const MIB: usize = 1024 * 1024;

/// One at a time: each fills the machine, and some measure it.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// Whether the large numbers are wanted (`ROADSTEAD_TORTURE=full`).
fn full() -> bool {
    match std::env::var("ROADSTEAD_TORTURE") {
        Ok(word) if word == "full" => true,
        Ok(word) => panic!("ROADSTEAD_TORTURE is {word:?}: the only word it knows is full"),
        Err(_) => false,
    }
}

/// The large number or the small one.
fn scale<T>(large: T, small: T) -> T {
    if full() { large } else { small }
}

/// `part` of `whole`, for figures.
#[allow(clippy::cast_precision_loss, reason = "figures of three digits")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
