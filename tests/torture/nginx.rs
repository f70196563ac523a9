//! nginx with `proxy_cache`, the peer that speed is measured against.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::bound::until;
use crate::support::free_address;
use crate::support::process::{Daemon, Part, processor_time};

const NGINX: Part = Part {
    program: "nginx",
    package: "nginx-light",
};

/// A running nginx with an empty cache.
pub(crate) struct Nginx {
    address: SocketAddr,
    // Declared before the folder: the process ends before what it uses is deleted.
    daemon: Daemon,
    _folder: TempDir,
}

impl Nginx {
    /// One that fetches from `upstream` what it does not have.
    pub(crate) async fn before(upstream: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let address = free_address();
        let config = format!(
            "daemon off; user root; worker_processes 2; pid {pid}; error_log stderr error;\n\
             events {{}}\n\
             http {{ access_log off; sendfile on; client_body_temp_path {body};\n\
             fastcgi_temp_path {other}; uwsgi_temp_path {other}; scgi_temp_path {other};\n\
             proxy_cache_path {cache} levels=1:2 keys_zone=blobs:10m inactive=1d use_temp_path=off;\n\
             server {{ listen {address}; location / {{\n\
             proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
             proxy_cache blobs; proxy_cache_valid 200 1d;\n\
             proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;\n\
             }} }} }}\n",
            pid = at("pid"),
            body = at("body"),
            other = at("other"),
            cache = at("cache"),
        );
        std::fs::write(at("nginx.conf"), config).unwrap();
        let mut command = NGINX.command();
        command.arg("-p").arg(folder.path());
        command
            .arg("-c")
            .arg(at("nginx.conf"))
            .args(["-e", "stderr"]);
        let mut daemon = Daemon::start("nginx", command, &folder.path().join("log"));
        until("nginx listens", Duration::from_secs(20), async || {
            assert_eq!(daemon.ended(), None, "nginx ended: {}", daemon.log());
            TcpStream::connect(address).await.is_ok()
        })
        .await;
        Self {
            address,
            daemon,
            _folder: folder,
        }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The processor time of all its processes so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let master = self.daemon.id();
        let children = format!("/proc/{master}/task/{master}/children");
        let children = std::fs::read_to_string(children).expect("nginx's workers");
        let children = children.split_whitespace().map(|id| id.parse().unwrap());
        children.chain([master]).map(processor_time).sum()
    }
}
