//! Real handshakes, and a proxy in between.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::*;
use crate::upstream::client::Clients;
use crate::upstream::reach::Reach;
use crate::upstream::{Egress, Settings};

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

    fn sign(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![signed.der().clone()], key)
    }
}

/// A registry of few words over TLS, which may ask for certificates of `clients`.
async fn registry(authority: &Authority, clients: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.root()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => config.with_no_client_auth(),
    };
    let (chain, key) = authority.sign();
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (plain, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = TlsAcceptor::from(Arc::clone(&config)).accept(plain).await else {
                continue;
            };
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok() {
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

/// Whether a client with this trust gets an answer: as the upstream itself, and as what came from an answer.
async fn answered(address: SocketAddr, trust: Trust) -> (bool, bool) {
    let url = Url::parse(&format!("https://localhost:{}/", address.port())).unwrap();
    let settings = Settings {
        trust,
        ..Settings::new("a", url.clone())
    };
    let clients = Clients::new(&Reach::new(Some(true), &url), &settings).unwrap();
    let ask = |client: &reqwest::Client| client.get(url.clone()).send();
    (
        ask(&clients.declared).await.is_ok(),
        ask(&clients.foreign).await.is_ok(),
    )
}

#[tokio::test]
async fn an_upstream_is_believed_by_its_own_roots_or_by_nobody() {
    let (authority, another) = (Authority::new(), Authority::new());
    let address = registry(&authority, None).await;
    let roots = |authority: &Authority| Trust {
        roots: vec![authority.root()],
        ..Trust::default()
    };
    let insecure = Trust {
        insecure: true,
        ..Trust::default()
    };
    assert_eq!(answered(address, Trust::default()).await, (false, false));
    assert_eq!(answered(address, roots(&another)).await, (false, false));
    assert_eq!(answered(address, roots(&authority)).await, (true, true));
    assert_eq!(answered(address, insecure).await, (true, true));
}

#[tokio::test]
async fn our_certificate_is_shown_to_the_upstream_alone() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let address = registry(&authority, Some(&clients)).await;
    let (chain, key) = clients.sign();
    let trust = Trust {
        roots: vec![authority.root()],
        identity: Some((chain, Arc::new(key))),
        insecure: false,
    };
    assert_eq!(answered(address, trust.clone()).await, (true, false));
    let nameless = Trust {
        identity: None,
        ..trust
    };
    assert_eq!(answered(address, nameless).await, (false, false));
}

/// Frames of HTTP/2 (RFC 9113 section 4.1): settings, and then the beginnings of an answer that never gets any further.
fn frames() -> Vec<u8> {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let empty = [0, 0, 0, 0, 0, 0, 0, 0, 1];
    [&settings[..], &empty.repeat(10_000)].concat()
}

#[tokio::test]
async fn incident_11_an_upstream_cannot_lead_us_into_http2() {
    let authority = Authority::new();
    let (chain, key) = authority.sign();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.unwrap();
    // What it would rather speak.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let spoken = tokio::spawn(async move {
        let mut spoken = Vec::new();
        for _ in 0..2 {
            let (plain, _) = listener.accept().await.unwrap();
            let accepted = TlsAcceptor::from(Arc::new(config.clone())).accept(plain);
            let mut stream = accepted.await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            // It may have had enough before the end.
            let _ = stream.write_all(&frames()).await;
            spoken.push((protocol, request));
        }
        spoken
    });
    let trust = Trust {
        roots: vec![authority.root()],
        ..Trust::default()
    };
    assert_eq!(answered(address, trust).await, (false, false));
    for (protocol, request) in spoken.await.unwrap() {
        assert_ne!(protocol.as_deref(), Some(&b"h2"[..]));
        assert_eq!(&request, b"GET ");
    }
}

#[tokio::test]
async fn a_proxy_gets_every_request_and_its_own_password() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            heads.push(String::from_utf8(head).unwrap().to_lowercase());
        }
        heads
    });
    // A name that nobody here can look up: only the proxy's is.
    let url = Url::parse("http://registry.invalid/").unwrap();
    let settings = Settings {
        egress: Some(Egress {
            url: Url::parse(&format!("http://{address}")).unwrap(),
            credentials: Some(("bob".into(), "hunter2".into())),
        }),
        ..Settings::new("a", url.clone())
    };
    assert!(!format!("{settings:?}").contains("hunter2"));
    let clients = Clients::new(&Reach::new(None, &url), &settings).unwrap();
    for client in [&clients.declared, &clients.foreign] {
        client.get(url.clone()).send().await.unwrap();
    }
    for head in proxy.await.unwrap() {
        assert!(head.starts_with("get http://registry.invalid/ "), "{head}");
        assert!(
            head.contains("proxy-authorization: basic ym9iomh1bnrlcji="),
            "{head}"
        );
    }
}
