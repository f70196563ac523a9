//! Clients that abuse HTTP/2, frame by frame (RFC 9113 section 10.5): each costs its own connection, and nobody else's.

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a connection ends with that has asked too much (RFC 9113 section 7).
const ENHANCE_YOUR_CALM: u32 = 11;

/// Frames of an attack: far more than any honest client sends.
const MANY: u32 = 20_000;

/// A frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The fields of a request for `/` at localhost (RFC 7541 appendix A): 0x82 is GET, 0x83 POST.
fn fields(method: u8) -> Vec<u8> {
    [&[method, 0x87, 0x84, 0x01, 9], &b"localhost"[..]].concat()
}

/// The odd numbers that clients give their streams.
fn streams() -> impl Iterator<Item = u32> {
    (1..MANY).step_by(2)
}

/// How a connection ended: with what code it was told to go away, if it was; none for one that goes on.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Told(u32),
    Cut,
    Open,
}

/// Sends all of it, unless the other side has had enough before; then a PING, to see whether it listens still.
async fn attack(running: &Running, tls: &TlsConnector, frames: Vec<u8>) -> Ended {
    let (mut reads, mut writes) = split(running.connect(tls).await.unwrap());
    let writing = tokio::spawn(async move {
        let greeting = frame(SETTINGS, 0, 0, b"");
        let ping = frame(PING, 0, 0, b"goes on?");
        for bytes in [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &*greeting,
            &frames,
            &ping,
        ] {
            if writes.write_all(bytes).await.is_err() {
                break;
            }
        }
        // Kept, so that the other side alone says when it ends.
        writes
    });
    let ended = soon(async {
        loop {
            let mut head = [0; 9];
            if reads.read_exact(&mut head).await.is_err() {
                return Ended::Cut;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if reads.read_exact(&mut payload).await.is_err() {
                return Ended::Cut;
            }
            match (head[3], &*payload) {
                (PING, b"goes on?") => return Ended::Open,
                (GOAWAY, told) => {
                    let code = u32::from_be_bytes(told[4..8].try_into().unwrap());
                    return Ended::Told(code);
                }
                _ => {}
            }
        }
    })
    .await;
    writing.abort();
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incident_11_who_floods_a_connection_in_http2_loses_it_and_holds_nobody_up() {
    let authority = Authority::new();
    let terms = TlsTerms::new("a", source(authority.certificates(None)).0).unwrap();
    // The answers to an attack never come, so that its streams stay open.
    let (handler, _reports) = Script::new(|request| async move {
        if request.uri().path() == "/" {
            std::future::pending::<()>().await;
        }
        Response::new(b"served".to_vec().into())
    });
    let running = Running::start(&handler, &terms, DoorLimits::default());
    let (h2, h1) = (
        authority.client(None, &[b"h2"]),
        authority.client(None, &[b"http/1.1"]),
    );
    let calm = Ended::Told(ENHANCE_YOUR_CALM);

    let open = frame(HEADERS, END_HEADERS, 1, &fields(0x83));
    let empty = frame(DATA, 0, 1, b"").repeat(MANY as usize);
    let resets = streams().flat_map(|stream| {
        let asked = frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(0x82));
        let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [asked, reset].concat()
    });
    let endless = frame(HEADERS, END_STREAM, 1, &fields(0x82));
    let endless = [
        endless,
        frame(CONTINUATION, 0, 1, b"").repeat(MANY as usize),
    ]
    .concat();
    for (what, frames, expected) in [
        ("empty frames of a body", [open, empty].concat(), &calm),
        ("requests that are taken back", resets.collect(), &calm),
        ("a head without an end", endless, &calm),
    ] {
        let attacked = attack(&running, &h2, frames);
        let served = async {
            for _ in 0..5 {
                let mut client = Client(running.connect(&h1).await.unwrap());
                client.get("/other").await;
                assert_eq!(soon(client.answer()).await.1, "served", "{what}");
            }
        };
        let (ended, ()) = tokio::join!(attacked, served);
        assert_eq!(ended, *expected, "{what}");
    }
}
