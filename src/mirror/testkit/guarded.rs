//! The scripted upstream behind a guard: who may see which repository, and who asked.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Asker, Scripted, not_found};
use crate::mirror::ClientCredential;
use crate::oci::{Accepts, Digest, RangeSpec, Reference, Repository};
use crate::upstream::{
    BlobBody, BlobHead, ClientAuthorization, ErrorKind, ListBody, Listing, ManifestBody,
    ManifestHead, Registry, UpstreamError,
};

/// The guard's book, shared by all who come through it.
#[derive(Default)]
pub(crate) struct Book {
    /// A name (empty: nobody's) and a repository.
    rights: Mutex<HashSet<(String, String)>>,
    /// Who has no right is told that there is nothing.
    hides: AtomicBool,
    asked: Mutex<Vec<String>>,
}

impl Book {
    pub(crate) fn grant(&self, who: &str, repository: &str) {
        let right = (who.to_owned(), repository.to_owned());
        self.rights.lock().insert(right);
    }

    pub(crate) fn revoke(&self, who: &str, repository: &str) {
        let right = (who.to_owned(), repository.to_owned());
        self.rights.lock().remove(&right);
    }

    pub(crate) fn may(&self, who: &str, repository: &str) -> bool {
        let right = (who.to_owned(), repository.to_owned());
        self.rights.lock().contains(&right)
    }

    /// From now on who has no right is told 404.
    pub(crate) fn hides(&self) {
        self.hides.store(true, Ordering::SeqCst);
    }

    /// How many questions were asked in that name.
    pub(crate) fn asked(&self, who: &str) -> usize {
        self.asked.lock().iter().filter(|it| *it == who).count()
    }
}

/// The upstream as one of them sees it.
pub(crate) struct Guarded {
    pub(crate) inner: Arc<Scripted>,
    pub(crate) book: Arc<Book>,
    pub(crate) who: String,
}

/// The client of that name; the empty one shows nothing.
pub(crate) fn client(name: &str) -> Asker {
    if name.is_empty() {
        return Asker::Nobody;
    }
    Asker::Client(ClientCredential {
        authorization: ClientAuthorization::bearer(name).unwrap(),
        expires_at: None,
    })
}

impl Guarded {
    fn check(&self, repository: &Repository) -> Result<(), UpstreamError> {
        self.book.asked.lock().push(self.who.clone());
        // Who is out refuses nobody.
        self.inner.reached()?;
        if self.book.may(&self.who, repository.as_str()) {
            return Ok(());
        }
        if self.book.hides.load(Ordering::SeqCst) {
            return Err(not_found());
        }
        let kind = if self.who.is_empty() {
            ErrorKind::Unauthorized
        } else {
            ErrorKind::Denied
        };
        Err(UpstreamError::new(kind, "guarded"))
    }
}

#[async_trait]
impl Registry for Guarded {
    async fn head_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestHead, UpstreamError> {
        self.check(repository)?;
        let head = self.inner.head_manifest(repository, reference, accepts);
        head.await
    }

    async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        accepts: Accepts,
    ) -> Result<ManifestBody, UpstreamError> {
        self.check(repository)?;
        let body = self.inner.get_manifest(repository, reference, accepts);
        body.await
    }

    async fn head_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<BlobHead, UpstreamError> {
        self.check(repository)?;
        self.inner.head_blob(repository, digest).await
    }

    async fn get_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        part: Option<RangeSpec>,
    ) -> Result<BlobBody, UpstreamError> {
        self.check(repository)?;
        self.inner.get_blob(repository, digest, part).await
    }

    async fn list(
        &self,
        listing: &Listing,
        query: Option<&str>,
    ) -> Result<ListBody, UpstreamError> {
        match listing {
            Listing::Tags(repository) | Listing::Referrers(repository, _) => {
                self.check(repository)?;
            }
            Listing::Catalog => self.book.asked.lock().push(self.who.clone()),
        }
        self.inner.list(listing, query).await
    }

    fn on_behalf(&self, authorization: &ClientAuthorization) -> Option<Arc<dyn Registry>> {
        let shown = authorization.expose().to_str().ok()?;
        Some(Arc::new(Self {
            inner: Arc::clone(&self.inner),
            book: Arc::clone(&self.book),
            who: shown.strip_prefix("Bearer ")?.to_owned(),
        }))
    }
}
