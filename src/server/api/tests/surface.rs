//! An API that is asked without a socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode};
use tokio::runtime::Handle;

use crate::mirror::testkit::{HandClock, House, noise, origin, policy, tag_policy};
use crate::mirror::{
    AccessPolicy, GarbagePolicy, Mirror, MirrorMetrics, Parts, TagPolicies, Upstream,
};
use crate::oci::{Digest, RepositoryRules};
use crate::server::api::{ApiPolicy, RegistryApi};
use crate::server::{
    Access, AccessParts, Body, Handler, Namespaces, RateLimited, Served, ServerMetrics,
};
use crate::store::MemoryStore;
use crate::upstream::Registry;

/// How long the engine may take.
pub(super) const WITHIN: Duration = Duration::from_secs(25);

/// An API over an engine with one scripted upstream.
pub(super) struct Surface {
    pub(super) house: House,
    pub(super) api: Arc<RegistryApi>,
}

impl Surface {
    pub(super) fn new() -> Self {
        Self::with_private([])
    }

    /// One whose upstreams of these names are asked with an account.
    pub(super) fn with_private<const N: usize>(private: [&str; N]) -> Self {
        let house = House::over(Arc::new(MemoryStore::default()));
        let mirror = Arc::clone(&house.mirror);
        let limited = RateLimited::Unavailable;
        let api = api_over(mirror, limited, private.map(Arc::from).to_vec());
        Self { house, api }
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        ask(&self.api, method, target, fields).await
    }

    /// A tag `1` of `library/a`, its manifest, and a blob that upstream gives out once.
    pub(super) fn stock(&self) -> (Digest, Digest) {
        let bytes = noise(300_000);
        let blob = Digest::sha256_of(&bytes);
        self.house.upstream.serves(&bytes);
        self.house
            .upstream
            .has_blob(&origin("library/a"), &blob, 300_000);
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
             \"config\":{{\"digest\":\"{blob}\",\"size\":300000}},\"layers\":[]}}"
        );
        let manifest = self.house.upstream.tag("1", manifest.as_bytes());
        (manifest, blob)
    }
}

/// An API over an engine whose one upstream, `docker.io`, is `registry`.
pub(super) fn api_of(registry: Arc<dyn Registry>, limited: RateLimited) -> Arc<RegistryApi> {
    let mirror = engine_with(registry, RepositoryRules::default());
    api_over(mirror, limited, Vec::new())
}

/// An engine whose one upstream, `docker.io`, is `registry`.
pub(super) fn engine_with(
    registry: Arc<dyn Registry>,
    repositories: RepositoryRules,
) -> Arc<Mirror> {
    let upstream = Upstream {
        registry,
        tags: TagPolicies::all(tag_policy()),
        downloads: 4,
        repositories,
        eager_downloads: 0,
        connections_per_blob: 1,
    };
    Mirror::new(Parts {
        access: AccessPolicy::default(),
        garbage: GarbagePolicy::default(),
        upstreams: HashMap::from([(Arc::from("docker.io"), upstream)]),
        fills: policy(),
        store: Arc::new(MemoryStore::default()),
        clock: Arc::new(HandClock::default()),
        fetch_runtime: Handle::current(),
        metrics: MirrorMetrics::new(&prometheus::Registry::new()).unwrap(),
    })
}

/// An API over `mirror`, which knows `docker.io`, with those of its upstreams that are asked with an account.
pub(super) fn api_over(
    mirror: Arc<Mirror>,
    rate_limited: RateLimited,
    private: Vec<Arc<str>>,
) -> Arc<RegistryApi> {
    let hub = || Arc::<str>::from("docker.io");
    let names = ["docker.io", "index.docker.io"].map(|name| (name.to_owned(), hub()));
    let hosts = [("hub.mirror.test".to_owned(), hub())];
    let served = private.into_iter().map(|it| (it, Served::AsTheMirror));
    let namespaces = Namespaces::new(names, Some(hub()))
        .with_hosts(hosts)
        .with_served(served);
    let access = Access::new(AccessParts {
        registries: HashMap::new(),
        fetch_runtime: Handle::current(),
        clock: Arc::new(HandClock::default()),
        external_url: None,
    });
    let metrics = ServerMetrics::new(&prometheus::Registry::new()).unwrap();
    let policy = ApiPolicy {
        answer_within: WITHIN,
        rate_limited,
    };
    Arc::new(RegistryApi::new(
        mirror, namespaces, access, metrics, policy,
    ))
}

/// One request and its answer.
pub(super) async fn ask(
    api: &RegistryApi,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (response, _) = api.handle(request.body(()).unwrap()).await;
    read(response).await
}

async fn read(response: Response<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let (head, body) = response.into_parts();
    let bytes = match body {
        Body::Parts(..) => panic!("parts are read through the door"),
        Body::Empty => Vec::new(),
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::Content(content, range) => {
            let all = content
                .source()
                .read_all(usize::try_from(content.size()).unwrap())
                .unwrap();
            all[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
        }
        Body::Follow(mut follower) => {
            let mut bytes = Vec::new();
            while let Some(chunk) = follower.next(100_000).await.unwrap() {
                bytes.extend_from_slice(&chunk);
            }
            bytes
        }
    };
    (head.status, head.headers, bytes)
}
