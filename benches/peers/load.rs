//! Many plain HTTP/1.1 clients in one thread, each with one request at a time on one connection.
//!
//! They share the cores with what they measure, so they do next to nothing: requests are bytes made beforehand, heads
//! are looked through for status and length, and bodies are dropped by the kernel without being copied (`MSG_TRUNC`).

use std::io::{Error, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// How much of a body is dropped at once. The buffer is never written, so it takes no memory.
const SCRAP: usize = 8 << 20;
/// A head, and a small body with it, come at once.
const HEAD: usize = 16 << 10;

/// For how long a load runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Until everything has found its pace.
    pub(crate) warm_up: Duration,
    /// After that: what is measured.
    pub(crate) measured: Duration,
}

/// A server is measured on until it has used so much processor time (which is counted in hundredths of a second),
const ENOUGH: Duration = Duration::from_millis(200);
/// but no longer than so many windows.
const MOST_WINDOWS: u32 = 10;

impl Window {
    /// Whether what was measured so far says enough.
    pub(crate) fn is_enough(self, clock: Duration, processor: Duration) -> bool {
        processor >= ENOUGH || clock >= self.measured * MOST_WINDOWS
    }
}

/// What came over all connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Bytes of bodies.
    pub(crate) bytes: u64,
    /// Whole answers of status 200.
    pub(crate) answers: u64,
    /// Answers of another status, or cut short.
    pub(crate) errors: u64,
}

/// What a server did in a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// What came in it.
    pub(crate) tally: Tally,
    /// The processor time that the server used in it.
    pub(crate) processor: Duration,
    /// Its length by the clock.
    pub(crate) clock: Duration,
}

#[allow(clippy::cast_precision_loss, reason = "figures of three digits")]
impl Work {
    /// Bytes of bodies, in GB (10^9).
    pub(crate) fn gigabytes(&self) -> f64 {
        self.tally.bytes as f64 / 1e9
    }

    /// Whole answers.
    pub(crate) fn answers(&self) -> f64 {
        self.tally.answers as f64
    }
}

