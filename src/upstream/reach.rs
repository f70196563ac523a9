//! Which addresses we connect to, checked where names become addresses.
//!
//! A check before the look-up would be worth nothing: the name may mean something else a moment
//! later. So the check sits in the resolver that the connection itself uses.
//!
//! There are two resolvers. Names that the owner of the mirror wrote down (the upstream itself,
//! listed token realms) resolve as they do. Names that came from an answer (redirect targets,
//! other realms) do not lead to private addresses, unless that is allowed; and where the owner
//! says nothing, it is allowed exactly when the upstream stands on a private address itself.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::address::{is_public, literal};

/// A name that leads only to private addresses, where those are not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only private addresses")]
pub(super) struct OnlyPrivate;

/// What may be reached from one upstream. Clones share what was learnt.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    policy: Option<bool>,
    upstream: Arc<str>,
    /// The upstream's own address was private when it was last looked up.
    inside: Arc<AtomicBool>,
}

impl Reach {
    pub(super) fn new(policy: Option<bool>, upstream: &Url) -> Self {
        let inside = literal(upstream).is_some_and(|address| !is_public(address));
        Self {
            policy,
            upstream: upstream.host_str().unwrap_or_default().into(),
            inside: Arc::new(AtomicBool::new(inside)),
        }
    }

    /// Whether an address that a foreign name leads to may be connected to.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || self.policy.unwrap_or(self.inside.load(Ordering::Relaxed))
    }

    /// The resolver for names that the owner wrote down. It learns where the upstream stands.
    pub(super) fn declared(&self) -> impl Resolve + 'static {
        Declared(self.clone())
    }

    /// The resolver for names that came from an answer.
    pub(super) fn foreign(&self) -> impl Resolve + 'static {
        Foreign(self.clone())
    }
}

struct Declared(Reach);

impl Resolve for Declared {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let found = look_up(&name).await?;
            if name.as_str() == &*reach.upstream {
                let inside = found.iter().all(|address| !is_public(address.ip()));
                reach.inside.store(inside, Ordering::Relaxed);
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

struct Foreign(Reach);

impl Resolve for Foreign {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let mut found = look_up(&name).await?;
            found.retain(|address| reach.allows(address.ip()));
            if found.is_empty() {
                return Err(OnlyPrivate.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Looks a name up, to at least one address. The port is set by who connects.
async fn look_up(name: &Name) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PRIVATE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn reach(policy: Option<bool>, upstream: &str) -> Reach {
        Reach::new(policy, &Url::parse(upstream).unwrap())
    }

    fn localhost() -> Name {
        "localhost".parse().unwrap()
    }

    #[test]
    fn a_private_upstream_may_lead_to_private_addresses() {
        assert!(reach(None, "http://127.0.0.1:5000").allows(PRIVATE));
        assert!(!reach(None, "https://1.1.1.1").allows(PRIVATE));
        assert!(!reach(None, "https://registry-1.docker.io").allows(PRIVATE));
    }

    #[test]
    fn the_owner_has_the_last_word() {
        assert!(!reach(Some(false), "http://127.0.0.1:5000").allows(PRIVATE));
        assert!(reach(Some(true), "https://1.1.1.1").allows(PRIVATE));
        assert!(reach(Some(false), "https://a.example").allows("1.1.1.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn item_77_incident_13_a_foreign_name_for_a_private_address_is_not_resolved() {
        let reach = reach(None, "https://registry-1.docker.io");
        let error = reach.foreign().resolve(localhost()).await.err().unwrap();
        assert!(error.is::<OnlyPrivate>());
    }

    #[tokio::test]
    async fn looking_up_the_upstream_shows_where_it_stands() {
        let reach = reach(None, "http://localhost:5000");
        assert!(!reach.allows(PRIVATE));
        drop(reach.declared().resolve(localhost()).await.unwrap());
        assert!(reach.allows(PRIVATE));
        drop(reach.foreign().resolve(localhost()).await.unwrap());
    }

    #[tokio::test]
    async fn looking_up_a_listed_realm_shows_nothing_of_the_upstream() {
        let reach = reach(None, "https://registry.example");
        drop(reach.declared().resolve(localhost()).await.unwrap());
        assert!(!reach.allows(PRIVATE));
    }
}
