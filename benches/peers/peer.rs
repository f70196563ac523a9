//! A server that is measured: its life, and what can be seen of it from outside.

mod distribution;
mod drayage;
mod floor;
mod nginx;
mod roadstead;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::bound::until;
use crate::support::free_address;
use crate::support::http::get;
use crate::support::mirror::sum;
use crate::support::process::{Daemon, processor_time};

/// The names of the servers in tables. Nginx's roles are told apart by the case.
pub(crate) const ROADSTEAD: &str = "roadstead";
pub(crate) const NGINX: &str = "nginx";
pub(crate) const SENDFILE: &str = "sendfile alone";
pub(crate) const DISTRIBUTION: &str = "docker-registry";
pub(crate) const DRAYAGE: &str = "drayage";
/// No server at all: the upstream itself.
pub(crate) const DIRECT: &str = "direct";

/// What a server of files has: each under the path that clients ask for.
pub(crate) type Files<'f> = &'f [(&'f str, &'f [u8])];

/// How long a server may take until it answers, or until it has ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with its folder; the process comes and goes, the folder stays until this is dropped.
pub(crate) struct Peer {
    /// One of the names above.
    pub(crate) name: &'static str,
    /// Where clients connect to.
    pub(crate) address: SocketAddr,
    /// Where they do so over TLS.
    pub(crate) secured: SocketAddr,
    /// Where it tells what is in flight, if it does.
    admin: Option<SocketAddr>,
    // Declared before the folder: the process ends before what it uses is deleted.
    daemon: Option<Daemon>,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    data: PathBuf,
    folder: TempDir,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Where a server that is being set up is to listen and to keep things.
struct Place {
    folder: TempDir,
    address: SocketAddr,
    secured: SocketAddr,
    admin: SocketAddr,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder for a server"),
            address: free_address(),
            secured: free_address(),
            admin: free_address(),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file beside the data, with this text.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("a server's config");
        file
    }

    /// A certificate for this machine, which signs itself, and its key: `server.pem` and `server.key`.
    fn certify(&self) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        self.write("server.key", &made.signing_key.serialize_pem());
        self.write("server.pem", &made.cert.pem());
    }

    async fn start(
        self,
        name: &'static str,
        says_what_is_in_flight: bool,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Peer {
        let mut peer = Peer {
            name,
            address: self.address,
            secured: self.secured,
            admin: says_what_is_in_flight.then_some(self.admin),
            daemon: None,
            command: Box::new(command),
            data: self.data(),
            folder: self.folder,
        };
        peer.start().await;
        peer
    }
}

impl Peer {
    /// Starts it on what it has and waits until it answers.
    async fn start(&mut self) {
        std::fs::create_dir_all(&self.data).expect("a data folder");
        let log = self.folder.path().join("log");
        let mut daemon = Daemon::start(self.name, (self.command)(), &log);
        let (name, address) = (self.name, self.address);
        until(&format!("{name} answers"), PATIENCE, async || {
            assert_eq!(daemon.ended(), None, "{name} ended: {}", daemon.log());
            answers(address).await
        })
        .await;
        self.daemon = Some(daemon);
    }

    /// Ends the process and starts it again on what it has.
    pub(crate) async fn restart(&mut self) {
        self.stop();
        self.start().await;
    }

    /// Ends the process and starts it again with nothing kept.
    pub(crate) async fn begin_anew(&mut self) {
        self.stop();
        std::fs::remove_dir_all(&self.data).expect("a data folder");
        self.start().await;
    }

    fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.signal(Signal::TERM);
            let ended = daemon.wait(PATIENCE);
            assert!(ended.is_some(), "{} did not end", self.name);
        }
    }

    /// Whether it says that downloads are in progress.
    pub(crate) async fn is_busy(&self) -> bool {
        let Some(admin) = self.admin else {
            return false;
        };
        let page = get(admin, "/metrics").await.text();
        sum(&page, "roadstead_fills_in_flight", &[]) > 0.5
    }

    /// The processor time that all its processes have used so far.
    pub(crate) fn processor_time(&self) -> Duration {
        self.processes().into_iter().map(processor_time).sum()
    }

    /// The memory that its processes hold, in bytes (`VmRSS`, added up).
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that they have held, in bytes (`VmHWM`, added up).
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, word: &str) -> u64 {
        let of = |process| {
            let file = format!("/proc/{process}/status");
            let status = std::fs::read_to_string(file).expect("a server's process");
            let line = status.lines().find_map(|line| line.strip_prefix(word));
            let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            let size: u64 = size.expect("a size in kB");
            size * 1024
        };
        self.processes().into_iter().map(of).sum()
    }

    /// The process that was started, and its children.
    fn processes(&self) -> Vec<u32> {
        let first = self.daemon.as_ref().expect("a running server").id();
        let children = format!("/proc/{first}/task/{first}/children");
        let children = std::fs::read_to_string(children).expect("a server's children");
        let children = children.split_whitespace();
        let children = children.map(|id| id.parse().expect("a process id"));
        children.chain([first]).collect()
    }

    /// From now on [`Peer::peak`] is of what comes.
    pub(crate) fn forget_peak(&self) {
        for process in self.processes() {
            // `man 5 proc_pid_clear_refs`: 5 sets the peak to what is resident now.
            std::fs::write(format!("/proc/{process}/clear_refs"), "5").expect("a server's process");
        }
    }

    /// The certificate that it shows over TLS.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// All who fetch what they do not have and send it on while it comes: the mirror, nginx and docker-registry.
    pub(crate) async fn caches(upstream: &str) -> Vec<Self> {
        vec![
            Self::roadstead(upstream).await,
            Self::nginx_before(upstream).await,
            Self::distribution(upstream).await,
        ]
    }
}

/// Whether somebody answers HTTP there, whatever it is.
async fn answers(address: SocketAddr) -> bool {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /v2/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.read_u8().await
    };
    matches!(tokio::time::timeout(PATIENCE, exchange).await, Ok(Ok(b'H')))
}

/// Puts a file below `root`, under the path that clients ask for.
fn put(root: &Path, path: &str, bytes: &[u8]) {
    let file = root.join(path.trim_start_matches('/'));
    let folder = file.parent().expect("a path below the root");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, bytes))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
