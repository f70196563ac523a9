//! The floor under every server of files: a process that does nothing but sendfile(2). A thread for each client reads a
//! request up to its empty line, writes a head, and hands the file to the kernel. No parser, no bounds, no log.
//!
//! What a server needs more than this is its own; what this needs is the kernel's, and nobody can do without.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use rustix::fs::sendfile;

/// The word that makes this program the floor; address and folder follow it.
pub(crate) const FLOOR: &str = "floor";

/// Serves the files below `root` until the process ends.
pub(crate) fn serve(address: SocketAddr, root: &Path) -> Result<()> {
    for stream in TcpListener::bind(address)?.incoming() {
        let (stream, root) = (stream?, root.to_owned());
        // A client that leaves is not worth a word.
        thread::spawn(move || serve_one(&stream, &root));
    }
    Ok(())
}

fn serve_one(mut stream: &TcpStream, root: &Path) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let Some(first) = lines.next() else {
            return Ok(());
        };
        let first = first?;
        let path = first.split(' ').nth(1).ok_or(ErrorKind::InvalidData)?;
        for line in lines.by_ref() {
            if line?.is_empty() {
                break;
            }
        }
        let (status, file) = match File::open(root.join(path.trim_start_matches('/'))) {
            Ok(file) => ("200 OK", Some(file)),
            Err(_) => ("404 Not Found", None),
        };
        let size = match &file {
            Some(file) if file.metadata()?.is_file() => file.metadata()?.len(),
            _ => 0,
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut at = 0;
        while let Some(file) = file.as_ref().filter(|_| at < size) {
            let left = usize::try_from(size - at).map_err(Error::other)?;
            if sendfile(stream, file, Some(&mut at), left)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
