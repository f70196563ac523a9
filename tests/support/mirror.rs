//! The binary under test: its config, its life, and what can be seen of it from outside.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::bound::until;
use super::free_address;
use super::http::{Answer, get};
use super::process::{Daemon, processor_time};
use super::registry::{PASSWORD, USER};
use super::tap::Tap;

/// How long the mirror may take until it is ready, or until it has ended after being asked to.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one mirror is to be. Everything has a default but the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    upstream: String,
    signs_in: bool,
    serves_clients: Option<&'static str>,
    ttl: &'static str,
    capacity: &'static str,
    patience: Option<&'static str>,
    general: String,
    places: String,
    server: String,
    keys: String,
    tags: String,
    store: String,
    others: String,
    offline: bool,
    data: Option<PathBuf>,
    environment: Vec<(&'static str, OsString)>,
    extra: &'static str,
    token: Option<PathBuf>,
    operator: String,
}

impl Plan {
    /// A mirror of Docker Hub that finds it behind `tap`.
    pub(crate) fn of(tap: &Tap) -> Self {
        Self::of_url(tap.url())
    }

    /// A mirror of Docker Hub that finds it at this URL.
    pub(crate) fn of_url(upstream: String) -> Self {
        Self {
            upstream,
            signs_in: false,
            serves_clients: None,
            ttl: "1h",
            capacity: "8GiB",
            patience: None,
            general: String::new(),
            places: String::new(),
            server: String::new(),
            keys: String::new(),
            tags: String::new(),
            store: String::new(),
            others: String::new(),
            offline: false,
            data: None,
            environment: Vec::new(),
            extra: "",
            token: None,
            operator: String::new(),
        }
    }

    /// Its config says this of the operator's side, beside the address.
    pub(crate) fn of_admin(mut self, lines: &str) -> Self {
        let _ = writeln!(self.operator, "{lines}");
        self
    }

    /// The operator's side is for who brings the token in this file.
    pub(crate) fn with_token(mut self, file: &Path) -> Self {
        self.token = Some(file.to_owned());
        self
    }

    /// Its upstream is declared with these keys, too.
    pub(crate) fn with_upstream(mut self, keys: &'static str) -> Self {
        self.extra = keys;
        self
    }

    /// It waits so long, and no longer, for each step of the upstream.
    pub(crate) fn patient_for(mut self, limit: &'static str) -> Self {
        self.patience = Some(limit);
        self
    }

    /// Its config begins with these lines, before the first table.
    pub(crate) fn saying(mut self, lines: &str) -> Self {
        let _ = writeln!(self.general, "{lines}");
        self
    }

    /// It listens in these places too, written as in its config.
    pub(crate) fn listening(mut self, places: &str) -> Self {
        let _ = write!(self.places, ", {places}");
        self
    }

    /// Its config says this of the server, beside the address.
    pub(crate) fn of_server(mut self, lines: &str) -> Self {
        let _ = writeln!(self.server, "{lines}");
        self
    }

    /// Its config says this of the upstream, beside its URL.
    pub(crate) fn of_upstream(mut self, lines: &str) -> Self {
        let _ = writeln!(self.keys, "{lines}");
        self
    }

    /// It keeps so much, and no more.
    pub(crate) fn keeping(mut self, capacity: &'static str) -> Self {
        self.capacity = capacity;
        self
    }

    /// Its config says this of the store, beside path and capacity.
    pub(crate) fn of_store(mut self, lines: &str) -> Self {
        let _ = writeln!(self.store, "{lines}");
        self
    }

    /// Its config says this of the upstream's tags, beside their ttl.
    pub(crate) fn of_tags(mut self, lines: &str) -> Self {
        let _ = writeln!(self.tags, "{lines}");
        self
    }

    /// It mirrors another upstream beside Docker Hub, under this name.
    pub(crate) fn and_upstream(mut self, name: &str, url: &str) -> Self {
        let _ = writeln!(
            self.others,
            "[upstreams.\"{name}\"]\nurl = \"{url}\"\n[upstreams.\"{name}\".tags]\nttl = \"{}\"",
            self.ttl
        );
        self
    }

    /// Its config ends with these lines: other upstreams.
    pub(crate) fn and(mut self, lines: &str) -> Self {
        self.others.push_str(lines);
        self
    }

