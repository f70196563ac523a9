//! A registry on loopback that answers by script and remembers what it was asked.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use super::reply::Body;
pub(super) use super::reply::Reply;

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    headers: Vec<(String, String)>,
    /// What came with it, as text.
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| &**value);
        assert!(found.next().is_none(), "{name} was sent twice");
        value
    }

    pub(super) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// Every request so far; who waits for one is woken.
type Requests = Arc<watch::Sender<Vec<Request>>>;

/// The running server; it ends when it is dropped.
pub(super) struct Server {
    pub(super) port: u16,
    requests: Requests,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(super) async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(|_| script).await
    }

    /// For scripts that name their own URL, which they are given without a slash at its end.
    pub(super) async fn start_at<S>(write: impl FnOnce(String) -> S) -> Self
    where
        S: Fn(&Request) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = write(format!("http://127.0.0.1:{port}"));
        let requests = Requests::default();
        let seen = Arc::clone(&requests);
        let script: Arc<Script> = Arc::new(script);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self {
            port,
            requests,
            accepting,
        }
    }

    pub(super) fn url(&self) -> Url {
        Url::parse(&self.at("")).unwrap()
    }

    /// An absolute URL of this server.
    pub(super) fn at(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    /// What was asked so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// Waits until so many requests have come.
    pub(super) async fn asked(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        requests.wait_for(|it| it.len() >= count).await.unwrap();
    }

    /// How many requests were for this path.
    pub(super) fn count(&self, path: &str) -> usize {
        let requests = self.requests.borrow();
        requests
            .iter()
            .filter(|request| request.path() == path)
            .count()
    }
}

/// Answers the requests of one connection.
async fn serve(mut stream: TcpStream, script: Arc<Script>, seen: Requests) {
    let mut buffer = Vec::new();
    loop {
        let Some(end) = find(&buffer, b"\r\n\r\n") else {
            match stream.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => continue,
                _ => return,
            }
        };
        let head: Vec<u8> = buffer.drain(..end + 4).collect();
        let mut request = parse(&String::from_utf8(head).unwrap());
        let length = request.header("content-length").unwrap_or("0");
        let length = length.parse().unwrap();
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await.unwrap() == 0 {
                return;
            }
        }
        request.body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
        seen.send_modify(|requests| requests.push(request.clone()));
        let reply = script(&request);
        if stream
            .write_all(&reply.bytes(&request.method))
            .await
            .is_err()
        {
            return;
        }
        match reply.body {
            Body::Whole(_) => {}
            Body::Cut(_) | Body::Hangup => return,
            // The other side goes first.
            Body::Stall(_) | Body::Silence => {
                let _ = stream.read_to_end(&mut buffer).await;
                return;
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn parse(head: &str) -> Request {
    let mut lines = head.trim_end().split("\r\n");
    let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
    Request {
        method: first.next().unwrap(),
        target: first.next().unwrap(),
        headers: lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: String::new(),
    }
}
