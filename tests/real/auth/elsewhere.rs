//! What a client shows to one upstream, and who hears of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{ALICE, get_as, token};
use crate::support::mirror::Plan;
use crate::support::registry::Access;
use crate::support::token::basic;
use crate::support::upstream::Upstream;
use crate::support::wire::Head;

#[tokio::test]
async fn items_63_68_what_is_not_for_an_upstream_never_reaches_it() {
    let upstream = Upstream::start(Access::Bearer).await;
    upstream
        .registry
        .tokens()
        .knows(ALICE.0, ALICE.1, &["secret/a"]);
    let image = super::push(&upstream, "secret/a", 7).await;
    // Another upstream that notes what it is shown, and one whose clients are all served as nobody.
    let (other, open) = (Listener::start().await, Listener::start().await);
    let others = format!(
        "[upstreams.\"b.example\"]\nurl = \"http://{}\"\n[upstreams.\"b.example\".auth]\nmode = \"client\"\n\
         [upstreams.\"c.example\"]\nurl = \"http://{}\"\n",
        other.address, open.address
    );
    let plan = Plan::of(&upstream.tap)
        .serving_clients("mirror")
        .and(&others);
    let mirror = plan.start().await;
    let alice = token(&mirror, Some(ALICE), image.repository).await;
    let by_basic = basic(ALICE.0, ALICE.1);
    for shown in [&*alice, &by_basic, "Bearer t0p-s3cret"] {
        for ns in ["b.example", "c.example"] {
            let target = format!("/v2/{}/manifests/1?ns={ns}", image.repository);
            let answer = get_as(mirror.address, &target, Some(shown)).await;
            assert!(answer.status() >= 400, "{ns}: {}", answer.status());
        }
    }
    let (other, open) = (other.heard(), open.heard());
    assert!(!open.is_empty(), "it was asked, as nobody");
    for head in other.iter().chain(&open) {
        assert_eq!(head.field("authorization"), None, "{head:?}");
    }
}

/// An upstream that has nothing and asks for nothing, and remembers what it heard.
struct Listener {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Head>>>,
    listening: JoinHandle<()>,
}

impl Listener {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<Head>>>::default();
        let book = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let Ok(Some(request)) = Head::read(&mut stream).await else {
                    continue;
                };
                let status = if request.word(1) == "/v2/" { 200 } else { 404 };
                book.lock().unwrap().push(request);
                let answer = format!(
                    "HTTP/1.1 {status} Heard\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            address,
            heard,
            listening,
        }
    }

    fn heard(&self) -> Vec<Head> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
