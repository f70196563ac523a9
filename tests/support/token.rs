//! A token server for registries that use Bearer authentication (distribution: "Token Authentication Specification").
//!
//! Anyone may pull below `public/`; who shows the right Basic credentials may do whatever is asked for, and others may pull
//! what they were granted. Wrong credentials are refused. Tokens are signed with a key made for this run, whose certificate the registry is told to trust.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::process::{Part, run_well};
use super::registry::{PASSWORD, USER};
use super::wire::Head;

/// The name that the registry and its tokens agree on as issuer.
pub(crate) const ISSUER: &str = "harbour-master";
/// The name of the registry in challenges and tokens.
pub(crate) const SERVICE: &str = "test-registry";

const OPENSSL: Part = Part {
    program: "openssl",
    package: "openssl",
};
const LIFE: u64 = 300;

/// The server; dropping it closes it.
#[derive(Debug)]
pub(crate) struct TokenServer {
    address: SocketAddr,
    certificate: PathBuf,
    issuer: Arc<Issuer>,
    listening: JoinHandle<()>,
}

struct Issuer {
    key: EcdsaKeyPair,
    certificate: String,
    given: AtomicUsize,
    refused: AtomicUsize,
    /// By the value of `Authorization`: what its sender may pull.
    known: Mutex<HashMap<String, HashSet<String>>>,
}

impl TokenServer {
    /// Makes a key and starts; key and certificate are files in `folder`.
    pub(crate) async fn start(folder: &Path) -> Self {
        let (key_file, certificate) = (folder.join("token.key"), folder.join("token.crt"));
        let mut openssl = OPENSSL.command();
        openssl.args([
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]);
        openssl.args(["-days", "2", "-subj", "/CN=harbour-master"]);
        openssl
            .arg("-keyout")
            .arg(&key_file)
            .arg("-out")
            .arg(&certificate);
        run_well(openssl, Duration::from_secs(20)).await;

        let key = STANDARD.decode(pem_text(&key_file)).expect("a PEM key");
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &SystemRandom::new());
        let issuer = Arc::new(Issuer {
            key: key.expect("a P-256 key"),
            certificate: pem_text(&certificate),
            given: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            known: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port for the token server");
        let address = listener.local_addr().expect("the token server's address");
        let listening = tokio::spawn(listen(listener, Arc::clone(&issuer)));
        Self {
            address,
            certificate,
            issuer,
            listening,
        }
    }

    /// Where tokens are given out.
    pub(crate) fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// The certificate that its tokens can be checked with.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// From now on this user is known, and may pull these repositories.
    pub(crate) fn knows(&self, user: &str, password: &str, repositories: &[&str]) {
        let repositories = repositories.iter().map(ToString::to_string).collect();
        let mut known = self.issuer.known.lock().expect("a lock");
        known.insert(basic(user, password), repositories);
    }

    /// How many tokens it has given.
    pub(crate) fn given(&self) -> usize {
        self.issuer.given.load(Ordering::SeqCst)
    }

    /// How many times it was shown wrong credentials.
    pub(crate) fn refused(&self) -> usize {
        self.issuer.refused.load(Ordering::SeqCst)
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

async fn listen(listener: TcpListener, issuer: Arc<Issuer>) {
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .expect("a connection to the token server");
        let issuer = Arc::clone(&issuer);
        tokio::spawn(async move { answer(stream, &issuer).await });
    }
}

/// One request on one connection.
async fn answer(stream: TcpStream, issuer: &Issuer) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(request) = Head::read(&mut stream).await? else {
        return Ok(());
    };
    let (status, body) = issuer.answer(&request);
    let body = body.to_string();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} Token\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await
}

impl Issuer {
    fn answer(&self, request: &Head) -> (u16, Value) {
        if request.word(0) != "GET" {
            return (405, json!({"details": "only GET"}));
        }
        let right = basic(USER, PASSWORD);
        let users = self.known.lock().expect("a lock");
        let who = match request.field("authorization") {
            None => Who::Nobody,
            Some(shown) if shown == right => Who::Owner,
            Some(shown) if users.contains_key(shown) => Who::User(&users[shown]),
            Some(_) => {
                self.refused.fetch_add(1, Ordering::SeqCst);
                return (401, json!({"details": "wrong credentials"}));
            }
        };
        let query = request
            .word(1)
            .split_once('?')
            .map_or("", |(_, query)| query);
        let scopes =
            url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "scope");
        let access = scopes
            .filter_map(|(_, scope)| allowed(&scope, who))
            .collect();
        let token = self.sign(&access);
        self.given.fetch_add(1, Ordering::SeqCst);
        (
            200,
            json!({"token": token, "access_token": token, "expires_in": LIFE}),
        )
    }

    /// A signed JWT with the claims that the registry reads.
    fn sign(&self, access: &Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970")
            .as_secs();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let claims = json!({
            "iss": ISSUER, "aud": SERVICE, "sub": "", "jti": format!("{now}-{}", self.given()),
            "iat": now, "nbf": now - 10, "exp": now + LIFE, "access": access,
        });
        let text = [header, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let signature = self
            .key
            .sign(&SystemRandom::new(), text.as_bytes())
            .expect("a signature");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }
}

/// Who asks.
#[derive(Clone, Copy)]
enum Who<'a> {
    Owner,
    User(&'a HashSet<String>),
    Nobody,
}

/// The value of `Authorization` that shows name and password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// What is granted of a scope `repository:<name>:<actions>`.
fn allowed(scope: &str, who: Who<'_>) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let public = kind == "repository" && name.starts_with("public/");
    let granted: Vec<_> = actions
        .split(',')
        .filter(|action| match who {
            Who::Owner => true,
            Who::User(may_pull) => *action == "pull" && (public || may_pull.contains(name)),
            Who::Nobody => public && *action == "pull",
        })
        .collect();
    Some(json!({"type": kind, "name": name, "actions": granted}))
}

/// The base64 text of a PEM file with one block.
fn pem_text(file: &Path) -> String {
    let text = std::fs::read_to_string(file).expect("a PEM file");
    text.lines()
        .filter(|line| !line.starts_with("-----"))
        .collect()
}
