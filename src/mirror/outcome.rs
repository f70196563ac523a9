//! How a request was answered: one vocabulary for the log, the metric and the `Cache-Status` header.

/// Who is to blame for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The request itself.
    Client,
    /// The upstream, or the way to it.
    Upstream,
    /// Our disk.
    Store,
    /// Ourselves.
    Mirror,
}

impl Who {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Client, Self::Upstream, Self::Store, Self::Mirror];
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// From content and records that are here; upstream was not asked.
    Hit,
    /// By following a fill that another request began.
    Join,
    /// Upstream was asked, and what it sent is kept.
    Miss,
    /// Upstream confirmed what is here.
    Revalidated,
    /// From a record past its time, because upstream could not be asked: the reason in one word.
    Stale(&'static str),
    /// Relayed from upstream and not kept: the reason in one word.
    Bypass(&'static str),
    /// Upstream says that it, or the part of it that was asked for, does not exist.
    Negative,
    /// Upstream, or we, refuse this client.
    Denied,
    /// No answer could be given.
    Error(Who),
}

impl Outcome {
    /// Every [`word`](Outcome::word).
    pub const WORDS: [&'static str; 9] = [
        "hit",
        "join",
        "miss",
        "revalidated",
        "stale",
        "bypass",
        "negative",
        "denied",
        "error",
    ];

    /// The word used as a metric's label: a closed set.
    pub fn word(self) -> &'static str {
        Self::WORDS[self.place()]
    }

    /// The place of its word among the [`WORDS`](Outcome::WORDS).
    pub fn place(self) -> usize {
        match self {
            Self::Hit => 0,
            Self::Join => 1,
            Self::Miss => 2,
            Self::Revalidated => 3,
            Self::Stale(_) => 4,
            Self::Bypass(_) => 5,
            Self::Negative => 6,
            Self::Denied => 7,
            Self::Error(_) => 8,
        }
    }

    /// The reason behind the word, where it has one.
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Stale(why) | Self::Bypass(why) => Some(why),
            Self::Error(Who::Client) => Some("client"),
            Self::Error(Who::Upstream) => Some("upstream"),
            Self::Error(Who::Store) => Some("store"),
            Self::Error(Who::Mirror) => Some("mirror"),
            _ => None,
        }
    }

    /// The value of the `Cache-Status` header (RFC 9211): `hit`, or why the request went forward,
    /// with our own word as `detail`.
    pub fn cache_status(self) -> String {
        let parameters = match self {
            Self::Hit | Self::Stale(_) => "; hit",
            Self::Join => "; fwd=miss; collapsed",
            Self::Miss => "; fwd=miss; stored",
            Self::Revalidated => "; fwd=stale",
            Self::Bypass(_) => "; fwd=bypass",
            // Nobody was asked, or not for an answer that could be kept.
            Self::Error(Who::Client) | Self::Denied => "",
            Self::Negative | Self::Error(_) => "; fwd=miss",
        };
        match self.why() {
            Some(why) => format!("roadstead{parameters}; detail=\"{}({why})\"", self.word()),
            None => format!("roadstead{parameters}; detail={}", self.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_among_the_words() {
        let (stale, bypass) = (Outcome::Stale("w"), Outcome::Bypass("w"));
        let all = [
            Outcome::Hit,
            Outcome::Join,
            Outcome::Miss,
            Outcome::Revalidated,
            stale,
            bypass,
            Outcome::Negative,
            Outcome::Denied,
            Outcome::Error(Who::Client),
        ];
        let words = [
            "hit",
            "join",
            "miss",
            "revalidated",
            "stale",
            "bypass",
            "negative",
            "denied",
            "error",
        ];
        assert_eq!(all.map(Outcome::word), words);
        assert_eq!(words, Outcome::WORDS);
    }

    #[test]
    fn the_header_tells_hit_or_why_forwarded() {
        for (outcome, header) in [
            (Outcome::Hit, "roadstead; hit; detail=hit"),
            (Outcome::Join, "roadstead; fwd=miss; collapsed; detail=join"),
            (Outcome::Miss, "roadstead; fwd=miss; stored; detail=miss"),
            (
                Outcome::Revalidated,
                "roadstead; fwd=stale; detail=revalidated",
            ),
            (
                Outcome::Stale("timeout"),
                "roadstead; hit; detail=\"stale(timeout)\"",
            ),
            (
                Outcome::Error(Who::Client),
                "roadstead; detail=\"error(client)\"",
            ),
            (
                Outcome::Error(Who::Upstream),
                "roadstead; fwd=miss; detail=\"error(upstream)\"",
            ),
        ] {
            assert_eq!(outcome.cache_status(), header);
        }
    }
}
