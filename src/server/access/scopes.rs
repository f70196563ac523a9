//! From the rights that clients ask for, under the names that they know, to an upstream's own. Pure.
//!
//! A client writes the name that it used (`ghcr.io/o/r`, when it says the upstream in front) or the one that it means
//! (`o/r`): both are taken, and what a token opens is decided by the path of the later request, never by this text.

use std::sync::Arc;

use super::Served;
use crate::oci::Repository;
use crate::server::route::{Namespaces, in_full};

/// Rights to be asked of one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Wanted {
    /// The upstream's own name.
    pub(in crate::server) upstream: Arc<str>,
    /// The rights in its words.
    pub(in crate::server) scopes: Vec<String>,
}

/// No upstream that clients are served as themselves by is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no upstream is named that tokens are given out for")]
pub(in crate::server) struct NoTokens;

impl Wanted {
    /// Finds out whom the scopes are meant for: the upstream in front of a name, else the one that the service names, else
    /// the one that a request to `host` without any name means. Of others nothing is asked: a token is for one.
    ///
    /// # Errors
    /// When it gives out no tokens here.
    pub(in crate::server) fn of<'a>(
        scopes: impl Iterator<Item = &'a str> + Clone,
        service: Option<&str>,
        host: Option<&str>,
        namespaces: &Namespaces,
    ) -> Result<Self, NoTokens> {
        let prefixed = |scope| namespaces.prefixed(Scope::parse(scope)?.name);
        let upstream = scopes
            .clone()
            .find_map(|scope| prefixed(scope).map(|(upstream, _)| upstream))
            .or_else(|| namespaces.spoken(service?))
            .or_else(|| namespaces.unnamed(host))
            .filter(|it| matches!(namespaces.served(it), Served::AsThemselves(_)))
            .ok_or(NoTokens)?;
        let scopes = scopes.filter_map(|text| {
            let scope = Scope::parse(text)?;
            match (scope.kind, namespaces.prefixed(scope.name)) {
                ("registry", _) => Some(text.to_owned()),
                (_, Some((named, _))) if named != upstream => None,
                (kind, prefixed) => {
                    let name = prefixed.map_or(scope.name, |(_, name)| name);
                    let name = in_full(&upstream, name.parse::<Repository>().ok()?);
                    let pulls = |action| matches!(action, "pull" | "*");
                    let is_pull = scope.actions.split(',').any(pulls);
                    is_pull.then(|| format!("{kind}:{name}:pull"))
                }
            }
        });
        let scopes = scopes.collect();
        Ok(Self { upstream, scopes })
    }
}

/// `type:name:actions` (Docker token specification, "scope"). A name may have a colon (`host:port/a`), so the last one
/// counts.
struct Scope<'a> {
    kind: &'a str,
    name: &'a str,
    actions: &'a str,
}

impl<'a> Scope<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let known = matches!(kind, "repository" | "registry") || kind.starts_with("repository(");
        known.then_some(Self {
            kind,
            name,
            actions,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::server::access::TokenRealm;

    fn namespaces(default: Option<&str>) -> Namespaces {
        let names = ["docker.io", "ghcr.io", "reg:5000", "open.example"];
        let names = names.map(|name| (name.to_owned(), Arc::from(name)));
        let themselves = Served::AsThemselves(TokenRealm::Mirror);
        let served = ["docker.io", "ghcr.io", "reg:5000"].map(|it| (Arc::from(it), themselves));
        Namespaces::new(names, default.map(Arc::from)).with_served(served)
    }

    fn wanted(scopes: &[&str], service: &str) -> Option<(String, Vec<String>)> {
        let namespaces = namespaces(Some("docker.io"));
        let wanted = Wanted::of(scopes.iter().copied(), Some(service), None, &namespaces);
        let wanted = wanted.ok()?;
        Some((wanted.upstream.to_string(), wanted.scopes))
    }

    #[test]
    fn item_64_a_scope_is_taken_with_and_without_the_prefix() {
        for (scope, service, upstream, asked) in [
            (
                "repository:ghcr.io/o/r:pull",
                "docker.io",
                "ghcr.io",
                "repository:o/r:pull",
            ),
            (
                "repository:o/r:pull",
                "ghcr.io",
                "ghcr.io",
                "repository:o/r:pull",
            ),
            (
                "repository:o/r:pull",
                "?",
                "docker.io",
                "repository:o/r:pull",
            ),
            (
                "repository:alpine:pull",
                "docker.io",
                "docker.io",
                "repository:library/alpine:pull",
            ),
            (
                "repository:docker.io/alpine:pull,push",
                "",
                "docker.io",
                "repository:library/alpine:pull",
            ),
            (
                "repository:reg:5000/a/b:*",
                "",
                "reg:5000",
                "repository:a/b:pull",
            ),
            (
                "registry:catalog:*",
                "ghcr.io",
                "ghcr.io",
                "registry:catalog:*",
            ),
        ] {
            let expected = Some((upstream.to_owned(), vec![asked.to_owned()]));
            assert_eq!(wanted(&[scope], service), expected, "{scope}");
        }
    }

    #[test]
    fn what_cannot_be_granted_is_left_out() {
        for scope in [
            "repository:o/r:push",
            "repository:A:pull",
            "",
            "x",
            "a:b",
            "job:x:pull",
        ] {
            let nothing = Some(("ghcr.io".to_owned(), Vec::new()));
            assert_eq!(wanted(&[scope], "ghcr.io"), nothing, "{scope:?}");
        }
        let mixed = ["repository:o/r:pull", "repository:docker.io/a/b:pull"];
        let (upstream, scopes) = wanted(&mixed, "ghcr.io").unwrap();
        // The one in front is meant for certain; the other may be either's.
        assert_eq!(upstream, "docker.io");
        assert_eq!(scopes, ["repository:o/r:pull", "repository:a/b:pull"]);
        let both = [
            "repository:ghcr.io/o/r:pull",
            "repository:docker.io/a/b:pull",
        ];
        assert_eq!(wanted(&both, "").unwrap().1, ["repository:o/r:pull"]);
    }

    #[test]
    fn only_some_upstreams_have_tokens() {
        assert_eq!(wanted(&[], "open.example"), None);
        assert_eq!(wanted(&["repository:open.example/a:pull"], "ghcr.io"), None);
        let nobody = namespaces(None);
        let no_scopes = std::iter::empty();
        assert!(Wanted::of(no_scopes, None, None, &nobody).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(scope in "\\PC{0,40}", service in "\\PC{0,10}") {
            for scope in wanted(&[&scope], &service).into_iter().flat_map(|it| it.1) {
                prop_assert!(scope.starts_with("repo") || scope.starts_with("registry:"));
            }
        }
    }
}
