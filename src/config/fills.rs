//! `[fills]`: downloads in progress, and what becomes of those that stop before their end.

use std::time::Duration;

use super::reading::Reported;
use super::section::Section;
use super::setting::{Refusal, Setting, TimeOut, Value};
use super::share::Share;

/// `[fills]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fills {
    /// What to do with a download that no client follows any more.
    pub on_leave: OnLeave,
    /// A download is finished even where [`OnLeave::Keep`] would stop it, or where clients wanted
    /// only parts of it, when at least this share of it is here.
    pub finish_share: Share,
    /// Unfinished downloads that nobody has taken up for longer than this are dropped.
    pub max_age: Duration,
    /// Unfinished downloads take at most this share of the store's capacity; the oldest go first.
    pub max_share: Share,
    /// A client gets the head of its answer, or 504, within this; not zero.
    pub answer_within: Duration,
}

/// What to do with a download that no client follows any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLeave {
    /// Go on to its end.
    Finish,
    /// Stop, and keep what is here for the next client.
    Keep,
}

impl Setting for OnLeave {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not what to do with a download: write finish or keep";
        match value.text(reason)? {
            "finish" => Ok(Self::Finish),
            "keep" => Ok(Self::Keep),
            _ => Err(reason.into()),
        }
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Result<Fills, Reported> {
    let on_leave = section.or("on_leave", OnLeave::Finish);
    let finish_share = section.or("finish_share", Share::HALF);
    let max_age = section.or("max_age", Duration::from_hours(7 * 24));
    let max_share = section.or("max_share", Share::FIFTH);
    let answer_within = section.or("answer_within", TimeOut(Duration::from_secs(25)));
    Ok(Fills {
        on_leave: on_leave?,
        finish_share: finish_share?,
        max_age: max_age?,
        max_share: max_share?,
        answer_within: answer_within?.0,
    })
}