    /// Its data lies here and not in a folder of its own.
    pub(crate) fn data_in(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// The process is started with this in its environment.
    pub(crate) fn environment(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// It signs in upstream with the credentials that the test registries know.
    pub(crate) fn signed_in(mut self) -> Self {
        self.signs_in = true;
        self
    }

    /// It serves its clients as themselves; they get tokens at this realm, `mirror` or `upstream`.
    pub(crate) fn serving_clients(mut self, realm: &'static str) -> Self {
        self.serves_clients = Some(realm);
        self
    }

    /// Tags are believed for this long.
    pub(crate) fn tags_for(mut self, ttl: &'static str) -> Self {
        self.ttl = ttl;
        self
    }

    /// It asks no upstream at all.
    pub(crate) fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// Writes config and password file into a folder and starts the mirror with its data there.
    pub(crate) async fn start(self) -> Mirror {
        let mut mirror = self.prepare();
        mirror.start().await;
        mirror
    }

    /// The same without starting it.
    pub(crate) fn prepare(mut self) -> Mirror {
        let folder = TempDir::new().expect("a folder for the mirror");
        let (address, admin) = (free_address(), free_address());
        let environment = std::mem::take(&mut self.environment);
        let data = self.data.take();
        let data = data.unwrap_or_else(|| folder.path().join("data"));
        std::fs::write(
            folder.path().join("mirror.toml"),
            self.config(folder.path(), &data, address, admin),
        )
        .expect("the mirror's config");
        Mirror {
            daemon: None,
            folder,
            data,
            environment,
            address,
            admin,
        }
    }

    fn config(&self, folder: &Path, data: &Path, address: SocketAddr, admin: SocketAddr) -> String {
        let Self {
            upstream,
            ttl,
            capacity,
            general,
            places,
            server,
            keys,
            tags,
            store,
            others,
            extra,
            operator,
            ..
        } = self;
        let token = self.token.as_ref();
        let token = token.map(|file| format!("token_file = \"{}\"\n", file.display()));
        let token = token.unwrap_or_default();
        let offline = if self.offline { "offline = true\n" } else { "" };
        let mut text = format!(
            "{general}{offline}[server]\nlisten = [\"{address}\"{places}]\n{server}[admin]\nlisten = \"{admin}\"\n{token}{operator}\
             [store]\npath = \"{}\"\ncapacity = \"{capacity}\"\n{store}\
             [upstreams.\"docker.io\"]\nurl = \"{upstream}\"\ndefault = true\n{keys}{extra}\
             [upstreams.\"docker.io\".tags]\nttl = \"{ttl}\"\n{tags}",
            data.display()
        );
        if let Some(limit) = self.patience {
            let _ = writeln!(
                text,
                "[upstreams.\"docker.io\".timeouts]\nconnect = \"{limit}\"\nheader = \"{limit}\"\nidle = \"{limit}\""
            );
        }
        text.push_str("[upstreams.\"docker.io\".auth]\n");
        if let Some(realm) = self.serves_clients {
            let _ = writeln!(text, "mode = \"client\"\nrealm = \"{realm}\"");
        } else if self.signs_in {
            let file = folder.join("password");
            std::fs::write(&file, PASSWORD).expect("the password file");
            let _ = writeln!(
                text,
                "mode = \"own\"\nusername = \"{USER}\"\npassword_file = \"{}\"",
                file.display()
            );
        } else {
            text.push_str("mode = \"anonymous\"\n");
        }
        text.push_str(others);
        text
    }
}

/// The program under test, with no arguments yet.
pub(crate) fn roadstead() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roadstead"));
    command.env_remove("RUST_LOG");
    command
}

/// A mirror with its data folder; the process comes and goes, the data stays until this is dropped.
#[derive(Debug)]
pub(crate) struct Mirror {
    // Declared before the folder: the process ends before its data is deleted.
    daemon: Option<Daemon>,
    folder: TempDir,
    data: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    /// Where clients connect to.
    pub(crate) address: SocketAddr,
    /// Where the operator looks.
    pub(crate) admin: SocketAddr,
}

impl Mirror {
    /// Starts the process on the data that is there and waits until it says that it is ready.
    pub(crate) async fn start(&mut self) {
        assert!(self.daemon.is_none(), "the mirror runs already");
        let mut command = roadstead();
        command
            .arg("serve")
            .arg("--config")
            .arg(self.folder.path().join("mirror.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut daemon = Daemon::start("roadstead", command, &self.folder.path().join("log"));
        let admin = self.admin;
        until("roadstead is ready", PATIENCE, async || {
            assert_eq!(daemon.ended(), None, "roadstead ended: {}", daemon.log());
            tokio::net::TcpStream::connect(admin).await.is_ok()
                && get(admin, "/readyz").await.status() == 200
        })
        .await;
        self.daemon = Some(daemon);
    }

    /// Its config file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("mirror.toml")
    }

    /// Where its operator asks.
    pub(crate) fn operator(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Ends the process as a power cut would (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.running().kill();
        self.daemon = None;
    }

    /// Asks the process to end (SIGTERM) and does not wait for it.
    pub(crate) fn ask_to_stop(&mut self) {
        self.running().signal(Signal::TERM);
    }

    /// Asks the process to read again what may have changed (SIGHUP), and does not wait for it.
    pub(crate) fn ask_to_look_again(&mut self) {
        self.running().signal(Signal::HUP);
    }

    /// Asks the process to end, unless that was done, and returns its exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        let daemon = self.running();
        daemon.signal(Signal::TERM);
        let code = daemon
            .wait(PATIENCE)
            .expect("roadstead ends soon after SIGTERM");
        self.daemon = None;
        code
    }

    /// A GET as a client of registries sends it.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        get(self.address, target).await
    }

