//! The log of the binary, when whoever read it has gone.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

/// The binary, which does not outlive the test.
struct Mirror(Child);

impl Drop for Mirror {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Mirror {
    /// Asks it to end, and waits until it has.
    fn end(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let (ended, end) = mpsc::channel::<()>();
        let pid = Pid::from_child(&self.0);
        // One that does not end is killed, and its status tells.
        let watch = thread::spawn(move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let status = self.0.wait().unwrap();
        drop(ended);
        watch.join().unwrap();
        status
    }
}

/// Two that are not the same.
fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

#[test]
fn the_mirror_serves_and_ends_well_when_nobody_reads_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let [address, admin] = free_addresses();
    let config = format!(
        "[server]\nlisten = [\"{address}\"]\n[admin]\nlisten = \"{admin}\"\n[store]\ncapacity = \"1GiB\"\n\
         [upstreams.\"docker.io\"]\nurl = \"http://127.0.0.1:1\"\ndefault = true\n"
    );
    let file = folder.path().join("mirror.toml");
    fs::write(&file, config).unwrap();
    let mirror = Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .arg("serve")
        .arg("--config")
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut mirror = Mirror(mirror);
    let mut log = BufReader::new(mirror.0.stderr.take().unwrap());
    let listening = log
        .by_ref()
        .lines()
        .any(|line| line.unwrap().contains("serving clients"));
    assert!(listening);
    drop(log);

    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..3 {
        // Each of these is a line in the log, and the connection is to outlive it.
        client
            .write_all(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n{}") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            answer.extend_from_slice(&byte);
        }
    }
    drop(client);

    let status = mirror.end();
    assert!(status.success(), "{status}");
}
