//! Under which names the upstreams are written in references to images.

use std::collections::HashMap;
use std::sync::Arc;

use crate::oci::ImageName;
use crate::store::Origin;

/// Docker Hub: its repositories of one component live in a library.
const DOCKER_HUB: &str = "docker.io";

/// The declared upstreams by every name they have.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<String, Arc<str>>);

impl Names {
    /// Each name with the upstream it stands for; an upstream's own name among them.
    pub fn new(names: impl IntoIterator<Item = (String, Arc<str>)>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Where the image is asked for; `None` when no upstream of that name is declared.
    pub fn origin(&self, name: &ImageName) -> Option<Origin> {
        let upstream = self.0.get(name.registry())?;
        let repository = if &**upstream == DOCKER_HUB {
            name.repository().in_library()
        } else {
            name.repository().clone()
        };
        Some(Origin {
            upstream: Arc::clone(upstream),
            repository,
        })
    }

    /// The upstream that `name` stands for.
    pub fn upstream(&self, name: &str) -> Option<Arc<str>> {
        self.0.get(name).cloned()
    }

    /// The upstreams themselves, sorted, each once.
    pub fn upstreams(&self) -> Vec<Arc<str>> {
        let mut upstreams: Vec<_> = self.0.values().cloned().collect();
        upstreams.sort();
        upstreams.dedup();
        upstreams
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_alias_stands_for_its_upstream_and_what_is_not_declared_for_none() {
        let hub: Arc<str> = "docker.io".into();
        let names = Names::new([
            ("docker.io".to_owned(), Arc::clone(&hub)),
            ("registry-1.docker.io".to_owned(), hub),
            ("ghcr.io".to_owned(), "ghcr.io".into()),
        ]);
        let origin = |text: &str| {
            let origin = names.origin(&text.parse().unwrap())?;
            Some(format!("{} {}", origin.upstream, origin.repository))
        };
        assert_eq!(origin("alpine").unwrap(), "docker.io library/alpine");
        assert_eq!(
            origin("registry-1.docker.io/alpine").unwrap(),
            "docker.io library/alpine"
        );
        assert_eq!(origin("ghcr.io/one").unwrap(), "ghcr.io one");
        assert_eq!(origin("quay.io/o/r"), None);
        assert_eq!(names.upstreams().len(), 2);
    }
}
