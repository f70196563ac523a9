//! The operator's API, asked without a socket.

mod api;
mod description;
mod doors;
mod ready;

use http::request::Builder;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::mirror::Names;
use crate::mirror::testkit::{House, house};
use crate::mirror::warm::WarmMetrics;

/// An API over an engine with one scripted upstream.
struct Side {
    house: House,
    api: AdminApi,
    ending: watch::Sender<bool>,
}

impl Side {
    fn new(token: Option<&str>) -> Self {
        Self::of(house(), token, false)
    }

    fn of(house: House, token: Option<&str>, offline: bool) -> Self {
        let ending = watch::Sender::new(false);
        let metrics = Registry::new();
        declare_process(&metrics).unwrap();
        let api = AdminApi::new(AdminParts {
            mirror: Arc::clone(&house.mirror),
            warmer: Arc::new(Warmer::new(
                Arc::clone(&house.mirror),
                Names::new([("docker.io".to_owned(), "docker.io".into())]),
                tokio::runtime::Handle::current(),
                WarmMetrics::new(&metrics).unwrap(),
            )),
            metrics,
            offline,
            ending: ending.subscribe(),
            token: token.map(str::to_owned),
            upstreams: vec![Declared {
                name: "docker.io".into(),
                aliases: Vec::new(),
                is_default: true,
                host: "registry-1.docker.io".to_owned(),
            }],
        });
        Self { house, api, ending }
    }

    /// What a program on this machine is answered.
    async fn ask(&self, method: &str, target: &str) -> (StatusCode, Value) {
        let response = self.send(request(method, target), "127.0.0.1").await;
        let text = response.body();
        let value = serde_json::from_slice(text);
        let value = value.unwrap_or_else(|_| String::from_utf8_lossy(text).into_owned().into());
        (response.status(), value)
    }

    async fn send(&self, request: Builder, peer: &str) -> Response<Bytes> {
        let (request, ()) = request.body(()).unwrap().into_parts();
        let way = Way::Network(Some(peer.parse().unwrap()));
        self.api.answer(&request, way).await
    }
}

fn request(method: &str, target: &str) -> Builder {
    let request = Request::builder().method(method).uri(target);
    request.header("host", "127.0.0.1:5001")
}
