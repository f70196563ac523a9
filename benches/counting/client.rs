//! The client: a process of its own, so that it is on nobody's books.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Result;

/// The word that makes this program the client.
pub(crate) const CLIENT: &str = "client";
/// Connections that are busy at once: the serving thread wakes once for many requests, and each costs least.
const CONNECTIONS: usize = 16;

/// The client, a process of its own: what it is told on its standard input, it does.
pub(crate) struct Client {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(CLIENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take().ok_or("no way to the client")?;
        let answers = process.stdout.take().ok_or("no way from the client")?;
        Ok(Self {
            process,
            orders,
            answers: BufReader::new(answers),
        })
    }

    /// Has `path` asked for `count` times in all.
    pub(crate) fn ask(&mut self, address: SocketAddr, path: &str, count: usize) -> Result<()> {
        writeln!(self.orders, "{address} {path} {count}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        if answer.trim() == "done" {
            Ok(())
        } else {
            Err("the client failed".into())
        }
    }

    /// Ends it.
    pub(crate) fn end(self) -> Result<()> {
        let Self {
            mut process,
            orders,
            ..
        } = self;
        drop(orders);
        process.wait()?;
        Ok(())
    }
}

/// Carries out orders until there are no more.
pub(crate) fn be_client() -> Result<()> {
    for order in io::stdin().lines() {
        let order = order?;
        let words: Vec<_> = order.split(' ').collect();
        let [address, path, count] = words[..] else {
            return Err("an order of three words is understood".into());
        };
        let connect = |_| TcpStream::connect(address);
        let mut connections = (0..CONNECTIONS)
            .map(connect)
            .collect::<io::Result<Vec<_>>>()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        // All answers are of one length.
        let length = first_answer(&mut connections[0], request.as_bytes())?;
        let mut answer = vec![0; length];
        for _ in 0..count.parse::<usize>()? / CONNECTIONS {
            for connection in &mut connections {
                connection.write_all(request.as_bytes())?;
            }
            for connection in &mut connections {
                connection.read_exact(&mut answer)?;
                if !answer.starts_with(b"HTTP/1.1 200 ") {
                    return Err("not the answer that the first was".into());
                }
            }
        }
        println!("done");
    }
    Ok(())
}

/// Asks once, and tells how long the answer is.
fn first_answer(connection: &mut TcpStream, request: &[u8]) -> Result<usize> {
    connection.write_all(request)?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 1 << 17];
    loop {
        let read = connection.read(&mut piece)?;
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse::<usize>())
            });
            let whole = head.len() + 4 + length.ok_or("an answer of no length")??;
            if answer.len() >= whole {
                return Ok(whole);
            }
        }
        if read == 0 {
            return Err(format!("an answer cut short: {text}").into());
        }
    }
}
