//! How a job stands, as one value: for those who watch it, and for the end.

use serde::{Deserialize, Serialize};

use crate::oci::Digest;

/// How one image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowState {
    /// Its turn has not come.
    Waiting,
    /// Its manifests are being asked for.
    Resolving,
    /// Its blobs are being fetched.
    Fetching,
    /// All of it is here.
    Done,
    /// Not all that was asked for can be had; the reason says what.
    Partial,
    /// It is not here.
    Failed,
    /// The job was stopped before its end.
    Cancelled,
}

impl RowState {
    /// Whether nothing changes any more.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Partial | Self::Failed | Self::Cancelled
        )
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Resolving => "resolving",
            Self::Fetching => "fetching",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A blob that is being fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRow {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How many of them are here.
    pub present: u64,
}

/// How one image stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The reference in full.
    pub reference: String,
    /// How it stands.
    pub state: RowState,
    /// The manifest that the reference names, once that is known.
    pub digest: Option<Digest>,
    /// Bytes of its manifests and blobs, as far as they are known; those that it has in common with others, too.
    pub bytes: u64,
    /// How many of them are here.
    pub present: u64,
    /// How many of them this job brought from upstream. What images have in common counts for the first of them.
    pub fetched: u64,
    /// Its blobs that are being fetched now.
    pub fetching: Vec<BlobRow>,
    /// Why it is not all here; or what there is to know of how it was found.
    pub reason: Option<String>,
}

/// How a job ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Under way.
    Running,
    /// All that was asked for is here.
    Complete,
    /// Some of it is here.
    Partial,
    /// Nothing of it is here.
    Failed,
    /// It was stopped before its end.
    Cancelled,
}

impl JobState {
    /// The ways in which a job ends.
    pub(super) const ENDS: [Self; 4] =
        [Self::Complete, Self::Partial, Self::Failed, Self::Cancelled];

    /// The word for people, and for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job and all its images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Names the job as long as the process lives.
    pub id: u64,
    /// How it stands.
    pub state: JobState,
    /// When it began, in Unix seconds.
    pub began_at: u64,
    /// When it ended, in Unix seconds.
    pub ended_at: Option<u64>,
    /// The list of the config that it is for.
    #[serde(default)]
    pub list: Option<String>,
    /// Under which name it is pinned at the end.
    pub pin: Option<String>,
    /// Why that could not be done.
    pub trouble: Option<String>,
    /// Bytes of all its images, each blob once.
    pub bytes: u64,
    /// How many of them are here.
    pub present: u64,
    /// How many bytes came from upstream for it.
    pub fetched: u64,
    /// Its images, in the order asked for.
    pub rows: Vec<Row>,
}

/// How a job of such rows has ended. Pure.
pub fn verdict(rows: impl IntoIterator<Item = RowState>) -> JobState {
    let (mut done, mut some, mut none) = (false, false, false);
    for state in rows {
        match state {
            RowState::Done => done = true,
            RowState::Partial => some = true,
            RowState::Failed => none = true,
            RowState::Cancelled => return JobState::Cancelled,
            RowState::Waiting | RowState::Resolving | RowState::Fetching => {
                return JobState::Running;
            }
        }
    }
    match (done, some, none) {
        (_, false, false) => JobState::Complete,
        (false, false, true) => JobState::Failed,
        _ => JobState::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_as_good_as_its_images() {
        use RowState::{Cancelled, Done, Failed, Fetching, Partial};
        for (rows, state) in [
            (&[][..], JobState::Complete),
            (&[Done, Done], JobState::Complete),
            (&[Done, Failed], JobState::Partial),
            (&[Partial], JobState::Partial),
            (&[Partial, Failed], JobState::Partial),
            (&[Failed, Failed], JobState::Failed),
            (&[Done, Fetching, Failed], JobState::Running),
            (&[Done, Cancelled], JobState::Cancelled),
        ] {
            assert_eq!(verdict(rows.iter().copied()), state, "{rows:?}");
        }
    }
}
