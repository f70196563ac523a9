//! Fills: one download of one digest, and all who read from it while it grows.
//!
//! ```text
//!   blob() ──enter──► Fills ──► Fill ◄────── fetch, fetch ... (tasks on the fetch runtime)
//!                    (table)     │ state: ground (present, claimed), phase, who wants what
//!                                │ work:  the file, and the hash of the prefix
//!                     Follower ◄─┘ waits for bytes at its offset, reads them from the file
//! ```
//!
//! One mechanism for joining, ranges, resume and retry. A fill is passive: a sparse file, what is present in it, which
//! stretches are being brought, and a phase. Followers stand at any offset; where nothing comes soon they ask for a
//! fetch, and [`ground`] decides, purely, where it begins and ends. A fetch writes in its own stretch only and hashes
//! when it brings the prefix; what came out of order is hashed behind it ([`catch_up`]). Neither knows the other, so
//! a client's pace or leaving cannot matter, and the first client is a follower like the rest.
//!
//! Whatever ends (a fetch, a catch-up, a request) calls [`settle`](fetcher::settle), which asks the fill what is
//! [`next`](fill::Fill::next): fetch, hash, close, end, rest, or nothing. A task that is dropped without a word ends like
//! any other: it gives back what it held.
//!
//! The end, in the order that invariants 2 and 4 rest on: verify, release the last bytes, commit, leave the table. Without
//! content: all fetches stop, the file is put in order (kept with its progress, or removed), the table is left, the
//! followers are told.
//!
//! | file | idea |
//! |---|---|
//! | `ground` | what is present and claimed; where the next fetch goes (pure) |
//! | `state` | what followers see, and the line for fetches |
//! | `fill` | one fill; what is next for it |
//! | `fetcher` | carrying that out: begin, settle, close, keep, end |
//! | `fetch/` | one fetch: ask, receive, write, hash, publish |
//! | `catch_up` | hashing what came out of order |
//! | `work` | the file and the hash at rest; when progress is noted |
//! | `table`, `seat`, `seen` | all fills; a request's part in one; what the operator sees of them |
//! | `follower`, `read` | one client's reader; reading the file |
//! | `watched` | waiting for the end without reading |
//! | `past` | a reader past a store that failed |
//! | `patience`, `quarantine` | when a broken download, or wrong bytes, are tried again |
//! | `policy`, `lanes` | what goes on alone and what is kept; how many at once |
//! | `way` | what has time lets by what clients wait for |
//! | `measures` | all lengths, as one value |

mod catch_up;
mod error;
mod fetch;
mod fetcher;
mod fill;
mod follower;
mod ground;
mod lanes;
mod measures;
mod past;
mod patience;
mod policy;
mod quarantine;
mod read;
mod seat;
mod seen;
mod state;
mod table;
mod watched;
mod way;
mod work;

pub use error::FillError;
pub use follower::{Follower, Joined, Run, Strayed};
pub use measures::Measures;
pub use policy::FillPolicy;
pub use seen::FillSeen;

pub(super) use fetcher::{Feed, Fetcher, ahead, head, with_time};
pub(super) use lanes::Lanes;
pub(super) use table::{Entered, Fills};
pub(super) use watched::watch;
