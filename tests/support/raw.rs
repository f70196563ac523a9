//! Requests as bytes, such as no client library would send, and what they do to the connection.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::bound::within;
use super::wire::{Head, Incoming};

const PATIENCE: Duration = Duration::from_secs(20);

/// What came back for one raw request, and whether the connection still works after it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The status.
    pub(crate) status: u16,
    /// The code of the first error in the body.
    pub(crate) code: Option<String>,
    /// Whether the body is JSON and says so.
    pub(crate) json: bool,
    /// What a second, proper request on the same connection met.
    pub(crate) after: After,
}

/// What a second, proper request on the same connection met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// A proper answer.
    Served,
    /// A closed connection, and nothing else.
    Closed,
    /// Something that is neither.
    Confused(String),
}

/// Sends `request` as it is, reads the answer, and asks for `/v2/` on the same connection.
pub(crate) async fn raw(to: SocketAddr, request: &[u8]) -> Option<Outcome> {
    let exchange = async {
        let mut stream = BufReader::new(TcpStream::connect(to).await.expect("a connection"));
        stream.write_all(request).await.ok()?;
        let head = Head::read(&mut stream).await.ok()??;
        let mut body = Incoming::of_response(&head, "GET");
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 4096]);
        while let Ok(size @ 1..) = body.read(&mut stream, &mut buffer).await {
            bytes.extend_from_slice(&buffer[..size]);
        }
        let body: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        let json = body.is_some()
            && head
                .field("content-type")
                .is_some_and(|kind| kind.starts_with("application/json"));
        let code = body.and_then(|body| body["errors"][0]["code"].as_str().map(str::to_owned));
        Some(Outcome {
            status: head.status()?,
            code,
            json,
            after: after(&mut stream).await,
        })
    };
    within("an answer to a raw request", PATIENCE, exchange).await
}

async fn after(stream: &mut BufReader<TcpStream>) -> After {
    let proper = b"GET /v2/ HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n";
    if stream.write_all(proper).await.is_err() {
        return After::Closed;
    }
    match Head::read(stream).await {
        Ok(Some(head)) if head.status() == Some(200) => After::Served,
        Ok(Some(head)) => After::Confused(head.start),
        // Closed before we wrote (an end or a reset), which is what a server may do after nonsense.
        Ok(None) => After::Closed,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => After::Closed,
        Err(error) => After::Confused(error.to_string()),
    }
}

impl After {
    /// Whether both sides still agree on where one message ends and the next begins.
    pub(crate) fn is_sane(&self) -> bool {
        !matches!(self, Self::Confused(_))
    }
}
