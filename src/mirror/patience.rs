//! How long those who ask wait for upstream's word, where what is known from before could answer in its place.

use tokio::time::timeout;

use super::freshness::Freshness;
use crate::upstream::{SLOW, Standing};

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// A client: until upstream counts as slow, for then nobody else waits either. The question goes on, so that the next
    /// one has the new answer.
    Client,
    /// A job: until upstream has answered or failed. It is there to learn what is so now, and nobody sits before it.
    Job,
}

impl Patience {
    /// The answer to a question that goes on whoever waits; or why what is known is to answer without it.
    pub(super) async fn hear<T>(
        self,
        judged: Freshness,
        standing: Standing,
        question: impl Future<Output = T>,
    ) -> Result<T, &'static str> {
        if self == Self::Job || judged == Freshness::Expired {
            return Ok(question.await);
        }
        match without_waiting(judged, standing) {
            Some(why) => Err(why),
            None => timeout(SLOW, question).await.map_err(|_| "slow"),
        }
    }
}

/// Why an older answer is given at once, while upstream is asked behind the client's back; `None` when it is not.
fn without_waiting(judged: Freshness, standing: Standing) -> Option<&'static str> {
    match judged {
        Freshness::RevalidateBehind => Some("while-revalidate"),
        Freshness::Revalidate if standing.is_down => Some("assumed-offline"),
        Freshness::Revalidate if standing.is_slow => Some("slow"),
        Freshness::Fresh | Freshness::Revalidate | Freshness::Expired => None,
    }
}
