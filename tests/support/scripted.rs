//! An upstream that says whatever a script tells it to, for what no real registry would say.

use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::wire::Head;

/// A request as a script sees it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The request target.
    pub(crate) path: String,
    /// The address it was sent to.
    pub(crate) host: String,
    /// First and last byte of a `Range` of one part; the last is `None` when it was left open.
    pub(crate) range: Option<(usize, Option<usize>)>,
    /// How many GETs came before this one.
    pub(crate) earlier: usize,
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `Content-Length`.
    Length,
    /// Chunks.
    Chunked,
}

/// What a script answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: Vec<u8>,
    framing: Framing,
    cut: Option<usize>,
}

impl Reply {
    /// This status with this body, all of it, with its length.
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: body.to_vec(),
            framing: Framing::Length,
            cut: None,
        }
    }

    /// What an honest upstream answers: the part that was asked for, or all.
    pub(crate) fn honest(asked: &Asked, bytes: &[u8]) -> Self {
        let Some((first, last)) = asked.range else {
            return Self::new(200, bytes);
        };
        let end = last.map_or(bytes.len(), |last| bytes.len().min(last + 1));
        if first >= end {
            return Self::new(416, b"").field("Content-Range", format!("bytes */{}", bytes.len()));
        }
        let part = format!("bytes {first}-{}/{}", end - 1, bytes.len());
        Self::new(206, &bytes[first..end]).field("Content-Range", part)
    }

    /// With this field as well.
    pub(crate) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// In chunks, without a length.
    pub(crate) fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// The connection ends after so many bytes of the body.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Sends it; whether the connection is good for another request.
    async fn send(self, stream: &mut TcpStream, method: &str) -> Result<bool> {
        let mut head = Head {
            start: format!("HTTP/1.1 {} Scripted", self.status),
            fields: Vec::new(),
        };
        let framing = match self.framing {
            Framing::Length => ("Content-Length", self.body.len().to_string()),
            Framing::Chunked => ("Transfer-Encoding", "chunked".to_owned()),
        };
        for (name, value) in self.fields.into_iter().chain([framing]) {
            head.fields.push((name.to_owned(), value));
        }
        stream.write_all(&head.bytes()).await?;
        if method == "HEAD" {
            return Ok(true);
        }
        let sent = &self.body[..self.cut.unwrap_or(self.body.len())];
        for piece in sent.chunks(64 * 1024) {
            if self.framing == Framing::Chunked {
                let size = format!("{:x}\r\n", piece.len());
                stream.write_all(size.as_bytes()).await?;
                stream.write_all(piece).await?;
                stream.write_all(b"\r\n").await?;
            } else {
                stream.write_all(piece).await?;
            }
        }
        if self.cut.is_some() {
            return Ok(false);
        }
        if self.framing == Framing::Chunked {
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Ok(true)
    }
}

/// The upstream. Dropping it closes the port and every connection.
#[derive(Debug)]
pub(crate) struct Scripted {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Scripted {
    /// One that answers as `script` says; `/v2/` is answered with 200.
    pub(crate) async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port for the scripted upstream");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new((script, AtomicUsize::new(0)));
        let listening = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (stream, _) = accepted.expect("a connection to the scripted upstream");
                        let shared = Arc::clone(&shared);
                        connections.spawn(async move { follow(stream, &shared.0, &shared.1).await });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { address, listening }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn follow(
    stream: TcpStream,
    script: &(impl Fn(&Asked) -> Reply + Sync),
    gets: &AtomicUsize,
) -> Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(head) = Head::read(&mut stream).await? {
        let (method, path) = (head.word(0).to_owned(), head.word(1).to_owned());
        let ping = path == "/v2/";
        let earlier = if method == "GET" && !ping {
            gets.fetch_add(1, Ordering::SeqCst)
        } else {
            gets.load(Ordering::SeqCst)
        };
        let range = head.field("range").and_then(part);
        let reply = if ping {
            Reply::new(200, b"{}")
        } else {
            script(&Asked {
                path,
                host: head.field("host").unwrap_or_default().to_owned(),
                range,
                earlier,
            })
        };
        if !reply.send(stream.get_mut(), &method).await? {
            break;
        }
    }
    Ok(())
}

/// First and last byte of `bytes=a-b` or `bytes=a-`.
fn part(range: &str) -> Option<(usize, Option<usize>)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()))
}
