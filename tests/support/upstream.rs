//! An upstream as the mirror sees it: a real registry behind a tap.

use super::registry::{Access, Registry};
use super::tap::Tap;

/// A registry, and the only way to it that the mirror knows.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Where the tests put things.
    pub(crate) registry: Registry,
    /// Where the mirror connects to.
    pub(crate) tap: Tap,
}

impl Upstream {
    /// Starts both.
    pub(crate) async fn start(access: Access) -> Self {
        let registry = Registry::start(access).await;
        let tap = Tap::before(registry.address()).await;
        Self { registry, tap }
    }
}
