//! The mirror's own account at an upstream: written down, or known by a helper, which is asked again before what it
//! said ends.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::identity::Identity;
use super::program::{self, ProgramError};
use super::settings::{BuildError, Credentials};

/// A helper is not asked more often than this on account of refusals: one that is wrong stays wrong for a while.
const SHORTEST: Duration = Duration::from_secs(10);

/// Our account at one upstream.
#[derive(Debug)]
pub(super) struct Account(Source);

#[derive(Debug)]
enum Source {
    Fixed(Option<Identity>),
    Program {
        program: PathBuf,
        upstream: Url,
        ttl: Duration,
        /// Held while the helper runs: who needs it meanwhile waits for the same answer.
        known: Mutex<Option<Known>>,
    },
}

#[derive(Debug)]
struct Known {
    identity: Identity,
    since: Instant,
    is_refused: bool,
}

impl Account {
    /// Nothing is started yet.
    pub(super) fn new(credentials: &Credentials, upstream: &Url) -> Result<Self, BuildError> {
        Ok(Self(match credentials {
            Credentials::Anonymous => Source::Fixed(None),
            Credentials::Own { username, password } => {
                let identity = Identity::basic(username, password);
                Source::Fixed(Some(identity.ok_or(BuildError::Credentials)?))
            }
            Credentials::IdentityToken(token) => {
                Source::Fixed(Some(Identity::Refresh(token.clone())))
            }
            Credentials::Program { program, ttl } => Source::Program {
                program: program.clone(),
                upstream: upstream.clone(),
                ttl: *ttl,
                known: Mutex::new(None),
            },
        }))
    }

    /// Who we are; `None` for nobody.
    ///
    /// # Errors
    /// When a helper has to be asked and fails, and nothing it said before is left.
    pub(super) async fn identity(&self) -> Result<Option<Identity>, ProgramError> {
        let (program, upstream, ttl, known) = match &self.0 {
            Source::Fixed(identity) => return Ok(identity.clone()),
            Source::Program {
                program,
                upstream,
                ttl,
                known,
            } => (program, upstream, *ttl, known),
        };
        let mut known = known.lock().await;
        if let Some(known) = &*known
            && !known.is_refused
            && known.since.elapsed() < ttl
        {
            return Ok(Some(known.identity.clone()));
        }
        let identity = match program::ask(program, upstream).await {
            Ok(identity) => identity,
            Err(error) => {
                // What was good a moment ago most likely still is: helpers ask services that may be out.
                return match &*known {
                    Some(known) if !known.is_refused && known.since.elapsed() < 2 * ttl => {
                        tracing::warn!(%error, "the account known before is used on");
                        Ok(Some(known.identity.clone()))
                    }
                    _ => Err(error),
                };
            }
        };
        *known = Some(Known {
            identity: identity.clone(),
            since: Instant::now(),
            is_refused: false,
        });
        Ok(Some(identity))
    }

    /// The upstream did not take who we said we are, in a question that began at `began`. Returns whether it is worth
    /// while to say it anew: a helper may know better by now.
    pub(super) async fn refused(&self, began: Instant) -> bool {
        let Source::Program { known, .. } = &self.0 else {
            return false;
        };
        let mut known = known.lock().await;
        match &mut *known {
            // Somebody else has asked it meanwhile.
            Some(known) if known.since > began => true,
            Some(known) if known.since.elapsed() >= SHORTEST => {
                known.is_refused = true;
                true
            }
            _ => false,
        }
    }
}
