//! TLS on real sockets: what is shown, what is asked for, and what is replaced under load.
#![allow(clippy::unwrap_used)]

mod hostile;
mod http2;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::Response;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::server::testkit::{Client, Script};
use crate::server::{Body, DoorLimits, Entry, Listeners, Place, Refusal};

const LONG: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("it takes too long")
}

/// One who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for localhost.
    fn sign(&self) -> (Vec<CertificateDer<'static>>, Arc<PrivateKeyDer<'static>>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![signed.der().clone()], Arc::new(key))
    }

    fn certificates(&self, client_roots: Option<Vec<CertificateDer<'static>>>) -> Certificates {
        let (chain, key) = self.sign();
        Certificates {
            chain,
            key,
            client_roots,
        }
    }

    /// A client that believes this authority, and may show a certificate of another.
    fn client(&self, shown: Option<&Self>, protocols: &[&[u8]]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.root()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shown.map(Self::sign) {
            Some((chain, key)) => config
                .with_client_auth_cert(chain, key.clone_key())
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// What a listener is to show, replaced at will.
fn source(first: Certificates) -> (CertificateSource, Arc<Mutex<Result<Certificates, String>>>) {
    let shown = Arc::new(Mutex::new(Ok(first)));
    let given = Arc::clone(&shown);
    (Box::new(move || given.lock().clone()), shown)
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(handler: &Arc<Script>, terms: &Arc<TlsTerms>, limits: DoorLimits) -> Self {
        let mut listeners = Listeners::default();
        let entry = Entry::open(&limits).encrypted(Arc::clone(terms));
        let place = Place::Address(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = listeners
            .add_behind(&place, Arc::clone(handler), limits, entry)
            .unwrap()
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap() };
            let drained = listeners.serve(stopped, std::future::pending()).await;
            drained.unwrap();
        });
        Self {
            address,
            stop,
            served,
        }
    }

    async fn connect(&self, tls: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
        let plain = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        soon(tls.connect(name, plain)).await
    }
}

/// The answer to one GET in HTTP/1.1, or why there is none.
async fn ask(running: &Running, tls: &TlsConnector) -> io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = running.connect(tls).await?;
    let request = "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await?;
    Ok(answer)
}

#[tokio::test]
async fn requests_are_served_over_tls_on_one_connection() {
    let authority = Authority::new();
    let terms = TlsTerms::new("a", source(authority.certificates(None)).0).unwrap();
    let (handler, _reports) = Script::new(|request| async move {
        assert!(request.extensions().get::<crate::server::Peer>().is_some());
        Response::new(vec![b'x'; 3 << 20].into())
    });
    let running = Running::start(&handler, &terms, DoorLimits::default());
    for protocols in [&[][..], &[&b"http/1.1"[..]]] {
        let stream = running.connect(&authority.client(None, protocols)).await;
        let mut client = Client(stream.unwrap());
        for _ in 0..3 {
            client.get("/").await;
            let (head, body) = soon(client.answer()).await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert!(body.len() == 3 << 20 && body.bytes().all(|byte| byte == b'x'));
        }
    }
    running.stop.send(()).unwrap();
    soon(running.served).await.unwrap();
}

#[tokio::test]
async fn clients_must_show_a_certificate_where_one_is_asked_for() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let shown = authority.certificates(Some(vec![clients.root()]));
    let terms = TlsTerms::new("a", source(shown).0).unwrap();
    let (handler, _reports) = Script::echo();
    let running = Running::start(&handler, &terms, DoorLimits::default());
    let with = |shown| authority.client(shown, &[]);
    let answer = ask(&running, &with(Some(&clients))).await.unwrap();
    assert!(answer.ends_with("GET /v2/ localhost"), "{answer}");
    for refused in [None, Some(&strangers)] {
        ask(&running, &with(refused)).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let (old, new) = (Authority::new(), Authority::new());
    let (source, shown) = source(old.certificates(None));
    let terms = TlsTerms::new("a", source).unwrap();
    let (handler, _reports) = Script::echo();
    let running = Arc::new(Running::start(&handler, &terms, DoorLimits::default()));
    // Clients that believe both, as they do while a certificate is replaced.
    let mut roots = RootCertStore::empty();
    roots.add(old.root()).unwrap();
    roots.add(new.root()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let both = TlsConnector::from(Arc::new(config));

    let (over, _) = tokio::sync::watch::channel(false);
    let pulling: Vec<_> = (0..4)
        .map(|_| {
            let (running, both, over) = (Arc::clone(&running), both.clone(), over.subscribe());
            tokio::spawn(async move {
                let mut asked = 0;
                while !*over.borrow() {
                    let answer = ask(&running, &both).await.unwrap();
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    // One that is connected keeps what it has.
    let mut kept = Client(running.connect(&old.client(None, &[])).await.unwrap());
    kept.get("/").await;
    soon(kept.answer()).await;

    for turn in 0..20 {
        let now = if turn % 2 == 0 { &new } else { &old };
        *shown.lock() = Ok(now.certificates(None));
        assert_eq!(terms.renew(), Renewal::Renewed);
        ask(&running, &now.client(None, &[])).await.unwrap();
        // What cannot be used is not used.
        let (chain, _) = now.sign();
        let (_, key) = now.sign();
        let torn = Certificates {
            chain,
            key,
            client_roots: None,
        };
        for bad in [Ok(torn), Err("gone".to_owned())] {
            *shown.lock() = bad;
            assert!(matches!(terms.renew(), Renewal::Kept(_)));
        }
        ask(&running, &now.client(None, &[])).await.unwrap();
    }
    over.send_replace(true);
    for pulled in pulling {
        assert!(soon(pulled).await.unwrap() > 0);
    }
    kept.get("/").await;
    soon(kept.answer()).await;
    ask(&running, &new.client(None, &[])).await.unwrap_err();
}

#[tokio::test]
async fn who_begins_no_handshake_is_let_go_of_in_time() {
    let authority = Authority::new();
    let terms = TlsTerms::new("a", source(authority.certificates(None)).0).unwrap();
    let (handler, _reports) = Script::echo();
    let limits = DoorLimits {
        header_deadline: Duration::from_millis(200),
        ..DoorLimits::default()
    };
    let running = Running::start(&handler, &terms, limits);
    for said in ["", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\x02"] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut plain = TcpStream::connect(running.address).await.unwrap();
        plain.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = soon(plain.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"), "{said:?}: {answer:?}");
    }
}

#[test]
fn what_is_shown_is_never_printed() {
    let shown = Authority::new().certificates(None);
    let printed = format!("{shown:?}");
    assert!(!printed.to_lowercase().contains("key"), "{printed}");
}