/// The media types that a client takes: those of containerd, without the oldest.
pub(crate) const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, */*";

/// The bytes of a GET on a connection that is kept.
pub(crate) fn get(to: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: bench\r\nAccept: {ACCEPT}\r\n\r\n")
        .into_bytes()
}

/// Asks again and again for `path`, with so many clients; `processor` tells what the server has used so far.
///
/// An answer that is not the whole of a 200 is an error: the figures would mean nothing.
pub(crate) fn work(
    to: SocketAddr,
    path: &str,
    clients: usize,
    window: Window,
    processor: impl Fn() -> Duration,
) -> Result<Work> {
    let mut clients = Clients::connect(to, get(to, path), clients)?;
    clients.ask_all()?;
    clients.go_on(window.warm_up)?;
    let (before, spent, began) = (clients.tally, processor(), Instant::now());
    let (clock, processor) = loop {
        clients.go_on(window.measured)?;
        let (clock, processor) = (began.elapsed(), processor().saturating_sub(spent));
        if window.is_enough(clock, processor) {
            break (clock, processor);
        }
    };
    let after = clients.tally;
    if after.errors > 0 {
        return Err(Error::other(format!("{to}{path}: {after:?}")));
    }
    let tally = Tally {
        bytes: after.bytes - before.bytes,
        answers: after.answers - before.answers,
        errors: 0,
    };
    Ok(Work {
        tally,
        processor,
        clock,
    })
}

/// Asks once with so many clients, all at once; returns what came and how long the last one took. Those who have
/// nothing whole within `limit` are errors.
pub(crate) fn herd(
    to: SocketAddr,
    path: &str,
    clients: usize,
    limit: Duration,
) -> Result<(Tally, Duration)> {
    let mut herd = Clients::connect(to, get(to, path), clients)?;
    let began = Instant::now();
    herd.ask_all()?;
    while herd.waiting > 0 && began.elapsed() < limit {
        herd.turn(Duration::from_millis(100), false)?;
    }
    herd.tally.errors += herd.waiting as u64;
    Ok((herd.tally, began.elapsed()))
}

#[derive(Debug)]
struct Clients {
    to: SocketAddr,
    request: Vec<u8>,
    poll: OwnedFd,
    each: Vec<Client>,
    scrap: Vec<u8>,
    tally: Tally,
    /// How many have asked and have not got everything.
    waiting: usize,
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    at: At,
}

/// Where in an answer a client is.
#[derive(Debug)]
enum At {
    /// Nobody asked, or all of it came.
    Rest,
    /// In its head, of which this came.
    Head(Vec<u8>),
    /// In its body, of which so much is to come.
    Body(u64),
}

impl Clients {
    fn connect(to: SocketAddr, request: Vec<u8>, many: usize) -> Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut each = Vec::new();
        for number in 0..many {
            let stream = connect(to)?;
            watch(&poll, &stream, number)?;
            each.push(Client {
                stream,
                at: At::Rest,
            });
        }
        Ok(Self {
            to,
            request,
            poll,
            each,
            scrap: vec![0; SCRAP],
            tally: Tally::default(),
            waiting: 0,
        })
    }

    fn ask_all(&mut self) -> Result<()> {
        (0..self.each.len()).try_for_each(|number| self.ask(number))
    }

    fn ask(&mut self, number: usize) -> Result<()> {
        let client = &mut self.each[number];
        client.at = At::Head(Vec::new());
        self.waiting += 1;
        client.stream.write_all(&self.request)
    }

    /// Keeps all of them asking for so long.
    fn go_on(&mut self, long: Duration) -> Result<()> {
        let end = Instant::now() + long;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left, true)?;
        }
        Ok(())
    }

    /// Waits until something came, at most `limit`, and takes it; who has a whole answer asks again, or rests.
    fn turn(&mut self, limit: Duration, again: bool) -> Result<()> {
        let limit = Timespec::try_from(limit).map_err(Error::other)?;
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; 256];
        let ready = match epoll::wait(&self.poll, &mut events[..], Some(&limit)) {
            Err(Errno::INTR) => return Ok(()),
            ready => ready?,
        };
        for event in &events[..ready] {
            let number = usize::try_from(event.data.u64()).map_err(Error::other)?;
            self.take(number, again)?;
        }
        Ok(())
    }

    fn take(&mut self, number: usize, again: bool) -> Result<()> {
        let client = &mut self.each[number];
        let came = match &mut client.at {
            At::Rest => receive(&client.stream, &mut self.scrap[..1], RecvFlags::empty()),
            At::Head(_) => receive(&client.stream, &mut self.scrap[..HEAD], RecvFlags::empty()),
            At::Body(left) => {
                let most = usize::try_from(*left).unwrap_or(SCRAP).min(SCRAP);
                receive(&client.stream, &mut self.scrap[..most], RecvFlags::TRUNC)
            }
        };
        let came = match came {
            Ok(None) => return Ok(()),
            Ok(Some(came)) => came,
            Err(_) => 0,
        };
        if came == 0 {
            return self.closed(number, again);
        }
        let whole = match &mut client.at {
            // More than was asked for.
            At::Rest => false,
            At::Body(left) => {
                *left -= came as u64;
                self.tally.bytes += came as u64;
                *left == 0
            }
            At::Head(head) => {
                head.extend_from_slice(&self.scrap[..came]);
                let Some((status, length, size)) = read_head(head) else {
                    return Ok(());
                };
                let here = (head.len() - size) as u64;
                if status != 200 || here > length {
                    return self.closed(number, again);
                }
                client.at = At::Body(length - here);
                self.tally.bytes += here;
                here == length
            }
        };
        if whole {
            client.at = At::Rest;
            self.waiting -= 1;
            self.tally.answers += 1;
            if again {
                self.ask(number)?;
            }
        }
        Ok(())
    }

    /// A connection that is of no more use. Between two answers a server may close it; within one it is an error.
    fn closed(&mut self, number: usize, again: bool) -> Result<()> {
        let was = std::mem::replace(&mut self.each[number].at, At::Rest);
        let kept = matches!(was, At::Rest);
        let asked = matches!(&was, At::Head(head) if head.is_empty());
        if !kept {
            self.waiting -= 1;
        }
        if !(kept || asked && again) {
            self.tally.errors += 1;
        }
        epoll::delete(&self.poll, &self.each[number].stream)?;
        if again && (kept || asked) {
            let stream = connect(self.to)?;
            watch(&self.poll, &stream, number)?;
            self.each[number].stream = stream;
            self.ask(number)?;
        }
        Ok(())
    }
}

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn watch(poll: &OwnedFd, stream: &TcpStream, number: usize) -> Result<()> {
    let data = EventData::new_u64(number as u64);
    Ok(epoll::add(poll, stream, data, EventFlags::IN)?)
}

/// Takes what is there; `None` when nothing is.
fn receive(stream: &TcpStream, into: &mut [u8], flags: RecvFlags) -> Result<Option<usize>> {
    match recv(stream, into, flags) {
        Ok((_, came)) => Ok(Some(came)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Status, length of the body and size of the head, once all of it is here.
pub(crate) fn read_head(bytes: &[u8]) -> Option<(u16, u64, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let length = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse().ok())?
    })?;
    Some((status, length, end + 4))
}
