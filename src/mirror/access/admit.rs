//! The decision whether a request may go on, and in whose name it asks upstream.

use std::sync::Arc;

use tokio::time::timeout;

use super::{Asker, Right, VerdictKey};
use crate::mirror::fills::head;
use crate::mirror::{Mirror, MirrorError, Patience};
use crate::oci::{Accepts, Digest, Reference};
use crate::store::{Fact, Link, Origin, Role};
use crate::upstream::{ErrorKind, Listing, Phase, Registry, UpstreamError};

/// A real question whose answer shows that a client has the repository: the one that it came for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::mirror) enum Proof {
    /// A manifest of it.
    Manifest(Reference),
    /// A blob of it.
    Blob(Digest),
    /// A list of what it has.
    Listing(Listing),
}

/// What a client that was not admitted yet is asked about, once for all its requests of this moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::mirror) struct Question {
    key: VerdictKey,
    proof: Proof,
}

impl Mirror {
    /// Admits `asker` to the repository, or says why not.
    ///
    /// A refusal is upstream's own (401, 403, and 404 as it said), and takes as long for what is here as for what is
    /// not: nothing is looked up before. When upstream cannot be asked, what it has shown to everybody goes on being
    /// shown; all else is refused with the outage.
    pub(in crate::mirror) async fn admit(
        self: &Arc<Self>,
        asker: &Asker,
        origin: &Origin,
        proof: Proof,
    ) -> Result<Right, MirrorError> {
        let right = self.right(asker, origin)?;
        let Some(who) = right.who else {
            return Ok(right);
        };
        let origin = origin.clone();
        let key = VerdictKey { origin, who };
        if let Some(verdict) = self.verdicts.known(&key) {
            return verdict.map(|()| right);
        }
        let expires_at = match asker {
            Asker::Client(client) => client.expires_at,
            Asker::Mirror | Asker::Nobody => None,
        };
        let question = Question { key, proof };
        let ask = || {
            let (mirror, right) = (Arc::clone(self), right.clone());
            let (question, nobody) = (question.clone(), matches!(asker, Asker::Nobody));
            async move { mirror.judge(&right, question, expires_at, nobody).await }
        };
        let (answer, _) = self.admissions.run(&question, ask).await;
        answer.unwrap_or(Err(MirrorError::Abandoned))?;
        Ok(right)
    }

    /// The way to ask about the repository in the asker's name. Fails when this upstream serves nobody as themselves.
    pub(in crate::mirror) fn right(
        &self,
        asker: &Asker,
        origin: &Origin,
    ) -> Result<Right, MirrorError> {
        // Before all else: what is not let through is not asked about either.
        let way = self.upstream(&origin.upstream)?;
        if !way.repositories.permit(&origin.repository) {
            let (upstream, repository) = (&origin.upstream, &origin.repository);
            return Err(MirrorError::Forbidden(
                Arc::clone(upstream),
                repository.clone(),
            ));
        }
        let registry = self.registry(asker, &origin.upstream)?;
        Ok(Right {
            origin: origin.clone(),
            registry,
            who: self.fingerprints.of(asker),
            patience: Patience::Client,
        })
    }

    /// Upstream, asked in the asker's name.
    pub(in crate::mirror) fn registry(
        &self,
        asker: &Asker,
        upstream: &str,
    ) -> Result<Arc<dyn Registry>, MirrorError> {
        let way = self.upstream(upstream)?;
        let registry = match asker {
            Asker::Mirror | Asker::Nobody => Some(Arc::clone(&way.registry)),
            Asker::Client(client) => way.registry.on_behalf(&client.authorization),
        };
        registry.ok_or_else(|| refused(upstream))
    }

    async fn judge(
        self: Arc<Self>,
        right: &Right,
        question: Question,
        expires_at: Option<u64>,
        nobody: bool,
    ) -> Result<(), MirrorError> {
        let Question { key, proof } = question;
        // The single waits are upstream's; their sum is bounded here.
        let shown = show(&*right.registry, &right.origin, &proof);
        let shown = timeout(self.verdicts.patience(), shown).await;
        let error = match shown.unwrap_or_else(|_| Err(silence(&right.origin))) {
            Ok(()) => {
                if nobody {
                    self.note_public(&right.origin, true);
                }
                self.verdicts.allow(key, expires_at);
                return Ok(());
            }
            Err(error) => MirrorError::from(error),
        };
        if error.outage().is_some() {
            // What everybody was shown is no secret.
            return if self.is_public(&right.origin) {
                Ok(())
            } else {
                Err(error)
            };
        }
        let kind = error.upstream().map(UpstreamError::kind);
        let is_refused = matches!(kind, Some(ErrorKind::Unauthorized | ErrorKind::Denied));
        // Without a list of tags there is no repository, or none that everybody may see.
        let is_hidden = matches!(
            (kind, &proof),
            (Some(ErrorKind::NotFound { .. }), Proof::Listing(_))
        );
        if nobody && (is_refused || is_hidden) {
            self.note_public(&right.origin, false);
        }
        if is_refused {
            self.verdicts.refuse(key, error.clone());
        }
        // A 404 may be about the one manifest only: it is no verdict, and no admission either.
        Err(error)
    }

    fn is_public(&self, origin: &Origin) -> bool {
        self.store.is_public(origin).unwrap_or_else(|error| {
            tracing::warn!(%error, "catalog cannot be read");
            false
        })
    }

    fn note_public(&self, origin: &Origin, public: bool) {
        // Also where it cannot be read: what upstream says now is known then.
        if !matches!(self.store.is_public(origin), Ok(known) if known == public) {
            self.scribe.learn(&[Fact::Public(origin.clone(), public)]);
        }
    }
}

/// Asks the question that shows it.
async fn show(
    registry: &dyn Registry,
    origin: &Origin,
    proof: &Proof,
) -> Result<(), UpstreamError> {
    match proof {
        Proof::Manifest(reference) => {
            let head = registry.head_manifest(&origin.repository, reference, Accepts::EVERYTHING);
            head.await.map(drop)
        }
        Proof::Blob(digest) => {
            let link = Link {
                origin: origin.clone(),
                digest: digest.clone(),
                role: Role::Blob,
            };
            head(registry, &link).await.map(drop)
        }
        // Its beginning is as good as all of it.
        Proof::Listing(listing) => registry.list(listing, Some("n=1")).await.map(drop),
    }
}

fn silence(origin: &Origin) -> UpstreamError {
    let place = format!("{}/{}: who may read it", origin.upstream, origin.repository);
    UpstreamError::new(ErrorKind::Timeout(Phase::Header), place)
}

fn refused(upstream: &str) -> MirrorError {
    let place = format!("{upstream}: it takes no credentials of clients");
    UpstreamError::new(ErrorKind::Unauthorized, place).into()
}
