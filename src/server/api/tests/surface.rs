//! An API that is asked without a socket.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode};

use crate::mirror::testkit::{House, noise, origin};
use crate::oci::Digest;
use crate::server::api::RegistryApi;
use crate::server::{Body, Handler, Namespaces, ServerMetrics};
use crate::store::MemoryStore;

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
        let hub = || Arc::<str>::from("docker.io");
        let names = ["docker.io", "index.docker.io"].map(|name| (name.to_owned(), hub()));
        let metrics = ServerMetrics::new(&prometheus::Registry::new()).unwrap();
        let namespaces = Namespaces::new(names, Some(hub())).with_private(private.map(Arc::from));
        let mirror = Arc::clone(&house.mirror);
        let api = Arc::new(RegistryApi::new(mirror, namespaces, metrics, WITHIN));
        Self { house, api }
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (response, _) = self.api.handle(request.body(()).unwrap()).await;
        read(response).await
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
