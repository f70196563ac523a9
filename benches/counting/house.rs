//! A mirror with something to hit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry as MetricRegistry;
use roadstead::mirror::{
    AccessPolicy, FillPolicy, GarbagePolicy, Measures, Mirror, MirrorMetrics, Parts, SystemClock,
    TagPolicies, TagPolicy, Upstream,
};
use roadstead::oci::{Digest, RepositoryRules, Verifier};
use roadstead::server::{
    Access, AccessParts, ApiPolicy, Namespaces, RateLimited, RegistryApi, ServerMetrics,
};
use roadstead::store::{Catalog, Contents, DiskStore, Link, Origin, Role};
use roadstead::upstream::OfflineRegistry;
use tokio::runtime::Handle;

use crate::Result;

fn origin() -> Result<Origin> {
    Ok(Origin {
        upstream: Arc::from("docker.io"),
        repository: "library/alpine".parse()?,
    })
}

/// Puts bytes into the store, as what `library/alpine` has shown.
pub(crate) fn keep(store: &DiskStore, bytes: &[u8], role: Role) -> Result<Digest> {
    let digest = Digest::sha256_of(bytes);
    let partial = store.begin(&digest)?.partial;
    partial.write_at(0, bytes)?;
    let verified = Verifier::verify(&digest, bytes).ok_or("a digest of no known kind")?;
    partial.commit(&verified.map_err(|_| "a digest that does not match")?)?;
    let link = Link {
        origin: origin()?,
        digest: digest.clone(),
        role,
    };
    store.link(&[link])?;
    Ok(digest)
}

/// A manifest of two KiB.
pub(crate) fn manifest() -> String {
    let layer = |n: u64| {
        let digest = Digest::sha256_of(&n.to_le_bytes());
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{digest}","size":123456}}"#
        )
    };
    let layers: Vec<_> = (0..11).map(layer).collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
        layer(99),
        layers.join(",")
    )
}

/// The API over `store`, with one upstream that is never asked.
pub(crate) fn api(store: Arc<DiskStore>, runtime: &Handle) -> Result<RegistryApi> {
    let metrics = MetricRegistry::new();
    let name = Arc::<str>::from("docker.io");
    let policy = TagPolicy {
        ttl: Duration::from_hours(1),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        negative_ttl: Duration::ZERO,
        is_immutable: false,
    };
    let upstream = Upstream {
        registry: Arc::new(OfflineRegistry::new(&*name)),
        repositories: RepositoryRules::default(),
        tags: TagPolicies::all(policy),
        downloads: 4,
        eager_downloads: 0,
        connections_per_blob: 1,
    };
    let answer_within = Duration::from_secs(25);
    let mirror = Mirror::new(Parts {
        upstreams: HashMap::from([(Arc::clone(&name), upstream)]),
        store,
        clock: Arc::new(SystemClock),
        fills: FillPolicy {
            finish: true,
            finish_share: 0.5,
            answer_within,
            max_age: Duration::MAX,
            max_bytes: u64::MAX,
            measures: Measures::default(),
        },
        garbage: GarbagePolicy::default(),
        access: AccessPolicy::default(),
        fetch_runtime: runtime.clone(),
        metrics: MirrorMetrics::new(&metrics)?,
    });
    let access = Access::new(AccessParts {
        registries: HashMap::new(),
        fetch_runtime: runtime.clone(),
        clock: Arc::new(SystemClock),
        external_url: None,
    });
    Ok(RegistryApi::new(
        mirror,
        Namespaces::new([], Some(Arc::clone(&name))),
        access,
        ServerMetrics::new(&metrics)?.with_upstreams([&*name]),
        ApiPolicy {
            answer_within,
            rate_limited: RateLimited::Unavailable,
        },
    ))
}
