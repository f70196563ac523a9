//! An upstream as the mirror sees it: a real registry behind a tap.

use super::mirror::{Mirror, Plan};
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
        let tap = Tap::before(registry.address());
        Self { registry, tap }
    }

    /// An upstream open to everyone, and a mirror of it in which everything is as by default.
    pub(crate) async fn mirrored() -> (Self, Mirror) {
        let upstream = Self::start(Access::Open).await;
        let mirror = Plan::of(&upstream.tap).start().await;
        upstream.tap.forget();
        (upstream, mirror)
    }

    /// Fails the test if anything at all has crossed the tap.
    pub(crate) fn heard_nothing(&self) {
        let heard = self.tap.requests();
        assert!(heard.is_empty(), "the upstream was asked: {heard:?}");
    }
}
