//! One connection through a tap: requests and answers, one after another, each followed to its end.

use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::fault::{self, Fault, Wish};
use super::throttle::Throttle;
use super::{Noted, Request, Watched};
use crate::support::wire::{Head, Incoming};

/// One connection from the mirror, with its own to the upstream.
pub(super) struct Connection {
    watched: Arc<Watched>,
    client: BufReader<OwnedReadHalf>,
    to_client: OwnedWriteHalf,
    upstream: BufReader<OwnedReadHalf>,
    to_upstream: OwnedWriteHalf,
    throttle: Throttle,
    buffer: Vec<u8>,
}

impl Connection {
    /// Takes the mirror's connection and makes one to the upstream for it.
    pub(super) async fn open(client: TcpStream, watched: Arc<Watched>) -> Result<Self> {
        let upstream = TcpStream::connect(watched.target).await?;
        for stream in [&client, &upstream] {
            stream.set_nodelay(true)?;
        }
        let (client, to_client) = client.into_split();
        let (upstream, to_upstream) = upstream.into_split();
        let [client, upstream] =
            [client, upstream].map(|half| BufReader::with_capacity(64 * 1024, half));
        let throttle = Throttle::default();
        throttle.set(*watched.each.lock());
        Ok(Self {
            watched,
            throttle,
            client,
            to_client,
            upstream,
            to_upstream,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Follows it until either side closes, or a fault ends it.
    pub(super) async fn follow(mut self) -> Result<()> {
        while let Some(request) = Head::read(&mut self.client).await? {
            let noted = self.note(&request);
            let _under_way = UnderWay(Arc::clone(&noted));
            let wishes = self.watched.wishes(request.word(1));
            if wishes.iter().any(Wish::is_silence) {
                return self.client_leaves().await;
            }
            if let Some(status) = wishes.iter().find_map(Wish::answer) {
                noted.lock().status = Some(status);
                let answer = format!(
                    "HTTP/1.1 {status} By The Tap\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                return self.to_client.write_all(answer.as_bytes()).await;
            }
            self.forward_request(&request).await?;
            if !self.forward_answer(&request, &noted, wishes).await? {
                break;
            }
        }
        Ok(())
    }

    fn note(&self, request: &Head) -> Noted {
        let noted = Arc::new(Mutex::new(Request {
            method: request.word(0).to_owned(),
            path: request.word(1).to_owned(),
            range: request.field("range").map(str::to_owned),
            status: None,
            bytes: 0,
            began: Instant::now(),
            first_byte: None,
            ended: None,
        }));
        self.watched.requests.lock().push(Arc::clone(&noted));
        noted
    }

    async fn forward_request(&mut self, head: &Head) -> Result<()> {
        self.to_upstream.write_all(&head.bytes()).await?;
        let mut body = Incoming::of_request(head);
        let chunked = body.is_chunked();
        loop {
            let size = body.read(&mut self.client, &mut self.buffer).await?;
            write_piece(&mut self.to_upstream, chunked, &self.buffer[..size]).await?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Returns whether the connection is good for another request.
    async fn forward_answer(
        &mut self,
        request: &Head,
        noted: &Noted,
        wishes: Vec<Wish>,
    ) -> Result<bool> {
        let closed = || {
            Error::new(
                ErrorKind::UnexpectedEof,
                "the upstream closed before it answered",
            )
        };
        let head = Head::read(&mut self.upstream).await?.ok_or_else(closed)?;
        noted.lock().status = head.status();
        self.to_client.write_all(&head.bytes()).await?;

        let mut body = Incoming::of_response(&head, request.word(0));
        let chunked = body.is_chunked();
        let mut position = head.first_byte();
        let bytes = position..position + head.length().unwrap_or(u64::MAX - position);
        let mut triggers = fault::in_order(wishes, &bytes);
        loop {
            let size = body.read(&mut self.upstream, &mut self.buffer).await?;
            if size == 0 {
                write_piece(&mut self.to_client, chunked, &[]).await?;
                return Ok(!matches!(body, Incoming::UntilClose));
            }
            let mut sent = 0;
            while let Some(trigger) =
                triggers.next_if(|trigger| trigger.at < position + (size - sent) as u64)
            {
                let before = usize::try_from(trigger.at.saturating_sub(position)).unwrap_or(0);
                self.pass(noted, chunked, sent..sent + before).await?;
                sent += before;
                position += before as u64;
                self.suffer(&trigger.fault, sent).await?;
            }
            self.pass(noted, chunked, sent..size).await?;
            position += (size - sent) as u64;
        }
    }

    /// Counts a part of the buffer and sends it on: whoever has it finds it counted.
    async fn pass(&mut self, noted: &Noted, chunked: bool, part: Range<usize>) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let size = part.len() as u64;
        self.watched.throttle.pass(size).await;
        self.throttle.pass(size).await;
        {
            let mut noted = noted.lock();
            noted.bytes += size;
            noted.first_byte.get_or_insert_with(Instant::now);
        }
        let sent = write_piece(&mut self.to_client, chunked, &self.buffer[part]).await;
        if sent.is_err() {
            noted.lock().bytes -= size;
        }
        sent
    }

    /// Does to the answer what a rule says, just before the byte at `next` of the buffer goes out.
    async fn suffer(&mut self, fault: &Fault, next: usize) -> Result<()> {
        match fault {
            Fault::Answer(_) | Fault::Silence => Ok(()),
            Fault::Cut => Err(Error::new(ErrorKind::ConnectionAborted, "cut by a rule")),
            Fault::Flip => {
                self.buffer[next] ^= 1;
                Ok(())
            }
            Fault::Stall => self.client_leaves().await,
            Fault::Hold(gate) => tokio::select! {
                () = gate.pass() => Ok(()),
                left = self.client_leaves() => left,
            },
        }
    }

    /// Waits until the mirror closes its side; then there is nobody to hold the answer for.
    async fn client_leaves(&mut self) -> Result<()> {
        if !self.client.fill_buf().await?.is_empty() {
            // The mirror sent something before it had its answer: it still waits for it.
            std::future::pending::<()>().await;
        }
        Err(Error::new(ErrorKind::ConnectionReset, "the mirror left"))
    }
}

/// A request that is being answered; dropped when that ends, in whatever way.
struct UnderWay(Noted);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().ended = Some(Instant::now());
    }
}

/// Writes a piece of a body in its framing; an empty piece is the end.
async fn write_piece(to: &mut OwnedWriteHalf, chunked: bool, piece: &[u8]) -> Result<()> {
    if !chunked {
        return to.write_all(piece).await;
    }
    to.write_all(format!("{:x}\r\n", piece.len()).as_bytes())
        .await?;
    to.write_all(piece).await?;
    to.write_all(b"\r\n").await
}
