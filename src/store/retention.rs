//! What must stay: the seam for pins.

use super::StoreError;
use crate::oci::Digest;

/// A name for content that must stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The name.
    pub name: String,
    /// What must stay, with all that it references; sorted. It need not be here.
    pub digests: Vec<Digest>,
}

/// What stays and what goes.
pub trait Retention: Send + Sync + 'static {
    /// Pins `digests`, and all that they reference, under `name`, durably, in place of what it stood for before.
    fn pin(&self, name: &str, digests: &[Digest]) -> Result<(), StoreError>;

    /// All pins, sorted by name.
    fn pins(&self) -> Vec<Pin>;
}
