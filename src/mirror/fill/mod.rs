//! Fills: one download of one digest, and all who read from it while it grows.
//!
//! ```text
//!   blob() ──enter──► FillTable ──► Fill ◄─────publish────── fetch (a task on the fetch runtime)
//!                                    │ state: size, present,    upstream ─► write, hash ─► verify ─► commit
//!                                    │        phase
//!                     Follower ◄─────┘ waits for bytes at its offset, reads them from the file
//! ```
//!
//! A fill is passive: a file, what is present in it, and a phase. The fetch writes; followers read; neither
//! knows the other. So a client's pace or leaving cannot matter to the fill, and the first client is a follower
//! like the rest. A fetch that ends without a result (a panic, a runtime that went down) leaves the fill
//! [`Orphaned`](Phase::Orphaned): the next follower that needs a byte begins another, from where it stopped.
//!
//! Order at the end, which invariants 2 and 4 rest on: verify, release the last bytes, commit, leave the table.
//!
//! A download that breaks off goes on from its cursor after a pause ([`patience`]); followers notice only that.
//!
//! Deliberately absent so far: more than one fetch per fill, and taking up partials after a restart.
//! The types are made for them: present bytes are a set of ranges, and a follower stands at any offset.

mod fetch;
mod follower;
mod patience;
mod state;
mod table;
mod work;

pub use follower::{Follower, Joined};
pub use state::FillError;

pub(super) use fetch::{Feed, Fetcher};
pub(super) use table::{Entered, FillTable};

/// Bytes at a blob's end that no follower gets before the digest matches: the last 64 KiB. A smaller blob is
/// held back whole, so a wrong one is an error instead of a cut connection.
pub(super) const HOLD_BACK: u64 = 64 * 1024;
