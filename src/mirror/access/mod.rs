//! Who may have what: every request is admitted here before anything is looked up.
//!
//! What the mirror reads with its own account, or with none, its clients may read: there the right is the link
//! alone. Where clients are served as themselves, one thing comes before it: upstream has shown, in answer to a real
//! request with that client's credentials, that it has the repository; and that is remembered for a bounded time, by a
//! keyed hash of the credentials (invariant 9). A token that was issued proves nothing: token servers issue tokens
//! without rights.
//!
//! | file | idea |
//! |---|---|
//! | `asker` | in whose name something is asked for |
//! | `right` | a repository together with the way to ask upstream about it in that name |
//! | `verdicts` | what upstream has shown to whom, for how long |
//! | `admit` | the decision |

mod admit;
mod asker;
mod right;
mod verdicts;

pub(super) use admit::{Proof, Question};
pub use asker::{Asker, ClientCredential};
pub(super) use asker::{Fingerprint, Fingerprints};
pub(super) use right::Right;
pub use verdicts::AccessPolicy;
pub(super) use verdicts::{VerdictKey, Verdicts};