    /// Bytes that content, downloads in progress and what they were promised take together, all at one instant.
    pub(crate) async fn taken(&self) -> u64 {
        let page = get(self.admin, "/metrics").await.text();
        let kinds = ["content", "fills", "reserved"];
        let bytes = kinds.map(|kind| sum(&page, "roadstead_store_bytes", &[("kind", kind)]));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bytes, and few"
        )]
        let bytes = bytes.iter().sum::<f64>() as u64;
        bytes
    }

    /// A GET as an operator on this machine sends it.
    pub(crate) async fn admin_get(&self, target: &str) -> Answer {
        get(self.admin, target).await
    }

    /// What it says of its readiness.
    pub(crate) async fn readiness(&self) -> Answer {
        get(self.admin, "/readyz").await
    }

    /// The sum of a metric over all its samples that carry these labels; 0 when there is none.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let page = get(self.admin, "/metrics").await;
        assert_eq!(page.status(), 200, "/metrics: {}", page.text());
        sum(&page.text(), name, labels)
    }

    /// The digests that lie in the data folder as complete content.
    pub(crate) fn content(&self) -> BTreeSet<String> {
        let shards = files_in(&self.data().join("content/sha256"));
        let files = shards.iter().flat_map(|shard| files_in(shard));
        files
            .filter_map(|file| Some(format!("sha256:{}", file.file_name()?.to_str()?)))
            .collect()
    }

    /// The config file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("mirror.toml")
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Ends the process and starts it again with nothing kept.
    pub(crate) async fn begin_anew(&mut self) {
        if self.daemon.is_some() {
            self.kill();
        }
        std::fs::remove_dir_all(self.data()).expect("the data folder");
        self.start().await;
    }

    /// Waits until no download from upstream is in progress, at most `limit`.
    pub(crate) async fn rests(&self, limit: Duration) {
        until("no fill is in flight", limit, async || {
            self.metric("roadstead_fills_in_flight", &[]).await < 0.5
        })
        .await;
    }

    /// Everything that the process has printed so far.
    pub(crate) fn log(&self) -> String {
        self.daemon.as_ref().map(Daemon::log).unwrap_or_default()
    }

    /// All that it says in metrics.
    pub(crate) async fn metrics(&self) -> String {
        get(self.admin, "/metrics").await.text()
    }

    /// How many descriptors and threads the process has.
    pub(crate) fn open(&mut self) -> Open {
        let process = format!("/proc/{}", self.running().id());
        let count = |what| {
            std::fs::read_dir(format!("{process}/{what}"))
                .expect("the mirror's process")
                .count()
        };
        Open {
            descriptors: count("fd"),
            threads: count("task"),
        }
    }

    /// The processor time that the process has used so far.
    pub(crate) fn processor_time(&mut self) -> Duration {
        processor_time(self.running().id())
    }

    /// The most memory that the process has held at once, in bytes (`VmHWM`: what was resident).
    pub(crate) fn peak_memory(&mut self) -> u64 {
        let file = format!("/proc/{}/status", self.running().id());
        let status = std::fs::read_to_string(file).expect("the state of the mirror's process");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("a line VmHWM");
        let kibibytes: u64 = line
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number of kB");
        kibibytes * 1024
    }

    fn running(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("a running mirror")
    }
}

/// What a process holds open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    /// Open file descriptors.
    pub(crate) descriptors: usize,
    /// Threads.
    pub(crate) threads: usize,
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|file| Some(file.ok()?.path()))
        .collect()
}

/// Adds up samples in the Prometheus text format.
pub(crate) fn sum(page: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (has, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let carries = |(key, value): &(&str, &str)| {
            has.split(',')
                .any(|label| label == format!("{key}=\"{value}\""))
        };
        labels
            .iter()
            .all(carries)
            .then(|| value.parse::<f64>().ok())?
    });
    samples.fold(0.0, |sum, sample| sum + sample)
}
