//! HTTP/1.1 on the wire, just enough to follow it: heads and the framing of bodies (RFC 9112, sections 4 to 7).
//!
//! Written for these tests alone, so that neither the tap nor the test client shares code with what they test. No
//! pipelining, no trailers (they are read and dropped), no upgrade.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// No head in these tests comes near this; a longer one means that we lost the framing.
const LONGEST_HEAD: usize = 128 * 1024;

/// A request or response head: the start line and the fields, in the order they came.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The first line, without its end.
    pub(crate) start: String,
    /// Field names and values as they came.
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// Reads one head; `None` when the connection was closed before its first byte.
    pub(crate) async fn read(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Self>> {
        // Clients that may use plain HTTP try TLS first, and wait until somebody says that this is not it.
        let first = reader.fill_buf().await?.first();
        if first.is_some_and(|byte| !byte.is_ascii_uppercase()) {
            return Err(Error::new(ErrorKind::InvalidData, "not HTTP"));
        }
        let mut lines = Vec::new();
        let mut size = 0;
        loop {
            let mut line = Vec::new();
            let read = reader.read_until(b'\n', &mut line).await?;
            size += read;
            if read == 0 && lines.is_empty() {
                return Ok(None);
            }
            if !line.ends_with(b"\n") || size > LONGEST_HEAD {
                return Err(Error::new(
                    ErrorKind::UnexpectedEof,
                    "a head without an end",
                ));
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let mut lines = lines.into_iter();
        let start = lines
            .next()
            .ok_or_else(|| Error::new(ErrorKind::InvalidData, "an empty head"))?;
        let fields = lines
            .filter_map(|line| {
                line.split_once(':')
                    .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            })
            .collect();
        Ok(Some(Self { start, fields }))
    }

    /// The first field of this name, whatever its case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The bytes of this head as they go out.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.fields {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// The nth word of the start line: method and target of a request, status of a response.
    pub(crate) fn word(&self, nth: usize) -> &str {
        self.start.split(' ').nth(nth).unwrap_or_default()
    }

    /// The status of a response head.
    pub(crate) fn status(&self) -> Option<u16> {
        self.word(1).parse().ok()
    }

    /// Where in the whole representation this response's body begins (`Content-Range`), 0 for a whole one.
    pub(crate) fn first_byte(&self) -> u64 {
        let range = self
            .field("content-range")
            .and_then(|value| value.strip_prefix("bytes "));
        range
            .and_then(|range| range.split('-').next()?.parse().ok())
            .unwrap_or(0)
    }

    /// The length of the body, as the head has it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.field("content-length")
            .and_then(|value| value.parse().ok())
    }

    fn is_chunked(&self) -> bool {
        self.field("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }
}

/// A body that is being read, by its framing.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks; so many bytes are left of the present one. `None` after the last.
    Chunked(Option<u64>),
    /// Everything until the other side closes.
    UntilClose,
}

impl Incoming {
    /// The body that follows this request head (RFC 9112, section 6.3).
    pub(crate) fn of_request(head: &Head) -> Self {
        if head.is_chunked() {
            Self::Chunked(Some(0))
        } else {
            Self::Length(head.length().unwrap_or(0))
        }
    }

    /// The body that follows this response to a request with `method`.
    pub(crate) fn of_response(head: &Head, method: &str) -> Self {
        match head.status() {
            Some(100..=199 | 204 | 304) => Self::Length(0),
            _ if method == "HEAD" => Self::Length(0),
            _ if head.is_chunked() => Self::Chunked(Some(0)),
            _ => head.length().map_or(Self::UntilClose, Self::Length),
        }
    }

    /// Whether the body goes in chunks.
    pub(crate) fn is_chunked(&self) -> bool {
        matches!(self, Self::Chunked(_))
    }

    /// Reads the next piece into `buffer` and returns its size; 0 is the end of a complete body.
    ///
    /// A connection that ends before the body does is [`ErrorKind::UnexpectedEof`].
    pub(crate) async fn read(
        &mut self,
        reader: &mut (impl AsyncBufRead + Unpin),
        buffer: &mut [u8],
    ) -> Result<usize> {
        let left = match self {
            Self::UntilClose => return reader.read(buffer).await,
            Self::Chunked(None) | Self::Length(0) => return Ok(0),
            Self::Chunked(Some(left)) => {
                if *left == 0 {
                    *left = chunk_size(reader).await?;
                }
                left
            }
            Self::Length(left) => left,
        };
        if *left == 0 {
            while !line(reader).await?.is_empty() {}
            *self = Self::Chunked(None);
            return Ok(0);
        }
        let most = usize::try_from(*left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = reader.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "a body cut short"));
        }
        *left -= read as u64;
        if *left == 0 && self.is_chunked() {
            line(reader).await?;
        }
        Ok(read)
    }
}

async fn chunk_size(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<u64> {
    let line = line(reader).await?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16)
        .map_err(|_| Error::new(ErrorKind::InvalidData, format!("chunk size {line:?}")))
}

async fn line(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line).await? == 0 {
        return Err(Error::new(ErrorKind::UnexpectedEof, "a body cut short"));
    }
    Ok(line.trim_end().to_owned())
}
