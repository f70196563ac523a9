//! `roadstead config check FILE`: all that is wrong with a config, without starting anything.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{Account, Auth, Config, TokenRealm, Upstream, UpstreamName};

/// What a command line or a config that cannot be used ends with, as is the custom of the tools.
pub(super) const UNUSABLE: u8 = 2;

/// Reads the config in `file`. If it is right, says so on standard output with a line for each
/// upstream and succeeds; if not, writes every fault to standard error and ends with 2.
pub(super) fn run(file: &Path) -> ExitCode {
    // Nobody is left to be told when writing fails.
    check(file, &mut io::stdout().lock(), &mut io::stderr().lock()).unwrap_or(ExitCode::FAILURE)
}

fn check(file: &Path, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    match Config::load(file) {
        Ok(config) => {
            writeln!(out, "{}: ok", file.display())?;
            if config.offline() {
                writeln!(out, "  offline: no upstream is asked")?;
            }
            for upstream in config.upstreams() {
                writeln!(out, "  {}", summary(upstream))?;
            }
            out.flush()?;
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            writeln!(err, "{errors}")?;
            Ok(ExitCode::from(UNUSABLE))
        }
    }
}

/// An upstream on one line: its names, where it is, and with whose credentials it is asked.
fn summary(upstream: &Upstream) -> String {
    let mut names = vec![upstream.name.as_str()];
    names.extend(upstream.aliases.iter().map(UpstreamName::as_str));
    let auth = match &upstream.auth {
        Auth::Anonymous => "anonymous".to_owned(),
        Auth::Own(Account::Password { username, .. }) => format!("as {username}"),
        Auth::Own(Account::IdentityToken(_)) => "with an identity token".to_owned(),
        Auth::Own(Account::Program { program, .. }) => format!("as {} tells", program.display()),
        Auth::Client(TokenRealm::Mirror) => "as each client, tokens at the mirror".to_owned(),
        Auth::Client(TokenRealm::Upstream) => "as each client, tokens at the upstream".to_owned(),
    };
    let default = if upstream.is_default { ", default" } else { "" };
    format!("{} -> {}, {auth}{default}", names.join(", "), upstream.url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    /// What a check of `text` ends with and writes to standard output and standard error.
    fn checked(text: &str) -> (ExitCode, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.toml");
        fs::write(&file, text).unwrap();
        fs::write(folder.path().join("password"), "hunter2").unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check(&file, &mut out, &mut err).unwrap();
        let text = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&file.display().to_string(), "r.toml")
        };
        (code, text(out), text(err))
    }

    #[test]
    fn a_right_config_is_summed_up() {
        let (code, out, err) = checked(
            r#"
            offline = true
            store.capacity = "1GiB"
            [upstreams."docker.io"]
            url = "https://registry-1.docker.io"
            default = true
            [upstreams."ghcr.io"]
            url = "https://ghcr.io"
            auth = { mode = "own", username = "robot", password_file = "password" }
            "#,
        );
        assert_eq!(code, ExitCode::SUCCESS);
        assert_eq!(
            out,
            "r.toml: ok\n  \
             offline: no upstream is asked\n  \
             docker.io, index.docker.io, registry-1.docker.io -> https://registry-1.docker.io/, anonymous, default\n  \
             ghcr.io -> https://ghcr.io/, as robot\n"
        );
        assert_eq!(err, "");
    }

    #[test]
    fn a_wrong_config_is_reported_and_ends_with_two() {
        let (code, out, err) = checked("[store]\ncapacity = \"50\"\n");
        assert_eq!(code, ExitCode::from(2));
        assert_eq!(out, "");
        assert_eq!(
            err,
            "r.toml:2:1: store.capacity: \"50\" is not a size: write a number and a unit, such as \"50GiB\"\n\
             r.toml: upstreams: declares no upstream to pull from\n"
        );
    }
}
