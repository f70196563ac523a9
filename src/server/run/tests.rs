//! Listeners on real sockets. Every wait has a bound; none is there to let something happen first.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{BindError, Drained, Listeners, ServeError};
use crate::server::testkit::{Client, Script, field};
use crate::server::{Body, DoorLimits, End, Peer, Place};

const LONG: Duration = Duration::from_secs(20);

/// The future's value, which must come soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("it takes too long")
}

/// Listeners at work.
struct Running {
    addresses: Vec<SocketAddr>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<Drained, ServeError>>,
}

impl Running {
    fn start(handlers: &[&Arc<Script>], limits: DoorLimits, grace: Duration) -> Self {
        let mut listeners = Listeners::default();
        for handler in handlers {
            listeners.add(local(), Arc::clone(handler), limits).unwrap();
        }
        let addresses = listeners.addresses().collect();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { stopped.await.unwrap() };
        let served =
            tokio::spawn(listeners.serve(stopped, async move { tokio::time::sleep(grace).await }));
        Self {
            addresses,
            stop,
            served,
        }
    }

    async fn client(&self) -> Client<TcpStream> {
        Client(soon(TcpStream::connect(self.addresses[0])).await.unwrap())
    }

    /// Asks for the end, without waiting for it.
    fn stop(self) -> JoinHandle<Result<Drained, ServeError>> {
        self.stop.send(()).unwrap();
        self.served
    }
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn one_door(handler: &Arc<Script>) -> Running {
    Running::start(&[handler], DoorLimits::default(), LONG)
}

/// A handler that lets requests pass one permit at a time, and says when each has come.
fn gated() -> (
    Arc<Script>,
    crate::server::testkit::Reports,
    Arc<Semaphore>,
    Arc<Semaphore>,
) {
    let (come, pass) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (coming, passing) = (Arc::clone(&come), Arc::clone(&pass));
    let (handler, reports) = Script::new(move |_| {
        let passing = Arc::clone(&passing);
        coming.add_permits(1);
        async move {
            passing.acquire().await.unwrap().forget();
            Response::new(Body::from(b"passed".to_vec()))
        }
    });
    (handler, reports, come, pass)
}

#[tokio::test]
async fn each_listener_has_its_own_handler() {
    let named = |name: &'static str| {
        Script::always(move || Response::new(Body::from(name.as_bytes().to_vec()))).0
    };
    let (left, right) = (named("left"), named("right"));
    let running = Running::start(&[&left, &right], DoorLimits::default(), LONG);
    for (address, name) in running.addresses.iter().zip(["left", "right"]) {
        assert_ne!(address.port(), 0);
        let mut client = Client(soon(TcpStream::connect(address)).await.unwrap());
        client.get("/").await;
        assert_eq!(soon(client.answer()).await.1, name);
    }
    assert_eq!(soon(running.stop()).await.unwrap().unwrap(), Drained::Whole);
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_with_its_address() {
    let (handler, _reports) = Script::echo();
    let mut listeners = Listeners::default();
    let limits = DoorLimits::default();
    let taken = listeners
        .add(local(), Arc::clone(&handler), limits)
        .unwrap();
    let BindError { place, source } = listeners.add(taken, handler, limits).unwrap_err();
    assert_eq!(place, Place::Address(taken));
    assert_eq!(source.kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn the_handler_sees_the_address_of_the_client() {
    let (handler, _reports) = Script::new(|request| async move {
        let Peer(address) = request.extensions().get().unwrap();
        Response::new(address.to_string().into_bytes().into())
    });
    let running = one_door(&handler);
    let mut client = running.client().await;
    client.get("/").await;
    let seen = soon(client.answer()).await.1;
    assert_eq!(seen, client.0.local_addr().unwrap().to_string());
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let (handler, _reports) = Script::echo();
    let limits = DoorLimits {
        connections: 1,
        ..DoorLimits::default()
    };
    let running = Running::start(&[&handler], limits, LONG);
    let mut first = running.client().await;
    first.get("/").await;
    soon(first.answer()).await;

    let mut second = running.client().await;
    let answer = soon(second.rest()).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(field(&answer, "connection"), Some("close"));
    assert!(answer.ends_with("refused: Crowded"), "{answer}");

    // The first is none the worse for it, and its seat is free when it leaves.
    first
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(soon(first.rest()).await.ends_with("GET / a"));
    drop(first);
    let free = async {
        loop {
            let mut third = running.client().await;
            third.get("/").await;
            if third.answer().await.0.starts_with("HTTP/1.1 200 ") {
                return;
            }
        }
    };
    soon(free).await;
}

#[tokio::test]
async fn a_client_that_aborts_is_noticed() {
    let size = 64 << 20;
    let (handler, mut reports) = Script::always(move || Response::new(vec![0; size].into()));
    let running = one_door(&handler);
    let mut client = running.client().await;
    client.get("/").await;
    soon(client.head()).await;
    client.0.read_exact(&mut [0; 1000]).await.unwrap();
    drop(client);
    let (_, sent) = soon(reports.recv()).await.unwrap();
    assert!(
        sent.end == End::Left && sent.bytes < size as u64,
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_stop_lets_requests_end_and_takes_no_more() {
    let (handler, mut reports, come, pass) = gated();
    let running = one_door(&handler);
    let mut idle = running.client().await;
    idle.get("/").await;
    pass.add_permits(1);
    soon(idle.answer()).await;
    let mut busy = running.client().await;
    busy.get("/").await;
    soon(come.acquire_many(2)).await.unwrap().forget();

    let address = running.addresses[0];
    let mut served = running.stop();
    assert_eq!(soon(idle.rest()).await, "");
    assert!(!served.is_finished());
    // The idle connection was told, so the listener is gone or about to go.
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    soon(refused).await;

    pass.add_permits(1);
    let answer = soon(busy.rest()).await;
    assert!(answer.ends_with("passed"), "{answer}");
    assert_eq!(field(&answer, "connection"), Some("close"));
    drop(busy);
    assert_eq!(soon(&mut served).await.unwrap().unwrap(), Drained::Whole);
    for _ in 0..2 {
        assert_eq!(reports.try_recv().unwrap().1.end, End::Whole);
    }
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_cut() {
    let size = 64 << 20;
    let (handler, mut reports) = Script::always(move || Response::new(vec![0; size].into()));
    let running = Running::start(&[&handler], DoorLimits::default(), Duration::ZERO);
    let mut client = running.client().await;
    client.get("/").await;
    soon(client.head()).await;
    assert_eq!(
        soon(running.stop()).await.unwrap().unwrap(),
        Drained::CutShort
    );
    // The handler has heard of it before the listeners say they are done.
    assert_eq!(reports.try_recv().unwrap().1.end, End::Left);
}

#[tokio::test]
async fn large_answers_arrive_whole_for_many_clients_at_once() {
    let (handler, mut reports) = Script::always(|| Response::new(vec![7; 3 << 20].into()));
    let running = one_door(&handler);
    let pulls = (0..16).map(|_| async {
        let mut client = running.client().await;
        client.get("/").await;
        let head = client.head().await;
        assert_eq!(field(&head, "content-length"), Some("3145728"));
        let mut body = vec![0; 3 << 20];
        client.0.read_exact(&mut body).await.unwrap();
        assert!(body.iter().all(|byte| *byte == 7));
    });
    soon(futures_util::future::join_all(pulls)).await;
    for _ in 0..16 {
        assert_eq!(soon(reports.recv()).await.unwrap().1.end, End::Whole);
    }
}
