//! The config file: TOML text in, a [`Config`] that holds together out.
//!
//! ```text
//! text --toml--> table --Section--> settings --checks across keys--> Config
//!                  |         |                        |
//!                  +---------+---- every fault -------+---> ConfigErrors, one report
//! ```
//!
//! - Unknown keys are faults; so is a key that has no effect.
//! - Every fault is found in one pass and shown with its place and the path of its key. Only errors
//!   of syntax are shown alone, since behind them the rest cannot be trusted.
//! - Quantities have units (`"50GiB"`, `"30s"`); `${NAME}` in a text is an environment variable;
//!   passwords are read from files and are never shown.
//! - A default stands in the code once, where its key is read. The commented reference,
//!   `config/roadstead.toml`, is held to it by a test.
//!
//! Deliberately absent: building anything out of the config, looking up names, and touching the
//! store's folder.

mod auth;
mod environment;
mod error;
mod file;
mod fills;
mod log;
mod pem;
mod reading;
#[cfg(test)]
mod reference;
mod secret;
mod section;
mod server;
mod setting;
mod share;
mod store;
mod tags;
mod tls;
mod token;
mod upstream;
mod upstream_name;
mod upstream_tls;
mod upstreams;
mod users;
mod warm;

use std::path::Path;

pub use self::auth::{Account, Auth, TokenRealm};
pub use self::error::{ConfigError, ConfigErrors, Position};
pub use self::fills::{Fills, OnLeave};
pub use self::log::{Log, LogFormat};
pub use self::pem::Identity;
pub use self::secret::Secret;
pub use self::server::{Admin, RateLimited, Server};
pub use self::share::Share;
pub use self::store::Store;
pub use self::tags::{TagPolicy, TagRule, Tags};
pub use self::tls::{TlsContent, TlsFiles, TlsListener};
pub use self::upstream::{Downloads, Timeouts, Upstream};
pub use self::upstream_name::{UpstreamName, UpstreamNameError};
pub use self::upstream_tls::{EgressProxy, UpstreamTls};
pub use self::users::UsersFile;
#[doc(hidden)]
pub use self::users::users;
pub use self::warm::{WarmBeat, WarmList, references};

use self::reading::{Reading, Reported};
use self::section::Section;

/// A whole config, checked. [`Config::load`] and [`Config::parse`] are the only ways to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    offline: bool,
    server: Server,
    admin: Admin,
    store: Store,
    fills: Fills,
    upstreams: Vec<Upstream>,
    warm: Vec<WarmList>,
    log: Log,
}

impl Config {
    /// Reads the file at `path`, and the environment variables and password files it names.
    /// Relative paths in it begin at its folder.
    ///
    /// # Errors
    /// All that is wrong with it, or that it cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let source = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let error = ConfigError {
                position: None,
                path: String::new(),
                message: format!("cannot be read: {error}"),
            };
            ConfigErrors::new(&source, vec![error])
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, base).map_err(|errors| errors.of(source))
    }

    /// Reads `text`, and the environment variables and password files it names. Relative paths in it
    /// begin at `base`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigErrors> {
        Self::parse_with(text, base, &|name| std::env::var(name).ok())
    }

    fn parse_with(
        text: &str,
        base: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let reading = Reading::new(text, base, variable);
        let config = section::parse_table(&reading)
            .and_then(|table| Section::root(&reading, table.get_ref(), read));
        // A fault that leaves no gap, such as an unknown key, is on the list all the same.
        let errors = reading.into_errors();
        match config {
            Ok(config) if errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors::new("config", errors)),
        }
    }

    /// `offline`: serve what is here and ask no upstream.
    pub fn offline(&self) -> bool {
        self.offline
    }

    /// `[server]`
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// `[admin]`
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// `[store]`
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// `[fills]`
    pub fn fills(&self) -> &Fills {
        &self.fills
    }

    /// `[upstreams]`, at least one, sorted by name. All their names, aliases and hosts are different, and
    /// one of them at most is the default.
    pub fn upstreams(&self) -> &[Upstream] {
        &self.upstreams
    }

    /// `[[warm]]`, all of different names.
    pub fn warm(&self) -> &[WarmList] {
        &self.warm
    }

    /// `[log]`
    pub fn log(&self) -> &Log {
        &self.log
    }
}

fn read(root: &mut Section<'_>) -> Result<Config, Reported> {
    let offline = root.or("offline", false);
    let listeners = server::read(root);
    let store = root.table("store", store::read);
    let fills = root.table("fills", fills::read);
    let upstreams = upstreams::read(root);
    let warm = warm::read(root);
    let log = root.table("log", log::read);

    let ((server, admin), upstreams) = (listeners?, upstreams?);
    let as_themselves = upstreams
        .iter()
        .find(|it| matches!(it.auth, Auth::Client(_)));
    if let (Some(_), Some(upstream)) = (&server.users, as_themselves) {
        let message = format!(
            "users_file takes the credentials that clients send, and the upstream {} needs them (auth.mode = \"client\")",
            upstream.name
        );
        return Err(root.error("server", message));
    }
    Ok(Config {
        offline: offline?,
        server,
        admin,
        store: store?,
        fills: fills?,
        upstreams,
        warm: warm?,
        log: log?,
    })
}

#[cfg(test)]
mod tests;
