//! What the operator is shown of the engine's work: how the upstreams stand, and what is under way.

use std::sync::Arc;

use super::fills::FillSeen;
use super::{Mirror, MirrorError};
use crate::upstream::Standing;

/// One upstream at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSeen {
    /// Its name.
    pub name: Arc<str>,
    /// What is known of it without asking.
    pub standing: Standing,
}

impl Mirror {
    /// All upstreams, by name.
    pub fn upstreams_seen(&self) -> Vec<UpstreamSeen> {
        let mut seen: Vec<_> = self
            .upstreams
            .iter()
            .map(|(name, way)| UpstreamSeen {
                name: Arc::clone(name),
                standing: way.registry.standing(),
            })
            .collect();
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        seen
    }

    /// All fills under way, the oldest first.
    pub fn fills_seen(&self) -> Vec<FillSeen> {
        self.fills.seen()
    }

    /// Whether an upstream of this name is declared.
    ///
    /// # Errors
    /// When none is.
    pub(super) fn declared(&self, upstream: &str) -> Result<(), MirrorError> {
        self.upstream(upstream).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::mirror::testkit::{Asker, Step, gate, halves, house, noise, origin};
    use crate::oci::Digest;
    use crate::upstream::Standing;

    #[tokio::test(start_paused = true)]
    async fn a_fill_is_seen_with_its_progress_until_it_ends() {
        let house = house();
        let bytes = noise(2_000_000);
        let digest = Digest::sha256_of(&bytes);
        let gate = gate();
        let script = halves(&bytes, Step::Gate(gate.clone()));
        house.upstream.on_blob(&digest, script);
        let answer = house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &[])
            .await
            .unwrap();
        let seen = loop {
            match &*house.mirror.fills_seen() {
                [fill] if fill.present == 1_000_000 => break fill.clone(),
                [_] => tokio::task::yield_now().await,
                others => panic!("{others:?}"),
            }
        };
        assert_eq!(seen.link.digest, digest);
        assert_eq!((seen.size, seen.followers), (Some(2_000_000), 1));
        assert_eq!(seen.phase, "open");
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(house.mirror.fills_seen()[0].since >= Duration::from_secs(3));

        gate.add_permits(1);
        drop(answer);
        house.settle().await;
        assert_eq!(house.mirror.fills_seen(), []);
    }

    #[tokio::test]
    async fn upstreams_are_seen_as_they_stand() {
        let house = house();
        let down = Standing {
            is_down: true,
            ..Standing::default()
        };
        house.upstream.stands(down);
        let seen = house.mirror.upstreams_seen();
        assert_eq!(seen.len(), 1);
        assert_eq!((&*seen[0].name, seen[0].standing), ("docker.io", down));
    }
}
