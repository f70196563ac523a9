//! A repository, and the way to ask upstream about it in somebody's name.

use std::sync::Arc;

use super::Fingerprint;
use crate::mirror::Patience;
use crate::oci::Digest;
use crate::store::{Link, Origin, Role};
use crate::upstream::Registry;

/// What admission gives: all questions to upstream on behalf of one request go this way. Cheap to clone.
#[derive(Clone)]
pub(in crate::mirror) struct Right {
    /// The repository.
    pub(in crate::mirror) origin: Origin,
    /// Upstream, asked in that name.
    pub(in crate::mirror) registry: Arc<dyn Registry>,
    /// Whose name it is; `None` for the mirror's.
    pub(in crate::mirror) who: Option<Fingerprint>,
    /// How long one waits for upstream in it.
    pub(in crate::mirror) patience: Patience,
}

impl Right {
    /// The same for one who waits like that.
    pub(in crate::mirror) fn with(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// A link under this repository.
    pub(in crate::mirror) fn link(&self, digest: &Digest, role: Role) -> Link {
        Link {
            origin: self.origin.clone(),
            digest: digest.clone(),
            role,
        }
    }
}
