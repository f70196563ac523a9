//! A plain HTTP client for the tests: one connection per request, every byte visible.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::bound::within;
use super::wire::{Head, Incoming};

/// No single step of an exchange may take longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status and fields.
    pub(crate) head: Head,
    /// The body as far as it came.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its announced end.
    pub(crate) complete: bool,
}

impl Answer {
    /// The status code; 0 when the start line has none.
    pub(crate) fn status(&self) -> u16 {
        self.head.status().unwrap_or(0)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of the first error in an error body of the OCI distribution spec ("Error Codes").
    pub(crate) fn error_code(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body["errors"][0]["code"].as_str().map(str::to_owned)
    }
}

/// An answer whose head is here and whose body is read by the test at its own pace.
#[derive(Debug)]
pub(crate) struct Download {
    /// Status and fields.
    pub(crate) head: Head,
    body: Incoming,
    reader: BufReader<TcpStream>,
}

/// A request that is on its way.
#[derive(Debug)]
pub(crate) struct Asked {
    method: String,
    target: String,
    reader: BufReader<TcpStream>,
}

impl Asked {
    /// Reads the head of the answer.
    pub(crate) async fn answered(mut self) -> Download {
        let (method, target) = (&self.method, &self.target);
        let head = Head::read(&mut self.reader);
        match within("the head of an answer", PATIENCE, head).await {
            Ok(Some(head)) => {
                let body = Incoming::of_response(&head, method);
                let reader = self.reader;
                Download { head, body, reader }
            }
            Ok(None) => panic!("{method} {target}: closed without an answer"),
            Err(error) => panic!("{method} {target}: {error}"),
        }
    }
}

/// Sends a request and reads the head of the answer.
pub(crate) async fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Download {
    ask(to, method, target, fields, body).await.answered().await
}

/// Sends a request; its `Host` is the address, unless `fields` has another.
pub(crate) async fn ask(
    to: SocketAddr,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Asked {
    let (host, length) = (to.to_string(), body.len().to_string());
    let mut head = Head {
        start: format!("{method} {target} HTTP/1.1"),
        fields: Vec::new(),
    };
    let own = [
        ("Host", &*host),
        ("Connection", "close"),
        ("Content-Length", &*length),
    ];
    let own = if body.is_empty() && method != "POST" {
        &own[..2]
    } else {
        &own
    };
    let says_host = fields.iter().any(|(name, _)| *name == "Host");
    let own = if says_host { &own[1..] } else { own };
    for (name, value) in own.iter().chain(fields) {
        head.fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(&head.bytes()).await?;
        stream.write_all(body).await?;
        Ok::<_, std::io::Error>(BufReader::with_capacity(64 * 1024, stream))
    };
    match within("a request sent", PATIENCE, exchange).await {
        Ok(reader) => Asked {
            method: method.to_owned(),
            target: target.to_owned(),
            reader,
        },
        Err(error) => panic!("{method} {target}: {error}"),
    }
}

/// A GET of which the head is here.
pub(crate) async fn open(from: SocketAddr, target: &str) -> Download {
    send(from, "GET", target, &[], b"").await
}

/// A whole GET.
pub(crate) async fn get(from: SocketAddr, target: &str) -> Answer {
    open(from, target).await.whole().await
}

impl Download {
    /// The next bytes of the body; `Some` of nothing is its proper end, `None` a body cut short.
    pub(crate) async fn next<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        match within(
            "the next bytes of a body",
            PATIENCE,
            self.body.read(&mut self.reader, buffer),
        )
        .await
        {
            Ok(read) => Some(&buffer[..read]),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                None
            }
            Err(error) => panic!("reading a body: {error}"),
        }
    }

    /// Reads the rest of the body into memory.
    pub(crate) async fn whole(mut self) -> Answer {
        let mut buffer = vec![0; 64 * 1024];
        let mut body = Vec::new();
        let complete = loop {
            match self.next(&mut buffer).await {
                Some([]) => break true,
                Some(piece) => body.extend_from_slice(piece),
                None => break false,
            }
        };
        Answer {
            head: self.head,
            body,
            complete,
        }
    }

    /// Reads the rest of the body and compares it with `expected` on the way, keeping nothing.
    pub(crate) async fn compare(mut self, expected: &[u8]) -> Compared {
        let mut buffer = vec![0; 128 * 1024];
        let mut size = 0;
        let mut right = true;
        let complete = loop {
            match self.next(&mut buffer).await {
                Some([]) => break true,
                Some(piece) => {
                    right &= expected.get(size..size + piece.len()) == Some(piece);
                    size += piece.len();
                }
                None => break false,
            }
        };
        Compared {
            size,
            right,
            complete,
        }
    }
}

/// What a body was, against what it should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Bytes that came.
    pub(crate) size: usize,
    /// Whether all of them were the expected ones.
    pub(crate) right: bool,
    /// Whether the body came to its announced end.
    pub(crate) complete: bool,
}

impl Compared {
    /// Whether a complete body of exactly the expected bytes came.
    pub(crate) fn is_whole(self, expected: &[u8]) -> bool {
        self.complete && self.right && self.size == expected.len()
    }
}
