//! One scripted answer, faults included.

use bytes::Bytes;

/// What happens after the headers.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Whole(Bytes),
    /// These bytes, and then the connection ends.
    Cut(Bytes),
    /// These bytes, and then nothing more.
    Stall(Bytes),
    /// Not even headers.
    Silence,
    /// Not even headers, and the connection ends.
    Hangup,
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Body,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Bytes::new()),
        }
    }

    pub(super) fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200).body(body)
    }

    pub(super) fn silence() -> Self {
        Self {
            body: Body::Silence,
            ..Self::status(0)
        }
    }

    pub(super) fn hangup() -> Self {
        Self {
            body: Body::Hangup,
            ..Self::status(0)
        }
    }

    pub(super) fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("Location", location)
    }

    pub(super) fn challenge(value: &str) -> Self {
        Self::status(401).header("WWW-Authenticate", value)
    }

    /// A challenge that names nothing but a token realm.
    pub(super) fn bearer(realm: &str) -> Self {
        Self::challenge(&format!("Bearer realm=\"{realm}\""))
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: Body::Whole(body.into()),
            ..self
        }
    }

    /// Announces `length` bytes, sends `body`, and ends the connection.
    pub(super) fn cut(self, length: u64, body: impl Into<Bytes>) -> Self {
        Self {
            body: Body::Cut(body.into()),
            ..self.header("Content-Length", &length.to_string())
        }
    }

    /// Announces no length: the end of the connection is the end of the body.
    pub(super) fn until_close(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: Body::Cut(body.into()),
            ..self
        }
    }

    /// Announces no length: the last chunk says that it is the last.
    pub(super) fn chunked(self, body: &[u8]) -> Self {
        let mut chunks = format!("{:x}\r\n", body.len()).into_bytes();
        chunks.extend_from_slice(body);
        chunks.extend_from_slice(b"\r\n0\r\n\r\n");
        self.header("Transfer-Encoding", "chunked").body(chunks)
    }

    /// Announces `length` bytes, sends `body`, and falls silent.
    pub(super) fn stall(self, length: u64, body: impl Into<Bytes>) -> Self {
        Self {
            body: Body::Stall(body.into()),
            ..self.header("Content-Length", &length.to_string())
        }
    }

    /// The headers and as much of the body as is sent.
    pub(super) fn bytes(&self, method: &str) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = match &self.body {
            Body::Whole(body) => {
                let named = |(name, _): &(String, String)| {
                    name == "Content-Length" || name == "Transfer-Encoding"
                };
                if !self.headers.iter().any(named) {
                    text.push_str(&format!("Content-Length: {}\r\n", body.len()));
                }
                body.clone()
            }
            Body::Cut(body) | Body::Stall(body) => body.clone(),
            Body::Silence | Body::Hangup => return Vec::new(),
        };
        let mut bytes = format!("{text}\r\n").into_bytes();
        if method != "HEAD" {
            bytes.extend_from_slice(&body);
        }
        bytes
    }
}
