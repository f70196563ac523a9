//! Who a client is, by what it shows, and how it is told to say so.
//!
//! An upstream's clients are all served alike, as nobody or with the mirror's own account; or each is served as
//! itself (wire reference: models B and C of pass-through). Then a client learns by a challenge where to get a token: at
//! the upstream's own realm, or here at `/token`, which asks that realm for it and gives out an *envelope* that is good
//! for this upstream and this process only.
//!
//! | file | idea |
//! |---|---|
//! | `shown` | what a request shows, and in whose name that is answered: pure |
//! | `addressee` | for whom a token says that it is: pure |
//! | `envelope` | a token that nobody else can make, read or use elsewhere |
//! | `challenges` | the lines of `WWW-Authenticate`: pure |
//! | `scopes` | from the names that clients write to an upstream's own: pure |
//! | `wish` | what a token request says: pure |
//! | `tried` | the parsers of all this alone, for who tries them on any bytes |
//!
//! Nothing in here logs, and no type in here shows what a client showed.

mod addressee;
mod challenges;
mod envelope;
mod scopes;
mod shown;
mod tried;
mod wish;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::uri::Scheme;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::timeout;

use self::envelope::Envelopes;
use self::shown::Shown;
use super::route::Route;
use crate::mirror::{Asker, Clock, MirrorError};
use crate::oci::Challenge;
use crate::upstream::{ClientAuthorization, Registry, TokenAnswer, TokenRequest};

pub(super) use challenges::{Complaint, Told};
pub(super) use envelope::Holds;
pub(super) use scopes::Wanted;
pub(super) use shown::{Identified, TwoHeaders};
#[doc(hidden)]
pub use tried::{passes_as_sealed, wishes_for};
pub(super) use wish::{BadWish, Wish};

/// How long a client waits for what an upstream asks for: what was seen before must do then.
const PATIENCE: Duration = Duration::from_millis(800);

/// As whom an upstream's clients are served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Served {
    /// All alike, as nobody; but a client that shows a token made out to this upstream is served as itself.
    #[default]
    AsNobody,
    /// All alike, with the mirror's own account.
    AsTheMirror,
    /// Each as itself.
    AsThemselves(TokenRealm),
}

/// Where clients that are served as themselves get their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRealm {
    /// At the upstream's own realm.
    Upstream,
    /// Here.
    Mirror,
}

/// What an [`Access`] is made of.
pub struct AccessParts {
    /// The upstreams by name.
    pub registries: HashMap<Arc<str>, Arc<dyn Registry>>,
    /// Where questions to upstream run.
    pub fetch_runtime: Handle,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Where clients reach the mirror (`https://mirror.example`); `None`: where they say that they do.
    pub external_url: Option<String>,
}

/// Tells clients apart.
pub struct Access {
    parts: AccessParts,
    envelopes: Envelopes,
    /// What each upstream asked for when it last said so: for the time when it cannot be asked.
    seen: Mutex<HashMap<Arc<str>, Option<Challenge>>>,
}

/// What is known of what an upstream asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asks {
    /// It was never heard.
    Unknown,
    /// For nothing.
    Nothing,
    /// For this.
    For(Challenge),
}

impl Access {
    /// With a key for its envelopes that lives and dies with the process.
    pub fn new(parts: AccessParts) -> Self {
        Self {
            parts,
            envelopes: Envelopes::new(),
            seen: Mutex::default(),
        }
    }

    /// In whose name a request is answered.
    ///
    /// # Errors
    /// When it shows two things at once.
    pub(super) async fn identify(
        &self,
        headers: &HeaderMap,
        route: &Route,
    ) -> Result<Identified, TwoHeaders> {
        let shown = Shown::of(headers)?;
        let asks = if shown.depends_on_upstream(route.served) {
            self.asks(&route.upstream).await
        } else {
            Asks::Unknown
        };
        let open = |sealed: &str| {
            let now = self.parts.clock.now();
            self.envelopes.open(sealed, &route.upstream, now)
        };
        Ok(shown.identify(route.served, &asks, open))
    }

    /// What the upstream asks of those who want to read: within a moment, from what was seen if need be.
    pub(super) async fn asks(&self, upstream: &Arc<str>) -> Asks {
        let Some(registry) = self.parts.registries.get(upstream) else {
            return Asks::Unknown;
        };
        let registry = Arc::clone(registry);
        // A task of its own: who comes next has the answer that came too late for this one.
        let asked = self
            .parts
            .fetch_runtime
            .spawn(async move { registry.challenge().await });
        let seen = || self.seen.lock().get(upstream).cloned();
        let asks = match timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(challenge))) => {
                let known = challenge.clone();
                self.seen.lock().insert(Arc::clone(upstream), known);
                Some(challenge)
            }
            _ => seen(),
        };
        match asks {
            Some(Some(challenge)) => Asks::For(challenge),
            Some(None) => Asks::Nothing,
            None => Asks::Unknown,
        }
    }

    /// Whether the upstream itself turns away what a client shows. One that cannot be asked turns nobody away.
    pub(super) async fn turns_away(
        &self,
        upstream: &Arc<str>,
        authorization: &ClientAuthorization,
    ) -> bool {
        let registry = self.parts.registries.get(upstream);
        let Some(registry) = registry.and_then(|it| it.on_behalf(authorization)) else {
            return false;
        };
        let asked = self
            .parts
            .fetch_runtime
            .spawn(async move { registry.challenge().await });
        matches!(timeout(PATIENCE, asked).await, Ok(Ok(Ok(Some(_)))))
    }

    /// Asks the upstream's realm for a token.
    pub(super) async fn token(
        &self,
        upstream: &Arc<str>,
        request: TokenRequest,
    ) -> Result<TokenAnswer, MirrorError> {
        let registry = self.parts.registries.get(upstream);
        let unknown = || MirrorError::UnknownUpstream(Arc::clone(upstream));
        let registry = Arc::clone(registry.ok_or_else(unknown)?);
        let asked = self
            .parts
            .fetch_runtime
            .spawn(async move { registry.token(&request).await });
        let answer = asked.await.map_err(|_| MirrorError::Abandoned)?;
        Ok(answer?)
    }

    /// Seals what it holds for this upstream, for so long.
    pub(super) fn seal(&self, upstream: &str, holds: &Holds, lasts: Duration) -> String {
        let until = self.now().saturating_add(lasts.as_secs());
        self.envelopes.seal(upstream, holds, until)
    }

    /// Wall time: seconds since the Unix epoch.
    pub(super) fn now(&self) -> u64 {
        self.parts.clock.now()
    }

    /// The mirror's own URL as the client knows it, which came by `scheme`; `None` for a client that names no host.
    pub(super) fn own_url(&self, scheme: &Scheme, host: Option<&str>) -> Option<String> {
        let told = || host.map(|host| format!("{scheme}://{host}"));
        self.parts.external_url.clone().or_else(told)
    }
}

/// What a challenge to this client says, if there is one to be made.
pub(super) fn challenge(
    asker: Option<&Asker>,
    realm: TokenRealm,
    asks: &Asks,
    told: &Told<'_>,
) -> Option<Challenge> {
    let complaint = match asker {
        None => Some(Complaint::InvalidToken),
        Some(Asker::Client(_)) => Some(Complaint::InsufficientScope),
        Some(Asker::Mirror | Asker::Nobody) => None,
    };
    challenges::challenge(realm, asks, told, complaint)
}
